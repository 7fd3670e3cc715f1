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
from orchestration.forgotten import FILE, IDENTITY_COLUMNS, Forgotten, Person
from orchestration.landing.contract import read_contract
from orchestration.landing.history import committed_loads, load_folder
from orchestration.landing.load import TELEMETRY, rewrite_part
from orchestration.project import CONTRACT, Settings, dagster_home
from orchestration.publish import quoted, sync

log = logging.getLogger("warehouse")

# Attributes of telemetry that say who it was.
IDENTITY_FIELDS = {"account_uuid", "email", "installation_id", "end_user"}
BATCH_ROWS = 50_000
READ_BYTES = 1 << 22
SQLITE, DUCKDB_AT_8 = b"SQLite format 3\0", b"DUCK"
GZIP, ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
BUSY_SECONDS = 30
# Here an identity that is a part of a longer one is somebody else's.
DATA_ENDINGS = {".csv", ".json", ".jsonl", ".ndjson"}


class ErasureError(ValueError):
    """Somebody who cannot be forgotten as asked; the text says why and what to ask instead."""


@dataclass
class Erasure:
    """What became of a request to be forgotten.

    was_finished: an earlier request had done everything. shared: user id by identity that somebody
    else has, too. landed: files of the landing zone that still name the person.
    """

    person: Person
    was_finished: bool
    shared: dict[str, list[str]] = field(default_factory=dict)
    landed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
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
    for together in _told_together(raw):
        if {_compared(each) for each in together} & {_compared(each) for each in known}:
            known |= {each for each in together if _compared(each) not in others}
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
    return any(
        _compared(identity) in {_compared(each) for each in together}
        for together in _told_together(raw)
    )


def _told_together(raw: Path) -> set[frozenset[str]]:
    """The identities that one record of telemetry names, for every record."""
    names = {
        row["attribute"]
        for row in telemetry.rows_of("telemetry_attributes")
        if row["field"] in IDENTITY_FIELDS
    }
    found = set()
    for part in _parts(raw, TELEMETRY):
        for batch in pq.ParquetFile(part).iter_batches(columns=["attributes", "resource"]):
            for row in batch.to_pylist():
                pairs = [*(row["attributes"] or ()), *(row["resource"] or ())]
                found.add(frozenset(text for name, text in pairs if name in names and text))
    found.discard(frozenset())
    return found


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
    changed = "\n".join(_rewritten(line, forgotten, change) for line in text.split("\n"))
    if changed == text:
        return False
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
    """A line or cell without identities, and where there was one, without the name beside it."""
    changed = forgotten.json_text(text, change)
    return changed if changed == text else forgotten.json_text(changed, forgotten.without_names)


def _rewrite_parquet(file: Path, forgotten: Forgotten) -> bool:
    """Rewrite a Parquet file that is no part of a load."""
    before = pq.read_table(file)
    after = forgotten.table(None, before)
    if after.equals(before):
        return False
    rows = [
        row if row == old else {name: _without_name(cell, forgotten) for name, cell in row.items()}
        for row, old in zip(after.to_pylist(), before.to_pylist(), strict=True)
    ]
    after = pa.Table.from_pylist(rows, schema=before.schema)
    beside = _beside(file)
    pq.write_table(after, beside, compression="zstd")
    _replace(beside, file)
    return True


def _without_name(cell: object, forgotten: Forgotten) -> object:
    return forgotten.without_names(cell) if isinstance(cell, str) else cell


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
        _describe_anew(building, changed)
        for path in (*(item for item in building.rglob("*") if item.is_dir()), building):
            sync(path)
        os.rename(folder, settings.sets / f".erased-{folder.name}")
        os.rename(building, folder)
        sync(settings.sets)
        shutil.rmtree(settings.sets / f".erased-{folder.name}")
    sync(settings.sets)


def _describe_anew(folder: Path, changed: Iterable[Path]) -> None:
    """The manifest of a rewritten set: its figures are the same, and its bytes are not."""
    path = folder / "manifest.json"
    if not path.exists():
        return
    manifest = json.loads(path.read_text(encoding="utf-8"))
    named = {file.relative_to(folder).as_posix(): file for file in changed}
    for entry in manifest["files"]:
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
    wanted = _pattern(erasure.plain)
    naming = []
    for file in _files(settings.landing):
        path = os.fsencode(file.relative_to(settings.landing)).decode("utf-8", "backslashreplace")
        if (
            forgotten.wording(path) in paths
            or wanted.search(path.encode())
            or any(wanted.search(block) for block in _blocks(file))
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


def _pattern(identities: Iterable[str]) -> re.Pattern[bytes]:
    """Any of the identities as words, also as JSON writes them."""
    spelled = {identity for each in identities for identity in (each, json.dumps(each)[1:-1])}
    words = b"|".join(re.escape(each.encode()) for each in sorted(spelled))
    return re.compile(rb"(?<![0-9A-Za-z_])(?:" + words + rb")(?![0-9A-Za-z_])", re.I)


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
    wanted = _pattern(erasure.plain)
    folders = [settings.home, settings.exports, dagster_home()]
    return sorted(
        str(file)
        for folder in folders
        if folder
        for file in _files(folder)
        if any(wanted.search(block) for block in _blocks(file))
    )
