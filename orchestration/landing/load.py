"""One load: what is new in the landing zone, written as Parquet and committed by one rename."""

import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestration.closed import close_off
from orchestration.forgotten import Forgotten
from orchestration.landing import otlp, parquet, rules
from orchestration.landing.content import without_content
from orchestration.landing.contract import Source
from orchestration.landing.decode import (
    Coercion,
    Line,
    Rejection,
    canonical_json,
    json_object,
    lines_of,
)
from orchestration.landing.files import (
    Found,
    Hashes,
    Ignored,
    Unreadable,
    blocks_between,
    hash_until,
    hashes_of,
    kind_of,
    lines_before,
    lines_between,
    scan,
    unpacked,
)
from orchestration.landing.history import (
    History,
    LandedFile,
    committed_loads,
    landed_table,
    load_folder,
    read_history,
)
from orchestration.landing.plain import Chunk, PlainLines

log = logging.getLogger("warehouse")

BATCH_ROWS = 50_000
# Lines are read together in blocks of about so many bytes; fewer lines are read one by one.
BLOCK_BYTES = 16 << 20
FEWEST_PLAIN_LINES = 200
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ROW_GROUP_ROWS = 131_072
FILES_PER_LOAD = 10_000_000
LONGEST_RAW_TEXT = 65_536
LONGEST_OTLP_TEXT = 120
# What is worth a line of progress.
LARGE_BYTES = 10_000_000
MANY_FILES = 1_000
TELEMETRY = "otlp"
PART = "part-0.parquet"
RARELY_REPEATED = ("instant", "latency", "amount")


class LoadFailed(RuntimeError):
    """The load cannot be written; the text says where."""


@dataclass
class LoadReport:
    """What one night found in the landing zone; load_id is None where nothing was new.

    has_learnt: whether it told another identity of somebody forgotten.
    """

    load_id: int | None = None
    ignored: list[Ignored] = field(default_factory=list)
    files: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    pending: int = 0
    has_learnt: bool = False


def land(
    landing: Path,
    raw: Path,
    contract: dict[str, Source],
    keeps_content: bool,
    memory_limit: str,
    on_progress: Callable[[str], None] = lambda _: None,
) -> LoadReport:
    """Load what is new in the landing zone into the next load below raw/, or nothing.

    Raises FileNotFoundError where there is no landing zone. A crash leaves a whole load or none.
    """
    if not landing.is_dir():
        raise FileNotFoundError(
            f"The landing zone {landing} is no folder: create it, or name another with --landing."
        )
    prepare_raw(raw, contract)
    forgotten = Forgotten.read(raw.parent)
    history = read_history(raw)
    load_id = committed_loads(raw)[-1] + 1
    folder = raw / f".load-{load_id:09d}"
    report = LoadReport()
    with ExitStack() as stack:
        load = Load(
            load_id, folder, landing, contract, history, forgotten, keeps_content, memory_limit
        )
        stack.callback(load.close)
        sources = [name for name, source in contract.items() if source.role != "bookkeeping"]
        for entry in scan(landing, sources):
            if isinstance(entry, Ignored):
                report.ignored.append(
                    Ignored(forgotten.wording(entry.path), forgotten.wording(entry.reason))
                )
            else:
                load.consider(entry, on_progress)
        load.settle_cut_lines()
        if load.landed:
            load.finish(report)
    if report.load_id is not None:
        if load.has_learnt:
            forgotten.save()
        commit(raw, folder, load_id)
    elif folder.exists():
        shutil.rmtree(folder)
    return report


def prepare_raw(raw: Path, contract: dict[str, Source]) -> None:
    """Take away what a crash left in raw/, and see to load 0."""
    raw.mkdir(parents=True, exist_ok=True)
    for leftover in raw.glob(".load-*"):
        shutil.rmtree(leftover)
    _write_empty_load(raw, contract)


def commit(raw: Path, folder: Path, load_id: int) -> None:
    """Make a load of a folder that is complete: by one rename."""
    _sync(folder)
    os.rename(folder, load_folder(raw, load_id))
    _sync_folder(raw)


class Load:
    """The writers and counters of the load in progress."""

    def __init__(
        self,
        load_id: int,
        folder: Path,
        landing: Path,
        contract: dict[str, Source],
        history: History,
        forgotten: Forgotten,
        keeps_content: bool,
        memory_limit: str,
    ) -> None:
        self.load_id = load_id
        self.folder = folder
        self.landing = landing
        self.contract = contract
        self.history = history
        self.forgotten = forgotten
        self.has_learnt = False
        self.keeps_content = keeps_content
        self.landed: list[LandedFile] = []
        self.rejected: list[dict[str, Any]] = []
        self.reasons: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self._settled: Counter[int] = Counter()
        self._spoiled: set[int] = set()
        self._files = 0
        self._telemetry_rows: list[dict[str, Any]] = []
        self._writers: dict[str, pq.ParquetWriter] = {}
        # Per table, what waits to be written as one row group.
        self._waiting: dict[str, list[pa.Table]] = {}
        self._batches: dict[str, _Batch] = {}
        # Per source, whole lines that wait to be read together, and the file of each piece of them.
        self._queues: dict[str, list[tuple[LandedFile, bytes]]] = {}
        self._queued_bytes: Counter[str] = Counter()
        self._plain: dict[str, PlainLines] = {}
        self._open_lines = {file.first_file_id: file for file in history.pending()}
        self._connection = duckdb.connect(
            # What does not fit in memory is no business of the folder that a night is started in.
            config={"memory_limit": memory_limit, "temp_directory": f"{folder.parent}/.load-spill"}
        )
        self._connection.execute("set TimeZone = 'UTC'")
        close_off(self._connection)

    def close(self) -> None:
        """Close what is open, without committing."""
        for writer in self._writers.values():
            writer.close()
        self._connection.close()

    def consider(self, found: Found, on_progress: Callable[[str], None]) -> None:
        """Read what is new in a file, or note why there is nothing."""
        path = self.forgotten.wording(found.path)
        last = self.history.by_path.get(path)
        was_refused = last is not None and last.status == "unreadable" and not last.content_hash
        if self.history.knows(found) and not was_refused:
            return
        landed = LandedFile(
            load_id=self.load_id,
            file_id=self._next_file_id(),
            source=found.source,
            path=path,
            status="loaded",
            size_bytes=found.size_bytes,
            modified_ns=found.modified_ns,
            end_byte=found.size_bytes,
        )
        landed.first_file_id = landed.file_id
        try:
            self._identify_and_read(found, landed, on_progress)
        except (Unreadable, OSError) as error:
            self._note_unreadable(landed, error, last)

    def _next_file_id(self) -> int:
        self._files += 1
        return self.load_id * FILES_PER_LOAD + self._files

    def _identify_and_read(
        self, found: Found, landed: LandedFile, on_progress: Callable[[str], None]
    ) -> None:
        file = self.landing / found.path
        hashes = hashes_of(
            file,
            found.size_bytes,
            self.history.settled[found.source],
            self.history.short_lengths[found.source],
        )
        landed.head_hash, landed.content_hash = hashes.head, hashes.content
        same = self.history.by_content.get((found.source, hashes.content))
        if same is None:
            same = self.history.by_settled.get((found.source, hashes.content))
        if same is not None:
            landed.status, landed.duplicate_of = "duplicate_of", same.file_id
            self._note(landed)
            return
        if found.size_bytes >= LARGE_BYTES:
            on_progress(f"reading {landed.path} ({found.size_bytes:,} bytes)")
        elif len(self.landed) % MANY_FILES == MANY_FILES - 1:
            on_progress(f"read {len(self.landed) + 1:,} files")
        with file.open("rb") as stream:
            kind = kind_of(stream.read(4096))
            if kind == "parquet":
                self._read_parquet(file, landed)
            elif kind == "plain":
                self._continue(hashes, landed, file)
                landed.first_line = 1 + lines_before(stream, landed.start_byte)
                self._read_lines(stream, landed.size_bytes, landed, may_grow=True)
            else:
                with unpacked(file, kind, self.folder.parent) as whole:
                    end_byte = whole.seek(0, os.SEEK_END)
                    self._read_lines(whole, end_byte, landed, may_grow=False)
        landed.settled_hash = (
            hashes.content
            if landed.end_byte == landed.size_bytes
            else hash_until(file, landed.end_byte)
        )
        self._note(landed)

    def _continue(self, hashes: Hashes, landed: LandedFile, file: Path) -> None:
        """Start after the known content that the file begins with."""
        for known in list(self._open_lines.values()):
            if (
                (known.source, known.end_byte) == (landed.source, hashes.known_until)
                and known.size_bytes <= landed.size_bytes
                and hash_until(file, known.size_bytes) == known.content_hash
            ):
                # It begins with the line that was cut, too: the line has grown.
                del self._open_lines[known.first_file_id]
                landed.first_file_id, landed.start_byte = known.first_file_id, known.end_byte
                return
        if not hashes.known_until:
            return
        landed.start_byte = hashes.known_until
        known = self.history.by_settled[landed.source, hash_until(file, hashes.known_until)]
        # Where the known file has grown otherwise, this one is a file of its own.
        if self.history.latest.get(known.first_file_id) is known and not known.pending:
            landed.first_file_id = known.first_file_id

    def _note_unreadable(
        self, landed: LandedFile, error: Exception, last: LandedFile | None
    ) -> None:
        landed.status = "unreadable"
        landed.detail = (
            str(error)
            if isinstance(error, Unreadable)
            else f"it cannot be read: {getattr(error, 'strerror', None) or error}"
        )
        landed.first_file_id, landed.end_byte, landed.settled_hash = None, 0, None
        landed.lines = landed.blank = landed.pending = landed.rounded_amounts = 0
        landed.pending_text = None
        self._spoiled.add(landed.file_id)
        queue = self._queues.get(landed.source, [])
        queue[:] = [(part, content) for part, content in queue if part is not landed]
        if last is None or (last.status, last.detail, last.content_hash) != (
            landed.status,
            landed.detail,
            landed.content_hash,
        ):
            self._note(landed)

    def _note(self, landed: LandedFile) -> None:
        self.landed.append(landed)
        self.history.add(landed)

    def settle_cut_lines(self) -> None:
        """Reject the last lines that were cut in an earlier night and have not grown since."""
        for file in self._open_lines.values():
            cut = LandedFile(
                load_id=self.load_id,
                file_id=self._next_file_id(),
                source=file.source,
                path=file.path,
                status="loaded",
                first_file_id=file.first_file_id,
                size_bytes=file.size_bytes,
                modified_ns=file.modified_ns,
                start_byte=file.end_byte,
                end_byte=file.size_bytes,
                first_line=file.first_line + file.lines,
                head_hash=file.head_hash,
                content_hash=file.content_hash,
                settled_hash=file.content_hash,
                lines=1,
            )
            number = file.first_line + file.lines
            rejection = Rejection("cut", "the last line is cut, and the file has not grown since")
            self._reject(cut, number, None, rejection, file.pending_text or "")
            self._note(cut)

    def finish(self, report: LoadReport) -> None:
        """Write what is buffered and the books of the load, and check that they balance."""
        self._write_rows()
        self._drop_spoiled()
        for file in self.landed:
            if file.status == "loaded" and file.lines != self._settled[file.file_id] + file.blank:
                raise AssertionError(
                    f"{file.path} has {file.lines} lines, but {self._settled[file.file_id]} were "
                    f"loaded or rejected and {file.blank} are blank: please report this."
                )
        self._write_books({"rejected_rows": self.rejected})
        report.has_learnt = self.has_learnt
        report.load_id = self.load_id
        report.files = Counter(file.status for file in self.landed)
        report.rows = self.rows
        report.rejected = self.reasons
        report.pending = sum(file.pending for file in self.landed)
        report.unreadable = [
            (file.path, file.detail or "") for file in self.landed if file.status == "unreadable"
        ]

    def _write_rows(self) -> None:
        for source in list(self._queues):
            self._read_queued(source)
        for batch in self._batches.values():
            self._flush(batch)
        self._flush_telemetry()
        for name in list(self._waiting):
            self._write_waiting(name)
        for writer in self._writers.values():
            writer.close()

    def _write_books(self, books: dict[str, list[dict[str, Any]]]) -> None:
        """Write landed_files and other tables of bookkeeping, each at one go."""
        self._write("landed_files", landed_table(self.landed, self.contract["landed_files"]))
        for name, rows in books.items():
            if rows:
                schema = self.contract[name].schema
                self._write(name, pa.Table.from_pylist(rows, schema=schema))
        for name in ("landed_files", *books):
            self._write_waiting(name)
            if name in self._writers:
                self._writers[name].close()
        if self.has_learnt:
            # What was read before the news may name somebody by what nobody knew then.
            for name in self._writers:
                rewrite_part(self.folder / name / PART, self.forgotten, self.contract[name])

    def _drop_spoiled(self) -> None:
        """Take out again what was read of files that turned out to be damaged further on."""
        self.rejected = [row for row in self.rejected if row["file_id"] not in self._spoiled]
        self.reasons = Counter(row["reason"] for row in self.rejected)
        if not any(self._settled[file_id] for file_id in self._spoiled):
            return
        spoiled = pa.array(sorted(self._spoiled), pa.int64())
        for name in self._writers:
            part = self.folder / name / PART
            kept = part.with_suffix(".kept")
            schema = self.contract[name].schema
            with (
                pq.ParquetFile(part) as read,
                parquet_writer(kept, schema, self.contract[name]) as written,
            ):
                self.rows[name] = 0
                for batch in read.iter_batches(BATCH_ROWS):
                    good = batch.filter(pc.invert(pc.is_in(batch["file_id"], spoiled)))
                    self.rows[name] += len(good)
                    written.write_batch(good)
            os.replace(kept, part)

    def _read_lines(
        self, stream: BinaryIO, end_byte: int, landed: LandedFile, may_grow: bool
    ) -> None:
        if landed.source == TELEMETRY:
            lines = lines_between(stream, landed.start_byte, end_byte)
            for line in lines_of(lines, landed.first_line, landed.start_byte):
                if line.is_terminated:
                    landed.lines += 1
                    self._read_line(line, landed)
                else:
                    self._read_last(line, landed, may_grow)
            return
        is_first = landed.start_byte == 0
        for block in blocks_between(stream, landed.start_byte, end_byte, BLOCK_BYTES):
            content = block.removeprefix(BYTE_ORDER_MARK) if is_first else block
            is_first = False
            whole = content.rfind(b"\n") + 1
            if whole:
                self._queue(landed, content[:whole])
            if whole < len(content):
                self._read_queued(landed.source)
                number = landed.first_line + landed.lines
                self._read_last(Line(number, content[whole:], False), landed, may_grow)

    def _queue(self, landed: LandedFile, content: bytes) -> None:
        """Keep whole lines until there are enough of them to be read together."""
        queue = self._queues.setdefault(landed.source, [])
        queue.append((landed, content))
        self._queued_bytes[landed.source] += len(content)
        if self._queued_bytes[landed.source] >= BLOCK_BYTES:
            self._read_queued(landed.source)

    def _read_queued(self, source: str) -> None:
        """Read the queued lines of a source: the plain ones in bulk, the others one by one."""
        queue = self._queues.pop(source, [])
        self._queued_bytes[source] = 0
        if not queue:
            return
        chunk = Chunk(b"".join(content for _, content in queue))
        ends = np.cumsum([len(content) for _, content in queue])
        part_of_line = np.searchsorted(ends, chunk.starts, side="right")
        numbers = np.empty(len(chunk), dtype=np.int64)
        for part, (landed, _) in enumerate(queue):
            first, last = np.searchsorted(part_of_line, [part, part + 1])
            numbers[first:last] = np.arange(last - first) + landed.first_line + landed.lines
            landed.lines += int(last - first)
        is_left = np.ones(len(chunk), dtype=bool)
        if len(chunk) >= FEWEST_PLAIN_LINES:
            is_left[self._load_plain(source, chunk, [part for part, _ in queue], part_of_line)] = 0
        for index in np.flatnonzero(is_left).tolist():
            line = Line(int(numbers[index]), chunk.line(index), True)
            self._read_line(line, queue[part_of_line[index]][0])

    def _load_plain(
        self, source: str, chunk: Chunk, parts: list[LandedFile], part_of_line: np.ndarray
    ) -> np.ndarray:
        """Load the plain lines of a chunk; returns which they are."""
        if source not in self._plain:
            self._plain[source] = PlainLines(
                self.contract[source], self.keeps_content, self._connection
            )
        plain = self._plain[source].read(chunk)
        if len(plain.lines):
            for part, count in enumerate(np.bincount(part_of_line[plain.rounded])):
                parts[part].rounded_amounts += int(count)
            file_ids = np.array([part.file_id for part in parts], dtype=np.int64)
            self._load(source, plain.rows, pa.array(file_ids[part_of_line[plain.lines]]))
        return plain.lines

    def _read_last(self, line: Line, landed: LandedFile, may_grow: bool) -> None:
        """Read a last line that has no line end; one that is cut may be whole another night."""
        if may_grow and line.text.strip():
            try:
                json_object(line.text)
            except Rejection:
                landed.pending = 1
                landed.pending_text = self._raw_text(landed.source, line.text)
                landed.end_byte -= len(line.text)
                return
        landed.lines += 1
        self._read_line(line, landed)

    def _read_line(self, line: Line, landed: LandedFile) -> None:
        """Read one line strictly, which landed counts already."""
        if not line.text.strip():
            landed.blank += 1
            return
        try:
            value = json_object(line.text)
        except Rejection as rejection:
            self._reject(landed, line.number, None, rejection, line.text)
            return
        read = self._telemetry if landed.source == TELEMETRY else self._platform
        read(value, line, landed)

    def _platform(self, fields: dict[str, Any], line: Line, landed: LandedFile) -> None:
        batch = self._batch(landed.source)
        before = batch.coercion.rounded
        try:
            row = batch.coercion.row(fields, b"\\u" in line.text)
        except Rejection as rejection:
            self._reject(landed, line.number, None, rejection, line.text)
            return
        landed.rounded_amounts += batch.coercion.rounded - before
        batch.add(landed, line.number, line.text, row)
        if len(batch.rows) >= BATCH_ROWS:
            self._flush(batch)

    def _telemetry(
        self,
        request: dict[str, Any],
        line: Line,
        landed: LandedFile,
        wanted: Set[int] | None = None,
    ) -> None:
        """Read the records of a line, or only those of the wanted numbers."""
        rows, rejected = [], []
        count = 0
        try:
            for count, record in enumerate(otlp.records(request, self.keeps_content), 1):
                if wanted is not None and count not in wanted:
                    continue
                if isinstance(record, Rejection):
                    rejected.append((count, record))
                    continue
                row = {**record.__dict__, "load_id": self.load_id, "file_id": landed.file_id}
                landed.rounded_amounts += row.pop("rounded_amounts")
                rows.append({**row, "line": line.number})
        except Rejection as rejection:
            self._reject(landed, line.number, None, rejection, line.text)
            return
        if count == 0:
            landed.blank += 1
            return
        for number, record in rejected:
            self._reject(landed, line.number, number, record, line.text)
        self._settled[landed.file_id] += 1
        self.rows[TELEMETRY] += len(rows)
        self._telemetry_rows += rows
        if len(self._telemetry_rows) >= BATCH_ROWS:
            self._flush_telemetry()

    def _read_parquet(self, file: Path, landed: LandedFile) -> None:
        if landed.source == TELEMETRY:
            raise Unreadable("telemetry is read from JSON lines only: set the exporter to json")
        source = self.contract[landed.source]
        batch = self._batch(landed.source)
        self._flush(batch)
        number = 1
        try:
            # Only pages that carry a checksum are verified; a flipped bit in others is not seen.
            with pq.ParquetFile(file, page_checksum_verification=True) as content:
                names = content.schema_arrow.names
                if len(set(names)) < len(names):
                    raise Unreadable("two of its columns have one name: give each its own")
                for batch in content.iter_batches(ROW_GROUP_ROWS):
                    part = pa.Table.from_batches([batch])
                    numbers = np.arange(number, number + len(part))
                    self._parquet_part(part, numbers, source, landed)
                    number += len(part)
        except pa.ArrowException as error:
            raise Unreadable(f"its Parquet content is damaged ({error}): send it again") from error
        landed.lines = number - 1

    def _parquet_part(
        self, part: pa.Table, numbers: np.ndarray, source: Source, landed: LandedFile
    ) -> None:
        """Load the rows of a part that are plain, and judge the others; numbers are theirs."""
        known = {item.name for item in source.fields}
        has_unknown = not known.issuperset(part.column_names)
        plain = None if has_unknown else parquet.plain_rows(part, source)
        if plain is not None:
            rows, is_plain = plain
            rows = rows.append_column("extra", pa.nulls(len(rows), pa.string()))
            is_left = pa.array(~is_plain)
            if is_plain.any():
                rows = rows if is_plain.all() else rows.filter(pa.array(is_plain))
                file_ids = pa.repeat(pa.scalar(landed.file_id, pa.int64()), len(rows))
                self._load(source.name, rows, file_ids)
            part, numbers = part.filter(is_left), numbers[~is_plain]
        if len(part):
            self._judge_part(part, numbers, source, landed)

    def _judge_part(
        self, part: pa.Table, numbers: np.ndarray, source: Source, landed: LandedFile
    ) -> None:
        coercion = Coercion(source, self.keeps_content)
        part, broken = parquet.decoded(part)
        columns: dict[str, Any] = {
            "row_number": pa.array(range(len(part)), pa.int64()),
            "file_id": pa.array([landed.file_id] * len(part), pa.int64()),
        }
        for item in source.fields:
            column = parquet.column(part, item.name)
            if not parquet.fits(item.kind, column.type):
                values = []
                for position, value in enumerate(column.to_pylist()):
                    try:
                        values.append(coercion.value(item, value))
                    except Rejection as rejection:
                        broken.setdefault(position, rejection)
                        values.append(None)
                kind = pa.list_(pa.string()) if item.kind == "tags" else pa.string()
                column = pa.chunked_array([pa.array(values, kind)])
            columns[item.name] = column
        known = {item.name for item in source.fields}
        unknown = [name for name in part.column_names if name not in known]
        columns["extra"] = pa.array(
            [coercion.extra(parquet.row(part.select(unknown), row)) for row in range(len(part))]
            if unknown
            else [None] * len(part),
            pa.string(),
        )
        landed.rounded_amounts += coercion.rounded
        table = pa.table(columns)
        for position, rejection in broken.items():
            raw = canonical_json(parquet.row(part, position))
            self._reject(landed, int(numbers[position]), None, rejection, raw)
        if broken:
            keep = pa.array(position not in broken for position in range(len(part)))
            table = table.filter(keep)
        self._judge(
            source,
            table,
            lambda position: (
                landed,
                int(numbers[position]),
                canonical_json(parquet.row(part, position)),
            ),
        )

    def _batch(self, source: str) -> "_Batch":
        if source not in self._batches:
            coercion = Coercion(self.contract[source], self.keeps_content)
            self._batches[source] = _Batch(self.contract[source], coercion)
        return self._batches[source]

    def _flush(self, batch: "_Batch") -> None:
        if batch.rows:
            origins = batch.origins
            self._judge(batch.source, batch.table(), lambda position: origins[position])
            batch.clear()

    def _flush_telemetry(self) -> None:
        if self._telemetry_rows:
            schema = self.contract[TELEMETRY].schema
            self._write(TELEMETRY, pa.Table.from_pylist(self._telemetry_rows, schema=schema))
            self._telemetry_rows = []

    def _judge(
        self,
        source: Source,
        candidates: pa.Table,
        origin: Callable[[int], tuple[LandedFile, int, bytes | str]],
    ) -> None:
        """Apply the rules to candidate rows: write the good ones, reject the others."""
        sql = rules.judged(source, "candidates", candidates.schema)
        self._connection.register("candidates", candidates)
        result = self._connection.sql(sql).to_arrow_table()
        self._connection.unregister("candidates")
        is_good = pc.is_null(result["problem"])
        bad = result.filter(pc.invert(is_good)).select(["row_number", "problem"])
        by_number: dict[int, int] = {}
        if len(bad):
            numbers = candidates["row_number"].to_pylist()
            by_number = {number: index for index, number in enumerate(numbers)}
        for row in bad.to_pylist():
            reason, name = row["problem"].split(":")
            value = parquet.value(candidates[name][by_number[row["row_number"]]])
            rejection = Rejection(reason, rules.sentence(source, reason, name, value))
            landed, line, raw = origin(row["row_number"])
            self._reject(landed, line, None, rejection, raw)
        good = result.filter(is_good)
        if len(good):
            self._load(source.name, good, good["file_id"])

    def _load(self, source: str, rows: pa.Table, file_ids: pa.Array | pa.ChunkedArray) -> None:
        """Write rows of the contract's fields and `extra`, and count them for their files."""
        schema = self.contract[source].schema
        columns = {
            "load_id": pa.repeat(pa.scalar(self.load_id, pa.int64()), len(rows)),
            "file_id": file_ids,
            **{name: rows[name] for name in schema.names if name not in ("load_id", "file_id")},
        }
        table = pa.table(columns)
        self._write(source, table if table.schema.equals(schema) else table.cast(schema))
        for file_id in file_ids.value_counts().to_pylist():
            self._settled[file_id["values"]] += file_id["counts"]
        self.rows[source] += len(rows)

    def _reject(
        self,
        landed: LandedFile,
        line: int,
        record_number: int | None,
        rejection: Rejection,
        raw: bytes | str,
    ) -> None:
        if record_number is None:
            self._settled[landed.file_id] += 1
        self.reasons[rejection.reason] += 1
        text = self._raw_text(landed.source, raw)
        self.rejected.append(
            {
                "load_id": self.load_id,
                "file_id": landed.file_id,
                "source": landed.source,
                "path": landed.path,
                "line": line,
                "record_number": record_number,
                "reason": rejection.reason,
                "detail": _encodable(rejection.detail),
                "raw_text": text,
                "is_whole": isinstance(raw, bytes) and text.encode() == raw,
            }
        )

    def _raw_text(self, source: str, raw: bytes | str) -> str:
        """The text of a rejected line as far as it is kept: of telemetry a short head.

        The head ends where the first value begins, which may be content.
        """
        text = raw if isinstance(raw, str) else raw.decode("utf-8", "backslashreplace")
        if source == TELEMETRY:
            head = text[:LONGEST_OTLP_TEXT]
            if not self.keeps_content:
                head = head.partition('"value"' if '"resource' in head else ":")[0]
            return _encodable(head)
        if not self.keeps_content:
            try:
                value = json.loads(text)
                kept = without_content(value)
                text = text if kept == value else json.dumps(kept, ensure_ascii=False)
            except (ValueError, RecursionError):
                log.debug("a rejected line is no JSON and is kept as it came")
        return _encodable(text[:LONGEST_RAW_TEXT])

    def _write(self, name: str, table: pa.Table) -> None:
        """Write rows, together with those that come until there are enough of them.

        Nobody forgotten is named in them.
        """
        if self.forgotten.learn_from(name, table, self._owner_of):
            self.has_learnt = True
        table = self.forgotten.table(name, table)
        waiting = self._waiting.setdefault(name, [])
        waiting.append(table)
        if sum(len(part) for part in waiting) >= ROW_GROUP_ROWS:
            self._write_waiting(name)

    def _owner_of(self, identity: str) -> str | None:
        """The user whose identity a text is by the loads before this one, else nobody."""
        newest = None
        for part in self.folder.parent.glob("[0-9]*/user_identities/*.parquet"):
            for row in pq.read_table(part, filters=[("identity", "=", identity)]).to_pylist():
                newest = max(newest or row, row, key=lambda each: each["updated_at"])
        return newest["user_id"] if newest else None

    def _write_waiting(self, name: str) -> None:
        tables = self._waiting.pop(name, [])
        if not tables:
            return
        try:
            if name not in self._writers:
                folder = self.folder / name
                folder.mkdir(parents=True, exist_ok=True)
                self._writers[name] = parquet_writer(
                    folder / PART, tables[0].schema, self.contract[name]
                )
            self._writers[name].write_table(pa.concat_tables(tables))
        except OSError as error:
            # No fault of the file that is being read.
            raise LoadFailed(f"The load {self.folder} cannot be written: {error}") from error


class _Batch:
    """Rows of one source that wait for the rules, and where each came from."""

    def __init__(self, source: Source, coercion: Coercion) -> None:
        self.source = source
        self.coercion = coercion
        self.clear()

    def clear(self) -> None:
        self.rows: list[list[Any]] = []
        self.origins: list[tuple[LandedFile, int, bytes]] = []

    def add(self, landed: LandedFile, line: int, text: bytes, row: list[Any]) -> None:
        self.rows.append(row)
        self.origins.append((landed, line, text))

    def table(self) -> pa.Table:
        """The rows as a relation of texts, with row_number as the index of their origin."""
        kinds = [
            pa.list_(pa.string()) if item.kind == "tags" else pa.string()
            for item in self.source.fields
        ]
        names = [item.name for item in self.source.fields]
        columns = [
            pa.array(values, kind)
            for values, kind in zip(
                zip(*self.rows, strict=True), [*kinds, pa.string()], strict=True
            )
        ]
        numbers = pa.array(range(len(self.rows)), pa.int64())
        files = pa.array([landed.file_id for landed, _, _ in self.origins], pa.int64())
        return pa.table(
            [numbers, files, *columns], names=["row_number", "file_id", *names, "extra"]
        )


def _encodable(text: str) -> str:
    """A text that may hold half of a surrogate pair, as UTF-8 can hold it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def rewrite_part(part: Path, forgotten: Forgotten, source: Source) -> bool:
    """Rewrite a part of a load in which somebody forgotten is named; returns whether one is.

    It takes its own place by a rename, so that it is there, old or new, at any moment.
    """
    with pq.ParquetFile(part) as read:
        schema = read.schema_arrow
        tables = (pa.Table.from_batches([batch]) for batch in read.iter_batches(BATCH_ROWS))
        if all(forgotten.table(source.name, table).equals(table) for table in tables):
            return False
    beside = part.with_name(f".{part.name}.rewritten")
    with pq.ParquetFile(part) as read, parquet_writer(beside, schema, source) as written:
        for batch in read.iter_batches(ROW_GROUP_ROWS):
            table = forgotten.table(source.name, pa.Table.from_batches([batch]))
            written.write_table(table.cast(schema))
    _sync_folder(beside)
    os.replace(beside, part)
    _sync_folder(part.parent)
    return True


def parquet_writer(path: Path, schema: pa.Schema, source: Source) -> pq.ParquetWriter:
    """A writer of one part of a load."""
    # Values that hardly ever repeat cost a dictionary and gain nothing; loads are read whole.
    rare = {field.name for field in source.fields if field.kind in RARELY_REPEATED}
    repeated = [name for name in schema.names if name not in {*rare, *source.key}]
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=repeated,
        write_statistics=False,
        write_page_checksum=True,
    )


def _write_empty_load(raw: Path, contract: dict[str, Source]) -> None:
    """Load 0: an empty, typed file per source, so that what never came is an empty table."""
    folder = load_folder(raw, 0)
    wanted = {name: source.schema for name, source in contract.items()}
    parts = {name: folder / name / PART for name in wanted}
    if all(
        part.exists() and pq.read_schema(part).equals(wanted[name]) for name, part in parts.items()
    ):
        return
    building = raw / ".load-000000000"
    for name, schema in wanted.items():
        (building / name).mkdir(parents=True, exist_ok=True)
        with parquet_writer(building / name / PART, schema, contract[name]):
            pass
    _sync(building)
    if folder.exists():
        shutil.rmtree(folder)
    os.rename(building, folder)
    _sync_folder(raw)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        _sync_folder(path)
    _sync_folder(folder)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
