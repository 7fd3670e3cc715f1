"""Rejected rows once more, after the contract, a seed or the loader was mended: one load of them.

A part of a file that rows were rejected of is read again where its content still lies in the
landing zone, under whatever name. The rows that pass now form a part of that file of their own,
with no lines: the ledger counts each line where it was counted first, and no longer as rejected.
"""

import logging
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Set
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.forgotten import Forgotten
from orchestration.landing import otlp
from orchestration.landing.contract import Source
from orchestration.landing.decode import Line, Rejection, json_object, lines_of
from orchestration.landing.files import (
    Unreadable,
    hash_until,
    kind_of,
    lines_between,
    scan,
    unpacked,
)
from orchestration.landing.history import (
    History,
    LandedFile,
    committed_loads,
    load_folder,
    parts_of,
    read_landed,
)
from orchestration.landing.load import (
    ROW_GROUP_ROWS,
    TELEMETRY,
    Load,
    commit,
    prepare_raw,
)

log = logging.getLogger("warehouse")

# File, line, and the record of a line of telemetry.
Place = tuple[int, int, int | None]


@dataclass
class ReplayReport:
    """What a replay did; load_id is None where nothing was written.

    loaded: rows by the reason that they had been rejected for; kept: rows that stay rejected, by
    the reason of now; gone: of those, per path, the rows that could not be read again.
    """

    load_id: int | None = None
    loaded: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    gone: Counter[str] = field(default_factory=Counter)


def replay(
    landing: Path,
    raw: Path,
    contract: dict[str, Source],
    keeps_content: bool,
    memory_limit: str,
    reason: str | None = None,
    is_dry: bool = False,
) -> ReplayReport:
    """Judge the rejected rows anew, of one reason or all, and commit those that pass as a load.

    is_dry: only say what would happen. Nothing is committed either where no outcome would change,
    so that a second replay does nothing. Raises FileNotFoundError where there is no landing zone.
    """
    if not landing.is_dir():
        raise FileNotFoundError(
            f"The landing zone {landing} is no folder: name the one that the files landed in with "
            "--landing."
        )
    prepare_raw(raw, contract)
    report = ReplayReport()
    rejected = standing_rejections(raw)
    wanted: dict[int, list[Place]] = defaultdict(list)
    for place, (why, _) in sorted(rejected.items(), key=lambda item: _ordered(item[0])):
        if reason in (None, why):
            wanted[place[0]].append(place)
    if not wanted:
        return report
    load_id = committed_loads(raw)[-1] + 1
    folder = raw / f".load-{load_id:09d}"
    landed, forgotten = read_landed(raw), Forgotten.read(raw.parent)
    with ExitStack() as stack:
        load = _Replay(
            load_id, folder, landing, contract, landed, forgotten, keeps_content, memory_limit
        )
        stack.callback(load.close)
        for file_id, places in wanted.items():
            load.try_again(file_id, places, raw)
        has_news = load.settle(rejected, report)
    if has_news and not is_dry:
        if load.has_learnt:
            forgotten.save()
        commit(raw, folder, load_id)
        report.load_id = load_id
    elif folder.exists():
        shutil.rmtree(folder)
    return report


def standing_rejections(raw: Path) -> dict[Place, tuple[str, str]]:
    """Reason and detail of every row that is still rejected after all replays."""
    standing: dict[Place, tuple[str, str]] = {}
    names = ["file_id", "line", "record_number", "reason", "detail"]
    for part in parts_of(raw, "rejected_rows"):
        for row in zip(*_columns(part, names), strict=True):
            standing[row[:3]] = row[3:]
    for part in parts_of(raw, "replayed_rows"):
        for row in zip(*_columns(part, [*names, "outcome"]), strict=True):
            if row[5] == "rejected":
                standing[row[:3]] = row[3:5]
            else:
                standing.pop(row[:3], None)
    return standing


def _columns(part: Path, names: list[str]) -> list[list[Any]]:
    table = pq.read_table(part, columns=names)
    return [table[name].to_pylist() for name in names]


def _ordered(place: Place) -> tuple[int, int, int]:
    file_id, line, record_number = place
    return file_id, line, record_number or 0


class _Replay(Load):
    """A load of rows that were rejected before."""

    def __init__(
        self,
        load_id: int,
        folder: Path,
        landing: Path,
        contract: dict[str, Source],
        landed: list[LandedFile],
        forgotten: Forgotten,
        keeps_content: bool,
        memory_limit: str,
    ) -> None:
        history = History(landed, forgotten.wording)
        super().__init__(
            load_id, folder, landing, contract, history, forgotten, keeps_content, memory_limit
        )
        self._known = {file.file_id: file for file in landed}
        # Where a path names somebody forgotten, it lies under another than is written down.
        self._lying = {
            forgotten.wording(entry.path): entry.path
            for entry in (scan(landing, contract) if forgotten.people else ())
        }
        # By the first part of a file: the paths that its content has been found under.
        self._paths: dict[int, list[str]] = defaultdict(list)
        for file in landed:
            same = self._known[file.duplicate_of or file.file_id]
            self._paths[same.first_file_id or same.file_id].append(file.path)
        self._tried: dict[int, tuple[LandedFile, list[Place]]] = {}
        self._gone: set[Place] = set()
        self._blank: set[tuple[int, int]] = set()

    def try_again(self, file_id: int, places: list[Place], raw: Path) -> None:
        """Read these rows of one part of a file again, from the file or what is kept of it."""
        before = self._known[file_id]
        part = replace(
            before, load_id=self.load_id, file_id=self._next_file_id(), status="replayed",
            detail=None, duplicate_of=None, lines=0, blank=0, pending=0, pending_text=None,
            rounded_amounts=0,
        )  # fmt: skip
        records: dict[int, set[int]] = defaultdict(set)
        for _, line, record_number in places:
            records[line] |= set() if record_number is None else {record_number}
        seen: set[int] = set()
        file = self._lying_at(before)
        if file is not None:
            try:
                self._read_file(file, before, part, records, seen)
            except (Unreadable, OSError, pa.ArrowException):
                # It changes just now; what was read of it was as it had been.
                log.info("%s changed while it was read again", part.path)
        if len(seen) < len(records) and self.contract[part.source].role != "telemetry":
            for line in _kept_lines(raw, before, records.keys() - seen):
                self._read_line(line, part)
                seen.add(line.number)
        self._gone |= {place for place in places if place[1] not in seen}
        self._tried[part.file_id] = part, [place for place in places if place[1] in seen]

    def _lying_at(self, before: LandedFile) -> Path | None:
        """Where the content of a part lies now, up to its end, or None."""
        for path in self._paths[before.first_file_id or before.file_id]:
            file = self.landing / self._lying.get(path, path)
            try:
                if (
                    not file.is_symlink()
                    and file.is_file()
                    and file.stat().st_size >= before.end_byte
                    and hash_until(file, before.end_byte) == before.settled_hash
                ):
                    return file
            except (OSError, Unreadable):
                continue
        return None

    def _read_file(
        self,
        file: Path,
        before: LandedFile,
        part: LandedFile,
        records: dict[int, set[int]],
        seen: set[int],
    ) -> None:
        """Read lines as they were read before, and note their numbers."""
        with ExitStack() as stack:
            stream = stack.enter_context(file.open("rb"))
            kind = kind_of(stream.read(4096))
            if kind == "parquet":
                self._read_rows(file, part, records.keys(), seen)
                return
            end_byte = before.end_byte
            if kind != "plain":
                stream = stack.enter_context(unpacked(file, kind, self.folder.parent))
                end_byte = stream.seek(0, 2)
            lines = lines_between(stream, before.start_byte, end_byte)
            for line in lines_of(lines, before.first_line, before.start_byte):
                if line.number not in records:
                    continue
                seen.add(line.number)
                if records[line.number]:
                    self._read_records(line, part, records[line.number])
                else:
                    blank = part.blank
                    self._read_line(line, part)
                    if part.blank > blank:
                        self._blank.add((part.file_id, line.number))

    def _read_records(self, line: Line, part: LandedFile, numbers: set[int]) -> None:
        """Read records of a line of telemetry, by their numbers."""
        try:
            request = json_object(line.text)
            count = sum(1 for _ in otlp.records(request, self.keeps_content))
        except Rejection as rejection:
            self._reject(part, line.number, None, rejection, line.text)
            return
        for number in sorted(numbers):
            if number > count:
                lacking = Rejection("missing_record", f"the line is read as {count} records now")
                self._reject(part, line.number, number, lacking, line.text)
        self._telemetry(request, line, part, numbers)

    def _read_rows(
        self, file: Path, part: LandedFile, wanted: Iterable[int], seen: set[int]
    ) -> None:
        """Read rows of Parquet, by their numbers."""
        numbers, source = np.array(sorted(wanted)), self.contract[part.source]
        first = 1
        with pq.ParquetFile(file, page_checksum_verification=True) as content:
            for batch in content.iter_batches(ROW_GROUP_ROWS):
                here = numbers[(numbers >= first) & (numbers < first + len(batch))]
                if len(here):
                    rows = pa.Table.from_batches([batch]).take(pa.array(here - first))
                    seen.update(here.tolist())
                    self._parquet_part(rows, here, source, part)
                first += len(batch)

    def settle(self, rejected: dict[Place, tuple[str, str]], report: ReplayReport) -> bool:
        """Say what became of each row, and write the books; returns whether anything changed."""
        self._write_rows()
        now = {(row["file_id"], row["line"], row["record_number"]): row for row in self.rejected}
        refused_lines = Counter(file_id for file_id, _, record in now if record is None)
        marks: list[dict[str, Any]] = []
        has_news = False
        for part, places in self._tried.values():
            passed = 0
            for place in places:
                _, line, record_number = place
                found = now.get((part.file_id, line, record_number))
                if record_number is not None:
                    # All of its line may be refused now.
                    found = found or now.get((part.file_id, line, None))
                why = (found["reason"], found["detail"]) if found else rejected[place]
                has_news |= found is None or why != rejected[place]
                passed += found is None
                (report.kept if found else report.loaded)[why[0]] += 1
                outcome = "rejected" if found else "loaded"
                if (part.file_id, line) in self._blank:
                    outcome = "blank"
                marks.append(self._mark(place, None if found else part, outcome, *why))
            for _, line, record_number in places:
                now.pop((part.file_id, line, record_number), None)
                now.pop((part.file_id, line, None), None)
            rows = self._settled[part.file_id] - refused_lines[part.file_id]
            if part.source != TELEMETRY and passed != rows:
                raise AssertionError(
                    f"Of {part.path} {passed} rejected rows pass now, but {rows} were loaded: "
                    "please report this."
                )
            if passed:
                part.detail = f"{passed:,} rejected rows of file {places[0][0]} pass now"
                self.landed.append(part)
        # Records of lines that were refused as a whole before.
        report.kept.update(row["reason"] for row in now.values())
        for place in self._gone:
            report.kept[rejected[place][0]] += 1
            report.gone[self._known[place[0]].path] += 1
        if has_news:
            self._write_books({"rejected_rows": list(now.values()), "replayed_rows": marks})
        return has_news

    def _mark(
        self, place: Place, part: LandedFile | None, outcome: str, reason: str, detail: str
    ) -> dict[str, Any]:
        file_id, line, record_number = place
        return {
            "load_id": self.load_id,
            "file_id": file_id,
            "line": line,
            "record_number": record_number,
            "replayed_file_id": part.file_id if part else None,
            "outcome": outcome,
            "reason": reason,
            "detail": detail,
        }


def _kept_lines(raw: Path, before: LandedFile, wanted: Set[int]) -> Iterator[Line]:
    """The lines of a part whose rejected text was kept whole."""
    folder = load_folder(raw, before.load_id) / "rejected_rows"
    for part in sorted(folder.glob("*.parquet")):
        if "is_whole" not in pq.read_schema(part).names:
            continue
        table = pq.read_table(
            part,
            columns=["line", "raw_text"],
            filters=[("file_id", "==", before.file_id), ("is_whole", "==", True)],
        )
        for number, text in zip(*table.to_pydict().values(), strict=True):
            if number in wanted:
                yield Line(number, text.encode(), True)
