"""What has landed before, read off the loads themselves."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.forgotten import Forgotten
from orchestration.landing.contract import Source
from orchestration.landing.files import HEAD_BYTES, Found, Ignored


@dataclass
class LandedFile:
    """One row of raw.landed_files; the fields are that table's columns, in its order."""

    load_id: int
    file_id: int
    source: str
    path: str
    status: str
    detail: str | None = None
    duplicate_of: int | None = None
    first_file_id: int | None = None
    size_bytes: int = 0
    modified_ns: int = 0
    start_byte: int = 0
    end_byte: int = 0
    first_line: int = 1
    head_hash: str | None = None
    content_hash: str | None = None
    settled_hash: str | None = None
    lines: int = 0
    blank: int = 0
    pending: int = 0
    pending_text: str | None = None
    rounded_amounts: int = 0


class History:
    """The files that have landed, by path, content and lineage (a file and what it grew into)."""

    def __init__(self, files: list[LandedFile], shown: Callable[[str], str] = str) -> None:
        """shown: how a path is written down, in which nobody forgotten is named."""
        self._shown = shown
        self.by_path: dict[str, LandedFile] = {}
        self.by_content: dict[tuple[str, str], LandedFile] = {}
        self.by_settled: dict[tuple[str, str], LandedFile] = {}
        self.settled: dict[str, dict[str, dict[int, set[str]]]] = defaultdict(dict)
        self.short_lengths: dict[str, set[int]] = defaultdict(set)
        self.latest: dict[int, LandedFile] = {}
        for file in sorted(files, key=lambda file: file.file_id):
            self.add(file)

    def add(self, file: LandedFile) -> None:
        """Remember one more landed file; a replay reads parts again that are known."""
        if file.status == "replayed":
            return
        self.by_path[file.path] = file
        if file.status != "loaded":
            return
        assert file.first_file_id is not None
        assert file.content_hash is not None
        assert file.settled_hash is not None
        self.by_content.setdefault((file.source, file.content_hash), file)
        self.by_settled[file.source, file.settled_hash] = file
        self.latest[file.first_file_id] = file
        if file.end_byte and file.head_hash:
            # A content shorter than a head is its own head.
            is_short = file.end_byte < HEAD_BYTES
            head = file.settled_hash if is_short else file.head_hash
            if is_short:
                self.short_lengths[file.source].add(file.end_byte)
            lengths = self.settled[file.source].setdefault(head, {})
            lengths.setdefault(file.end_byte, set()).add(file.settled_hash)

    def knows(self, found: Found) -> bool:
        """Whether a file lies there as it was when it was last read, by path, size and time."""
        last = self.by_path.get(self._shown(found.path))
        return last is not None and (last.size_bytes, last.modified_ns) == (
            found.size_bytes,
            found.modified_ns,
        )

    def unknown(self, entries: Iterable[Found | Ignored]) -> list[Found]:
        """The files among the entries of a scan that would be read."""
        return [entry for entry in entries if isinstance(entry, Found) and not self.knows(entry)]

    def pending(self) -> list[LandedFile]:
        """The newest part of each file whose last line was cut when it was read."""
        return [file for file in self.latest.values() if file.pending]


def committed_loads(raw: Path) -> list[int]:
    """The numbers of the committed loads, ascending; 0 is the load of empty files."""
    if not raw.is_dir():
        return []
    return sorted(int(folder.name) for folder in raw.iterdir() if folder.name.isdigit())


def load_folder(raw: Path, load_id: int) -> Path:
    """Where a load is kept."""
    return raw / f"{load_id:09d}"


def read_history(raw: Path) -> History:
    """The history of every committed load."""
    return History(read_landed(raw), Forgotten.read(raw.parent).wording)


def read_landed(raw: Path) -> list[LandedFile]:
    """The landed files of every committed load, replayed parts included."""
    return [
        LandedFile(**row)
        for part in parts_of(raw, "landed_files")
        for row in pq.read_table(part).to_pylist()
    ]


def check_part(part: Path) -> None:
    """Read a file of a load to its end, since DuckDB would take a flipped bit for a value.

    Raises RuntimeError where it is not what was written.
    """
    try:
        with pq.ParquetFile(part, page_checksum_verification=True) as content:
            for group in range(content.num_row_groups):
                content.read_row_group(group)
    except (pa.ArrowException, OSError) as error:
        raise RuntimeError(
            f"The load file {part} is damaged ({_one_line(error)}): bring it back from a backup, "
            "or load the landing zone into a new --home."
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def parts_of(raw: Path, table: str) -> list[Path]:
    """The Parquet files of a table in all committed loads, oldest first."""
    return [
        part
        for load_id in committed_loads(raw)
        for part in sorted((load_folder(raw, load_id) / table).glob("*.parquet"))
    ]


def landed_table(files: list[LandedFile], source: Source) -> pa.Table:
    """Landed files as rows of raw.landed_files."""
    return pa.Table.from_pylist([asdict(file) for file in files], schema=source.schema)
