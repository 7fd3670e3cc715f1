"""Forgetting a person: whatever was written before loses what names them, and figures stay.

Every step can be done again: a file is rewritten beside itself and takes its own place by a rename,
and a text that has been rewritten once stays as it is. What forgotten.json notes as unfinished is
taken up again by the next night, which begins with it.
"""

import gzip
import hashlib
import json
import logging
import os
import re
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from orchestration import restatements, telemetry
from orchestration.closed import close_off
from orchestration.forgotten import (
    FIELDS_OF_PEOPLE,
    FILE,
    IDENTITY_COLUMNS,
    Forgotten,
    Person,
    is_weak,
    spellings,
)
from orchestration.landing.contract import read_contract
from orchestration.landing.history import committed_loads, load_folder
from orchestration.landing.load import TELEMETRY, rewrite_part
from orchestration.project import CONTRACT, DUCKDB, Settings, dagster_home
from orchestration.publish import quoted, sync

log = logging.getLogger("warehouse")

# Attributes of telemetry that say who it was.
IDENTITY_FIELDS = {"account_uuid", "email", "installation_id", "end_user"}
BATCH_ROWS = 50_000
READ_BYTES = 1 << 22
MACHINE = "installation_id"
SQLITE, DUCKDB_AT_8 = b"SQLite format 3\0", b"DUCK"
GZIP, ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
BUSY_SECONDS = 30
CSV_CELL = re.compile(r'("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)')
# Here an identity that is a part of a longer one is somebody else's.
DATA_ENDINGS = {".csv", ".html", ".json", ".jsonl", ".ndjson"}


class ErasureError(ValueError):
    """Somebody who cannot be forgotten as asked; the text says why and what to ask instead."""


@dataclass
class Erasure:
    """What became of a request to be forgotten.

    was_finished: an earlier request had done everything. shared: user id by identity that somebody
    else has, too. plain: the identities as far as this request knows them.
    """

    person: Person
    was_finished: bool
    shared: dict[str, list[str]] = field(default_factory=dict)
    plain: list[str] = field(default_factory=list)


def begin(settings: Settings, asked: str) -> Erasure:
    """Note who is to be forgotten: from here on no load writes what names them.

    asked: a user id, an e-mail or another identity. The caller holds the home. Raises ErasureError.
    """
    forgotten = Forgotten.read(settings.home)
    person = forgotten.person_of(asked)
    if person is not None:
        return Erasure(person, person.is_finished, plain=[asked])
    user_id, identities, shared = _identities(settings.raw, asked)
    names = {
        row["display_name"]
        for row in _rows(settings.raw, "users", ["user_id", "display_name"])
        if row["user_id"] == user_id and row["display_name"]
    }
    person = forgotten.add(user_id, identities - {user_id}, names)
    forgotten.save()
    return Erasure(person, False, shared, plain=sorted({user_id, *identities, asked}))


def _identities(raw: Path, asked: str) -> tuple[str, set[str], dict[str, list[str]]]:
    """The user id, everything that maps to it, and which of that others have, too."""
    users = _rows(raw, "users", ["user_id", "email"])
    owners: dict[str, str | None] = {}
    links = _rows(raw, "user_identities", ["identity", "user_id", "updated_at"])
    for link in sorted(links, key=lambda row: row["updated_at"]):
        owners[_compared(link["identity"])] = link["user_id"]
    by_email: dict[str, set[str]] = defaultdict(set)
    for row in users:
        if row["email"]:
            by_email[_compared(row["email"])].add(row["user_id"])
    named = {asked} if any(row["user_id"] == asked for row in users) else set()
    named = named or by_email.get(_compared(asked), set())
    named = named or {owner for owner in [owners.get(_compared(asked))] if owner}
    if len(named) > 1:
        raise ErasureError(
            f"{asked} is an identity of {' and '.join(sorted(named))}: ask for one of them by id."
        )
    if not named and not _is_named(raw, asked):
        raise ErasureError(f"No load names {asked!r}: ask by user id, e-mail or another identity.")
    user_id = named.pop() if named else asked
    emails = {row["email"] for row in users if row["user_id"] == user_id and row["email"]}
    linked = {link["identity"] for link in links if owners[_compared(link["identity"])] == user_id}
    known = {user_id, *emails, *linked}
    others = {
        identity
        for identity in [*owners, *by_email]
        if owners.get(identity, user_id) != user_id
        or by_email.get(identity, {user_id}) != {user_id}
    } | {row["user_id"] for row in users if row["user_id"] != user_id}
    known |= _told_with(raw, known, others)
    shared = {
        email: sorted(by_email[_compared(email)] - {user_id})
        for email in sorted(emails)
        if by_email[_compared(email)] - {user_id}
    }
    return user_id, known, shared


def _compared(identity: str) -> str:
    return identity.lower() if "@" in identity else identity


def _parts(raw: Path, source: str) -> Iterator[Path]:
    for load in committed_loads(raw):
        yield from sorted((load_folder(raw, load) / source).glob("*.parquet"))


def _rows(raw: Path, source: str, columns: list[str]) -> list[dict]:
    rows: list[dict] = []
    for part in _parts(raw, source):
        rows += pq.read_table(part, columns=columns).to_pylist()
    return rows


def _is_named(raw: Path, identity: str) -> bool:
    """Whether an event or telemetry names somebody whom no reference knows."""
    for source in read_contract(CONTRACT).values():
        columns = sorted(IDENTITY_COLUMNS & set(source.schema.names))
        for part in _parts(raw, source.name) if columns else ():
            table = pq.read_table(part, columns=columns)
            if any(identity in table[column].unique().to_pylist() for column in columns):
                return True
    return any(_compared(identity) in map(_compared, together) for together in _told_together(raw))


def _told_with(raw: Path, known: set[str], others: set[str]) -> set[str]:
    """What telemetry tells in one record with an identity of a person, and is nobody else's.

    A machine that several accounts or e-mails were seen on tells of nobody but those.
    """
    records = [
        {_compared(text): (text, told_as) for text, told_as in together.items()}
        for together in _told_together(raw)
    ]
    own = {_compared(each) for each in known}
    told: dict[str, str] = {}
    before = -1
    while before < len(own):
        before = len(own)
        for record in records:
            if record.keys() & own:
                told |= {
                    each: text
                    for each, (text, told_as) in record.items()
                    if told_as != MACHINE and text not in others and each not in others
                }
        own |= told.keys()
    seen_on: dict[str, set[str]] = defaultdict(set)
    texts: dict[str, str] = {}
    for record in records:
        for each, (text, told_as) in record.items():
            if told_as == MACHINE:
                texts[each] = text
                seen_on[each] |= {other for other, (_, what) in record.items() if what != MACHINE}
    machines = {
        texts[each]
        for each, people in seen_on.items()
        if people and people <= own and not {each, texts[each]} & others
    }
    return {*told.values(), *machines}


def _told_together(raw: Path) -> list[dict[str, str]]:
    """The identities that one record of telemetry names, with their field, for every record."""
    fields = {
        (row["client"], row["attribute"]): row["field"]
        for row in telemetry.rows_of("telemetry_attributes")
        if row["field"] in IDENTITY_FIELDS
    }
    columns = ["service_name", "scope_name", "record_name", "attributes", "resource"]
    found: set[frozenset[tuple[str, str]]] = set()
    for part in _parts(raw, TELEMETRY):
        for batch in pq.ParquetFile(part).iter_batches(columns=columns):
            for row in batch.to_pylist():
                client = telemetry.client_of(*(row[each] for each in columns[:3]))
                pairs = [*(row["attributes"] or ()), *(row["resource"] or ())]
                told = {
                    (text, fields.get((client, name)) or fields.get((telemetry.ANY_CLIENT, name)))
                    for name, text in pairs
                    if text
                }
                found.add(frozenset((text, told_as) for text, told_as in told if told_as))
    return [dict(each) for each in found if each]


def rewrite_loads(settings: Settings, forgotten: Forgotten) -> None:
    """Rewrite what nights build from, the loads and the closed months, where it names somebody."""
    # A night that died left its figures in the published database only, with the names of then.
    restatements.keep_published(settings)
    contract = read_contract(CONTRACT)
    changed = 0
    for load in committed_loads(settings.raw):
        for part in sorted(load_folder(settings.raw, load).glob("*/[!.]*.parquet")):
            changed += rewrite_part(part, forgotten, contract[part.parent.name])
    for file in _files(settings.closed_months):
        changed += _rewrite(file, forgotten)
    log.info("rewrote %s files that named somebody forgotten", changed)


def finish(settings: Settings) -> None:
    """Rewrite everything else, once a night without the forgotten people is published.

    Sets that no link shows go; the others keep their figures, with hashes of the rewritten files.
    The caller holds the home.
    """
    forgotten = Forgotten.read(settings.home)
    if forgotten.is_finished:
        return
    _rewrite_sets(settings, forgotten)
    for spilled in settings.build_file.parent.glob("*.tmp"):
        # A killed night left what had not fitted in memory.
        shutil.rmtree(spilled, ignore_errors=True)
    if settings.target == DUCKDB:
        # What an earlier night on Spark left was not built anew; the next one there begins again.
        shutil.rmtree(settings.spark, ignore_errors=True)
    rewritten_before = (settings.raw, settings.closed_months)
    for folder in (settings.home, dagster_home()):
        for file in _files(folder) if folder else ():
            if file.name != FILE and not any(root in file.parents for root in rewritten_before):
                _rewrite(file, forgotten)
    forgotten.finish()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file() and not path.is_symlink():
            yield path


def _rewrite(file: Path, forgotten: Forgotten) -> bool:
    """Rewrite a file of any kind; returns whether it named somebody."""
    with file.open("rb") as stream:
        head = stream.read(16)
    if head.startswith(PARQUET):
        return _rewrite_parquet(file, forgotten)
    if head == SQLITE:
        return _rewrite_sqlite(file, forgotten)
    if head[8:12] == DUCKDB_AT_8:
        # Made anew by the night that was just published.
        return False
    content = file.read_bytes()
    packed = head.startswith((GZIP, ZSTD))
    try:
        plain = content
        if head.startswith(GZIP):
            plain = gzip.decompress(content)
        elif packed:
            plain = zstandard.ZstdDecompressor().decompressobj().decompress(content)
        text = plain.decode("utf-8", "surrogateescape")
    except (OSError, EOFError, zstandard.ZstdError):
        return False
    change = forgotten.text if file.suffix in DATA_ENDINGS else forgotten.wording
    changed = text
    if file.suffix == ".csv":
        changed = _rewritten_columns(text, forgotten) if forgotten.has_weak else text
        # A backslash is itself in CSV, but where there is JSON in a cell.
        changed = change(changed)
    changed = forgotten.json_text(changed, change)
    if changed == text:
        return False
    changed = _without_names_of_lines(changed, forgotten)
    written = changed.encode("utf-8", "surrogateescape")
    if head.startswith(GZIP):
        written = gzip.compress(written, mtime=0)
    elif packed:
        written = zstandard.ZstdCompressor().compress(written)
    beside = _beside(file)
    beside.write_bytes(written)
    _replace(beside, file)
    return True


def _rewritten(text: str, forgotten: Forgotten, change: Callable[[str], str]) -> str:
    """A text without identities, and where one stood in a line, without the name beside it."""
    changed = forgotten.json_text(text, change)
    return changed if changed == text else _without_names_of_lines(changed, forgotten)


def _without_names_of_lines(changed: str, forgotten: Forgotten) -> str:
    return "\n".join(
        forgotten.without_names(line, forgotten.people_in(line)) for line in changed.split("\n")
    )


def _rewritten_columns(text: str, forgotten: Forgotten) -> str:
    """CSV with pseudonyms in the columns that hold an identity; other bytes stay."""
    parts: list[str] = []
    header: list[str] = []
    column, is_header = 0, True
    for cell, end in CSV_CELL.findall(text):
        value = cell[1:-1].replace('""', '"') if cell.startswith('"') else cell
        if is_header:
            header.append(re.sub(r"\W", "", value))
        elif column < len(header) and header[column] in FIELDS_OF_PEOPLE:
            changed = forgotten.whole(value)
            cell = cell if changed == value else changed
        parts += [cell, end]
        is_line_end = end != ","
        column, is_header = (0, False) if is_line_end else (column + 1, is_header)
    return "".join(parts)


def _rewrite_parquet(file: Path, forgotten: Forgotten) -> bool:
    """Rewrite a Parquet file that is no part of a load."""
    before = pq.read_table(file)
    after = forgotten.table(None, before)
    if after.equals(before):
        return False
    rows = [
        row if row == old else _without_names(row, forgotten)
        for row, old in zip(after.to_pylist(), before.to_pylist(), strict=True)
    ]
    after = pa.Table.from_pylist(rows, schema=before.schema)
    beside = _beside(file)
    pq.write_table(after, beside, compression="zstd")
    _replace(beside, file)
    return True


def _without_names(row: dict, forgotten: Forgotten) -> dict:
    people = forgotten.people_in(repr(row))
    return {
        name: forgotten.without_names(cell, people) if isinstance(cell, str) else cell
        for name, cell in row.items()
    }


def _beside(file: Path) -> Path:
    return file.with_name(f".{file.name}.rewritten")


def _replace(beside: Path, file: Path) -> None:
    """Put a rewritten file in the place of the old, with its mode."""
    shutil.copymode(file, beside)
    sync(beside)
    os.replace(beside, file)
    sync(file.parent)


def _rewrite_sqlite(file: Path, forgotten: Forgotten) -> bool:
    """Rewrite the texts of a SQLite database in place, and leave no old byte in it."""
    with closing(sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("pragma secure_delete = on")
        tables = connection.execute(
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
        ).fetchall()
        connection.execute("begin immediate")
        changed = sum(_rewrite_rows(connection, name, forgotten) for (name,) in tables)
        connection.execute("commit")
        if changed:
            connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)")
    return bool(changed)


def _rewrite_rows(connection: sqlite3.Connection, table: str, forgotten: Forgotten) -> int:
    relation = quoted(table)
    try:
        rows = connection.execute(f"select rowid, * from {relation}")
    except sqlite3.OperationalError:
        return 0  # a table without rowid, which Dagster has none of
    names = [column[0] for column in rows.description[1:]]
    changes = []
    for row in rows:
        after = [
            _rewritten(value, forgotten, forgotten.wording) if isinstance(value, str) else value
            for value in row[1:]
        ]
        if after != list(row[1:]):
            changes.append((*after, row[0]))
    places = ", ".join(f"{quoted(name)} = ?" for name in names)
    connection.executemany(f"update {relation} set {places} where rowid = ?", changes)
    return len(changes)


def _rewrite_sets(settings: Settings, forgotten: Forgotten) -> None:
    """Remove the sets that no link shows, and rewrite the others, each by renames of its folder."""
    if not settings.sets.is_dir():
        return
    for old in settings.sets.glob(".erased-*"):
        name = old.name.removeprefix(".erased-")
        building = settings.sets / f".erasing-{name}"
        if not (settings.sets / name).exists():
            os.rename(building, settings.sets / name)
        shutil.rmtree(old)
    for leftover in settings.sets.glob(".erasing-*"):
        shutil.rmtree(leftover)
    linked = {
        Path(os.readlink(entry)).name for entry in settings.exports.iterdir() if entry.is_symlink()
    }
    for folder in sorted(settings.sets.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        building = settings.sets / f".erasing-{folder.name}"
        shutil.copytree(folder, building)
        changed = [file for file in _files(building) if _rewrite(file, forgotten)]
        if not changed or folder.name not in linked:
            shutil.rmtree(building)
            if changed:
                # It waits to be swept, and whoever reads it would read of the person.
                shutil.rmtree(folder)
            continue
        _describe_anew(building, changed, forgotten)
        _rename(building, forgotten)
        for path in (*(item for item in building.rglob("*") if item.is_dir()), building):
            sync(path)
        os.rename(folder, settings.sets / f".erased-{folder.name}")
        os.rename(building, folder)
        sync(settings.sets)
        shutil.rmtree(settings.sets / f".erased-{folder.name}")
    sync(settings.sets)


def _rename(folder: Path, forgotten: Forgotten) -> None:
    """Take identities out of the names of files and folders; the manifest has lost them too."""
    for path in sorted(folder.rglob("*"), reverse=True):
        name = forgotten.text(path.name)
        if name != path.name:
            path.rename(path.with_name(name))


def _describe_anew(folder: Path, changed: Iterable[Path], forgotten: Forgotten) -> None:
    """The manifest of a rewritten set: its figures are the same, and its bytes are not."""
    path = folder / "manifest.json"
    if not path.exists():
        return
    manifest = json.loads(path.read_text(encoding="utf-8"))
    named = {}
    for file in changed:
        path_in_set = file.relative_to(folder).as_posix()
        named |= {path_in_set: file, forgotten.text(path_in_set): file}
    for entry in (*manifest["files"], *manifest.get("pages", ())):
        if entry["path"] in named:
            content = named[entry["path"]].read_bytes()
            entry["bytes"] = len(content)
            entry["sha256"] = hashlib.sha256(content).hexdigest()
    manifest["rewritten_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sync(path)


def landed_files_naming(settings: Settings, erasure: Erasure) -> list[str]:
    """The files of the landing zone that name the person, for their owner to delete.

    Told by the identities as far as this request knows them, and by the rows of the loads.
    """
    forgotten = Forgotten.read(settings.home)
    paths = _paths_of(settings.raw, erasure.person)
    wanted = _Wanted(settings.raw, erasure.plain)
    naming = []
    for file in _files(settings.landing):
        path = os.fsencode(file.relative_to(settings.landing)).decode("utf-8", "backslashreplace")
        if (
            forgotten.wording(path) in paths
            or wanted.is_in(path.encode())
            or any(wanted.is_in(block) for block in _blocks(file))
        ):
            naming.append(path)
    return naming


def _paths_of(raw: Path, person: Person) -> set[str]:
    """The paths of the landed files whose rows have the person's pseudonym."""
    file_ids: set[int] = set()
    files: list[dict] = []
    for load in committed_loads(raw):
        for part in sorted(load_folder(raw, load).glob("*/*.parquet")):
            if part.parent.name == "landed_files":
                files += pq.read_table(
                    part, columns=["file_id", "path", "duplicate_of"]
                ).to_pylist()
                continue
            with duckdb.connect() as connection:
                close_off(connection, raw)
                rows = connection.execute(
                    "select distinct file_id from read_parquet($1) as r "
                    "where contains(cast(to_json(r) as varchar), $2)",
                    [glob_safe(part), person.pseudonym],
                ).fetchall()
            file_ids |= {row[0] for row in rows}
    return {
        file["path"]
        for file in files
        if file["file_id"] in file_ids or file["duplicate_of"] in file_ids
    }


def glob_safe(path: Path) -> str:
    """A path for DuckDB's readers, which take some characters for a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


class _Wanted:
    """A search for identities as words, however written, which passes over other people's."""

    def __init__(self, raw: Path, identities: Iterable[str]) -> None:
        plain = {each for each in identities if not is_weak(each)}
        others = {
            other
            for other in _identities_in(raw)
            if any(each.lower() in other.lower() and each != other for each in plain)
        }
        spelled = {text for each in plain for text in (each, each.lower(), *spellings(each))}
        longer = {text for each in others for text in (each, *spellings(each))} - spelled
        self._pattern = re.compile(
            rb"(?:%s)|(?<![0-9A-Za-z_])(%s)(?![0-9A-Za-z_])" % (_any_of(longer), _any_of(spelled))
        )

    def is_in(self, content: bytes) -> bool:
        """Whether one of the identities is in a content."""
        return any(found.group(1) for found in self._pattern.finditer(content))


def _any_of(texts: Iterable[str]) -> bytes:
    """A pattern of texts, the longest first; e-mails in upper or lower case."""
    ordered = sorted(texts, key=lambda text: (-len(text), text))
    patterns = [
        b"(?i:%s)" % re.escape(text.encode()) if re.search("@|%40", text) else
        re.escape(text.encode())
        for text in ordered
    ]  # fmt: skip
    return b"|".join(patterns) or b"(?!)"


def _identities_in(raw: Path) -> set[str]:
    """Every identity in the loads, which is everybody else's after an erasure."""
    found: set[str] = set()
    for source in read_contract(CONTRACT).values():
        columns = sorted(IDENTITY_COLUMNS & set(source.schema.names))
        for part in _parts(raw, source.name) if columns else ():
            table = pq.read_table(part, columns=columns)
            for column in columns:
                found |= {each for each in table[column].unique().to_pylist() if each}
    return found.union(*_told_together(raw))


def _blocks(file: Path) -> Iterator[bytes]:
    """The content of a file as people read it, in blocks that overlap."""
    try:
        with file.open("rb") as stream:
            head = stream.read(4)
            stream.seek(0)
            if head == PARQUET:
                for batch in pq.ParquetFile(stream).iter_batches(BATCH_ROWS):
                    yield json.dumps(batch.to_pylist(), default=str, ensure_ascii=False).encode()
                return
            opened = stream
            if head.startswith(GZIP):
                opened = gzip.GzipFile(fileobj=stream)
            elif head == ZSTD:
                opened = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
            before = b""
            while block := opened.read(READ_BYTES):
                yield before + block
                before = block[-1024:]
    except (OSError, EOFError, zstandard.ZstdError, pa.ArrowException) as error:
        log.warning("%s cannot be read to its end, and may name somebody: %s", file, error)


def left_over(settings: Settings, erasure: Erasure) -> list[str]:
    """The files of the warehouse that still name the person, by any of the identities known."""
    wanted = _Wanted(settings.raw, erasure.plain)
    folders = [settings.home, settings.exports, dagster_home()]
    return sorted(
        str(file)
        for folder in folders
        if folder
        for file in _files(folder)
        if wanted.is_in(os.fsencode(file.relative_to(folder)))
        or any(wanted.is_in(block) for block in _blocks(file))
    )
