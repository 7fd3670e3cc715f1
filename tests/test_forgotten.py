"""A person who is forgotten: nothing names them any more, and every figure stays."""

import csv
import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from orchestration import erasure
from orchestration.forgotten import Forgotten
from orchestration.landing.contract import read_contract
from orchestration.landing.load import LONGEST_RAW_TEXT, land
from orchestration.landing.replay import replay
from orchestration.project import CONTRACT, Settings
from tests.conftest import SAMPLE_LANDING, Answer, Warehouse, call
from tests.test_replay import mended

USER, EMAIL, NAME = "user_chloe", "chloe@acme.test", "Chloé Martin"
ACCOUNT = "ac000000-0000-4000-8000-0000000000c1"
INSTALLATION = "c10e" * 16
IDENTITIES = (USER, EMAIL, ACCOUNT, INSTALLATION)


def forget(warehouse: Warehouse, user: str = USER) -> Answer:
    return call(
        "forget", "--user", user, "--json", "--landing", str(warehouse.landing),
        "--home", str(warehouse.home), "--exports", str(warehouse.exports),
    )  # fmt: skip


def contents(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file as its bytes, and as its values where those are packed."""
    for folder in folders:
        for path in folder.rglob("*"):
            if not path.is_file():
                continue
            content = path.read_bytes()
            yield path, str(path).encode() + content
            if content.startswith(b"PAR1"):
                yield path, repr(pq.read_table(path).to_pylist()).encode()
            elif content.startswith(b"\x1f\x8b"):
                yield path, gzip.decompress(content)
            elif content.startswith(b"\x28\xb5\x2f\xfd"):
                yield path, zstandard.ZstdDecompressor().decompressobj().decompress(content)
            elif content[8:12] == b"DUCK":
                yield path, rows_of(path)


def rows_of(database: Path) -> bytes:
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables()"
        ).fetchall()
        return b"".join(
            repr(connection.execute(f"select * from {schema}.{name}").fetchall()).encode()
            for schema, name in tables
        )


def naming(warehouse: Warehouse, *identities: str) -> set[tuple[str, str]]:
    """The files of the warehouse that hold an identity, with it."""
    return {
        (path.relative_to(warehouse.home.parent).as_posix(), identity)
        for path, content in contents(warehouse.home, warehouse.exports)
        for identity in identities
        if identity.encode().lower() in content.lower()
    }


def cells(content: bytes) -> Counter[tuple[str, ...]]:
    return Counter(map(tuple, csv.reader(io.StringIO(content.decode("utf-8"), newline=""))))


def figures(warehouse: Warehouse, link: str = "latest") -> dict[str, tuple[int, dict[str, str]]]:
    manifest = json.loads((warehouse.exports / link / "manifest.json").read_text(encoding="utf-8"))
    return {entry["path"]: (entry["rows"], entry["sums"]) for entry in manifest["files"]}


def write(path: Path, *rows: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def before(sample: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The night of the sample in a home of its own, a load that waits, and what others keep there.

    What the load adds is in no window, so that no figure changes by it.
    """
    warehouse = copy(sample, tmp_path_factory.mktemp("before"))
    write(
        warehouse.landing / "agent_runs" / "rejected.ndjson",
        {"run_id": "r1", "user_id": USER, "started_at": "yesterday", "status": "succeeded"},
        {"run_id": "r2", "user_id": "Chloe@acme.test", "note": f"for {EMAIL}",
         "started_at": "2026-03-20T10:00:00Z", "status": "succeeded"},
    )  # fmt: skip
    write(
        warehouse.landing / "agent_runs" / USER / "of-one.ndjson",
        {"run_id": "r3", "user_id": f"{USER}2", "started_at": "2026-03-20T10:00:00Z",
         "status": "succeeded"},
    )  # fmt: skip
    land(warehouse.landing, warehouse.home / "raw", read_contract(CONTRACT), False, "1GB")
    keep_elsewhere(warehouse)
    return warehouse


def keep_elsewhere(warehouse: Warehouse) -> None:
    """Name the person in a set of another date, in one that no link shows, in logs and a table."""
    latest = warehouse.exports / "latest"
    shutil.copytree(latest, warehouse.exports / "sets" / "2026-03-14-000000")
    shutil.copytree(latest, warehouse.exports / "sets" / "2026-03-13-000000")
    (warehouse.exports / "2026-03-14").symlink_to(Path("sets") / "2026-03-14-000000")
    logs = warehouse.home / "logs"
    logs.mkdir()
    table = pa.table({"user_id": [USER, "user_ana"], "user_name": [NAME, NAME], "runs": [7, 8]})
    pq.write_table(table, logs / "usage.parquet")
    (logs / "night.log").write_text(f"/{USER}.csv of {NAME}\n{USER}2\n", encoding="utf-8")
    (logs / "old.log.gz").write_bytes(gzip.compress(f"asked by {EMAIL}".encode()))
    (logs / "old.zst").write_bytes(zstandard.ZstdCompressor().compress(ACCOUNT.encode()))
    with sqlite3.connect(logs / "events.db") as connection:
        connection.execute("create table event_logs (id integer primary key, event text)")
        preview = json.dumps({"preview": f"| {EMAIL} | engineer |\n{USER} | {NAME}"})
        connection.execute("insert into event_logs (event) values (?)", [preview])
    connection.close()


@pytest.fixture(scope="module")
def after(before: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The same after the person was forgotten, at the second attempt: the first one died."""
    warehouse = copy(before, tmp_path_factory.mktemp("after"))
    # Of a night on Spark, which the next one on DuckDB does not build anew.
    write(warehouse.home / "spark" / "marts" / "usage_by_user" / "part-0.json", {"user_id": USER})
    rewrite_part, calls = erasure.rewrite_part, []

    def cut(*arguments: Any) -> bool:
        calls.append(arguments)
        if len(calls) > 12:
            raise KeyError("killed")
        return rewrite_part(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(erasure, "rewrite_part", cut)
        answer = forget(warehouse)
    assert answer.code == 1
    assert "not finished" in answer.error.splitlines()[-1]
    assert not Forgotten.read(warehouse.home).is_finished
    assert figures(warehouse) == figures(before)

    answer = forget(warehouse)

    assert answer.code == 0, answer.error + answer.output
    said = json.loads(answer.output)
    assert (said["was_forgotten"], said["left"], said["identities"]) == (False, [], 4)
    landed = set(said["landed_files"])
    assert {
        "users/2025/users-0001.ndjson",
        "otlp/claude_code/2026/logs.jsonl",
        "llm_requests/date=2026-02-28/part-00000.parquet",
        "tool_calls/2026/02/calls-0002.ndjson.zst",
        "agent_runs/rejected.ndjson",
    } <= landed
    assert "groups/groups.ndjson" not in landed
    return warehouse


def copy(warehouse: Warehouse, folder: Path) -> Warehouse:
    shutil.copytree(warehouse.landing, folder / "landing")
    shutil.copytree(warehouse.home, folder / "home", ignore=shutil.ignore_patterns("lock"))
    shutil.copytree(warehouse.exports, folder / "exports", symlinks=True)
    return Warehouse.below(folder, folder / "landing")


def test_nothing_names_a_forgotten_person(before: Warehouse, after: Warehouse) -> None:
    found = {place.split("/")[1] for place, _ in naming(before, *IDENTITIES)}
    assert found >= {"raw", "build", "published", "sets", "closed_months", "logs"}
    # The id of another person begins alike.
    others = {place for place, identity in naming(after, f"{USER}2")}
    assert {entry for entry in naming(after, *IDENTITIES) if entry[0] not in others} == set()
    left = [
        (path, identity)
        for path, content in contents(after.home, after.exports)
        for identity in (*IDENTITIES, NAME)
        if identity.encode() in content.replace(f"{USER}2".encode(), b"")
        and not (identity == NAME and path.name == "usage.parquet")
    ]
    assert left == []
    usage = pq.read_table(after.home / "logs/usage.parquet").to_pylist()
    assert [(row["user_name"], row["runs"]) for row in usage] == [
        (usage[0]["user_id"], 7),
        (NAME, 8),
    ]


def test_every_figure_of_every_report_stays(before: Warehouse, after: Warehouse) -> None:
    forgotten = Forgotten.read(after.home)
    assert figures(after) == figures(before)
    assert figures(after, "2026-03-14") == figures(before, "2026-03-14")
    new = after.csv_bytes()
    for path, content in before.csv_bytes().items():
        text = content.decode("utf-8").replace("Chloe@acme.test", EMAIL)
        text = text.replace(f"{USER}2", "another")
        for identity in IDENTITIES:
            text = text.replace(identity, forgotten.whole(identity))
        text = text.replace(NAME, forgotten.whole(USER)).replace("another", f"{USER}2")
        wanted, found = cells(text.encode()), cells(new[path])
        if "rank" in next(iter(wanted))[0]:  # a tie of two persons is ranked by their ids
            wanted, found = (
                Counter(row[1:] for row in rows.elements()) for rows in (wanted, found)
            )
        assert found == wanted, path
    ledger = "select * exclude (path) from quality.row_ledger where file_id < 20000000 order by all"
    assert after.query(ledger) == before.query(ledger)
    restated = "select * exclude (user_id, old_name, new_name, files) from quality.restatements"
    assert after.query(f"{restated} order by all") == before.query(f"{restated} order by all")
    keys = "select run_id from intermediate.int_agent_runs_versioned where load_id = 1"
    assert sorted(after.query(keys)) == sorted(before.query(keys))


def test_sets_of_other_dates_are_rewritten_with_their_hashes_and_modes(
    before: Warehouse, after: Warehouse
) -> None:
    dated = after.exports / "2026-03-14"
    manifest = json.loads((dated / "manifest.json").read_text(encoding="utf-8"))
    assert "rewritten_at" in manifest
    for entry in manifest["files"]:
        content = (dated / entry["path"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
    modes = [
        {
            path.relative_to(each.exports / "2026-03-14"): stat.S_IMODE(path.stat().st_mode)
            for path in (each.exports / "2026-03-14").rglob("*")
        }
        for each in (before, after)
    ]
    assert modes[0] == modes[1]
    linked = {Path(os.readlink(after.exports / name)).name for name in ("latest", "2026-03-14")}
    assert {folder.name for folder in (after.exports / "sets").iterdir()} == linked


def test_only_hashes_of_the_identities_are_kept_and_for_the_owner_alone(after: Warehouse) -> None:
    file = after.home / "forgotten.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = json.loads(file.read_text(encoding="utf-8"))
    (person,) = kept["people"]
    assert set(person) == {
        "pseudonym", "forgotten_at", "identities", "lengths", "spellings", "weak", "is_odd",
        "names", "is_finished",
    }  # fmt: skip
    assert (person["is_finished"], person["names"]) == (True, {})
    assert all(len(known) == 32 for known in (*person["identities"], *person["spellings"]))


def test_what_arrives_later_is_pseudonymised_before_it_is_written(
    after: Warehouse, tmp_path: Path
) -> None:
    warehouse = copy(after, tmp_path)
    new_email = "chloe.new@acme.test"
    write(
        warehouse.landing / "agent_runs" / "later.ndjson",
        {"run_id": "later-1", "user_id": USER, "started_at": "2026-03-14T11:00:00Z",
         "status": "succeeded", "note": f"{EMAIL} asked"},
        {"run_id": "later-2", "user_id": USER, "started_at": "never", "status": "succeeded"},
    )  # fmt: skip
    # Many enough to be read in bulk; the identity is only told by what is read last.
    write(
        warehouse.landing / "agents" / "later.ndjson",
        *(
            {"agent_id": f"agent-{number}", "name": "a", "created_by": new_email,
             "updated_at": "2026-03-14T11:00:00Z"}
            for number in range(300)
        ),
    )  # fmt: skip
    write(
        warehouse.landing / "users" / "later.ndjson",
        {"user_id": USER, "email": new_email, "display_name": NAME, "role": "head",
         "updated_at": "2026-03-14T11:00:00Z"},
    )  # fmt: skip
    lines = (SAMPLE_LANDING / "otlp/claude_code/2026/logs.jsonl").read_text(encoding="utf-8")
    (warehouse.landing / "otlp" / f"{USER}.jsonl").write_text(lines.replace("req_", "req_x"))
    answer = warehouse.night()
    assert answer.code == 3, answer.error
    others = f"{USER}2".encode()
    assert [
        (path, identity)
        for path, content in contents(warehouse.home, warehouse.exports)
        for identity in (*IDENTITIES, new_email)
        if identity.encode() in content.replace(others, b"")
    ] == []
    pseudonym = Forgotten.read(warehouse.home).whole(USER)
    runs = "select count(*) from intermediate.int_runs_enriched where user_id = '{}'"
    ((earlier,),) = after.query(runs.format(pseudonym))
    assert warehouse.query(runs.format(pseudonym)) == [(earlier + 1,)]
    role = f"select role from intermediate.int_users_as_of where user_id = '{pseudonym}'"
    assert warehouse.query(role) == [("head",)]
    assert "Nothing new" in warehouse.night().output


def test_a_second_request_changes_nothing(after: Warehouse, tmp_path: Path) -> None:
    warehouse = copy(after, tmp_path)

    def state() -> dict[Path, bytes]:
        roots = (warehouse.home, warehouse.exports)
        return {
            path: path.read_bytes()
            for root in roots
            for path in root.rglob("*")
            if path.is_file() and path.name != "lock"
        }

    first = state()
    for identity in (USER, EMAIL.upper(), INSTALLATION):
        answer = forget(warehouse, identity)
        assert answer.code == 0, answer.error
        said = json.loads(answer.output)
        assert said["was_forgotten"]
        assert "users/2025/users-0001.ndjson" in said["landed_files"]
    assert state() == first
    assert "Nothing new" in warehouse.night().output


def test_exports_and_logs_are_rewritten_to_the_end_after_a_cut(
    before: Warehouse, after: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = copy(before, tmp_path)
    settings = Settings.read(warehouse.landing, warehouse.home, warehouse.exports, {})
    erasure.begin(settings, USER)

    def cut(*_: object) -> None:
        raise KeyError("killed")

    for step in ("_describe_anew", "_rewrite_sqlite"):
        with monkeypatch.context() as patch:
            patch.setattr(erasure, step, cut)
            with pytest.raises(KeyError):
                erasure.finish(settings)
        assert not Forgotten.read(warehouse.home).is_finished
        assert figures(warehouse, "2026-03-14") == figures(before, "2026-03-14")
    # Where it dies between the two renames of a set.
    dated = warehouse.exports / "sets" / "2026-03-14-000000"
    dated.rename(dated.with_name(f".erased-{dated.name}"))
    shutil.copytree(dated.with_name(f".erased-{dated.name}"),
                    dated.with_name(f".erasing-{dated.name}"))  # fmt: skip
    erasure.finish(settings)
    assert Forgotten.read(warehouse.home).is_finished
    assert figures(warehouse, "2026-03-14") == figures(before, "2026-03-14")
    others = f"{USER}2".encode()
    assert [
        path
        for path, content in contents(warehouse.home / "logs", warehouse.exports)
        for identity in IDENTITIES
        if identity.encode() in content.replace(others, b"")
    ] == []


def test_who_cannot_be_told_is_asked_for(before: Warehouse, tmp_path: Path) -> None:
    for identity, sentence in (
        ("nobody@acme.test", "No load names"),
        ("gita@globex.test", "user_gita and user_gita_old"),
    ):
        answer = forget(before, identity)
        assert answer.code == 2
        assert sentence in answer.error
    assert not (before.home / "forgotten.json").exists()
    assert forget(Warehouse.below(tmp_path, SAMPLE_LANDING)).code == 2


def test_a_damaged_file_of_the_forgotten_stops_a_night(after: Warehouse, tmp_path: Path) -> None:
    warehouse = copy(after, tmp_path)
    (warehouse.home / "forgotten.json").write_text("{}", encoding="utf-8")
    answer = warehouse.night("--full-refresh")
    assert answer.code == 1
    assert "restore it" in answer.error.splitlines()[-1]


def test_tables_of_an_earlier_night_on_spark_go(after: Warehouse) -> None:
    assert not (after.home / "spark").exists()


@pytest.fixture
def forgotten(tmp_path: Path) -> Forgotten:
    """Somebody forgotten whose id others' identities contain."""
    people = Forgotten.read(tmp_path)
    people.add("ana", ["ana@acme.test", "odd|id 7"], ["Ana Torres"])
    people.save()
    return Forgotten.read(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "anabel", "ana-maria", "ana.m@acme.test", "x.ana@acme.test", "ana@acme.test.org",
             "joana", "+ana", "odd|id 77"],
)  # fmt: skip
def test_the_identities_of_others_stay(forgotten: Forgotten, text: str) -> None:
    assert forgotten.text(text) == text
    assert forgotten.whole(text) == text


def test_identities_go_from_texts_and_json_however_written(forgotten: Forgotten) -> None:
    own, email = forgotten.whole("ana"), forgotten.whole("ANA@acme.test")
    assert own.startswith("forgotten-")
    assert email.endswith("@forgotten.invalid")
    assert forgotten.text('by ana, "Ana@Acme.test".') == f'by {own}, "{email}".'
    assert forgotten.json_text('{"a": ["ana\\u0040acme.test", {"ana": 1}]}') == json.dumps(
        {"a": [email, {own: 1}]}
    )
    assert forgotten.json_text('{"a": 1.50}') == '{"a": 1.50}'
    assert forgotten.json_text("{ana") == "{" + own
    assert forgotten.whole("odd|id 7") != "odd|id 7"
    assert forgotten.wording("logs/ana-1.jsonl") == f"logs/{own}-1.jsonl"
    assert forgotten.wording("ana.m@acme.test") == "ana.m@acme.test"
    assert forgotten.without_names("Ana Torres, Anabel") == f"{own}, Anabel"


def test_a_table_keeps_keys_types_and_figures(forgotten: Forgotten) -> None:
    own = forgotten.whole("ana")
    table = pa.table(
        {
            "run_id": ["ana", "b"],
            "user_id": ["ana", None],
            "tags": pa.array([["by ana", "x"], None], pa.list_(pa.string())),
            "attributes": pa.array([[("user.id", "ana")], []], pa.map_(pa.string(), pa.string())),
            "amount": [Decimal("1.50"), None],
        }
    )
    changed = forgotten.table("agent_runs", table)
    assert changed.schema.equals(table.schema)
    assert changed.to_pylist() == [
        {"run_id": "ana", "user_id": own, "tags": [f"by {own}", "x"],
         "attributes": [("user.id", own)], "amount": Decimal("1.50")},
        {"run_id": "b", "user_id": None, "tags": None, "attributes": [], "amount": None},
    ]  # fmt: skip


def test_months_that_a_dead_night_had_not_kept_name_nobody(
    before: Warehouse, tmp_path: Path
) -> None:
    warehouse = copy(before, tmp_path)
    settings = Settings.read(warehouse.landing, warehouse.home, warehouse.exports, {})
    [kept] = settings.closed_months.iterdir()
    shutil.rmtree(kept)
    erasure.begin(settings, USER)
    erasure.rewrite_loads(settings, Forgotten.read(settings.home))
    rows = [pq.read_table(kept / f"{name}.parquet").to_pylist() for name in ("figures", "names")]
    assert "forgotten-" in repr(rows)
    assert not [identity for identity in IDENTITIES if identity in repr(rows)]


def test_folders_of_an_older_set_are_renamed_as_its_manifest_says(tmp_path: Path) -> None:
    settings = settings_below(tmp_path)
    people = Forgotten.read(settings.home)
    own = people.add("eva@acme.test", []).pseudonym
    people.save()
    folder = settings.sets / "2026-03-01-000001"
    path = "organisations/eva%40acme%2Etest/billing/lines.csv"
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_text("user_id\r\neva@acme.test\r\n", encoding="utf-8")
    manifest = {"files": [{"path": path, "bytes": 1, "sha256": ""}]}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (settings.exports / "2026-03-01").symlink_to(Path("sets") / folder.name)
    erasure.finish(settings)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    [entry] = manifest["files"]
    assert entry["path"] == f"organisations/{own}/billing/lines.csv"
    content = (folder / entry["path"]).read_bytes()
    assert content == f"user_id\r\n{own}\r\n".encode()
    assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


# What is forgotten, and whose identity contains it.
PEOPLE = [
    ("ana", "ana@acme.test", "ana-maria"),
    ("o'neil", "O.Neil@acme.test", "o'neill"),
    ('say "yes"', "yes@acme.test", "say"),
    ("*[a-z]?", None, "abc"),
    ("line\nbreak", "line@acme.test", "line"),
    ("user|x=1; drop table users", None, "user"),
    ("Ünï-🚀", "ünï@acme.test", "Ünï"),
    ("back\\slash", "back+slash@acme.test", "back"),
    ("42", "forty.two@acme.test", "4242"),
    ("user_eva", "eva@acme.test", "USER_EVA"),
    ("=cmd()", "cmd@acme.test", "cmd"),
]


def settings_below(folder: Path) -> Settings:
    return Settings.read(folder / "landing", folder / "home", folder / "exports", {})


def landed(settings: Settings) -> None:
    land(settings.landing, settings.raw, read_contract(CONTRACT), False, "1GB")


def erased(settings: Settings, user: str) -> erasure.Erasure:
    """Forget somebody without a night."""
    noted = erasure.begin(settings, user)
    erasure.rewrite_loads(settings, Forgotten.read(settings.home))
    erasure.finish(settings)
    return noted


def texts_below(folder: Path) -> str:
    """Every file as people read it, with what JSON escapes."""
    found = b"".join(content for _, content in contents(folder)).decode("utf-8", "replace")
    return found


def rows_below(settings: Settings, table: str) -> list[dict[str, Any]]:
    parts = sorted(settings.raw.glob(f"[0-9]*/{table}/*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


@pytest.mark.parametrize(("user", "email", "other"), PEOPLE)
def test_odd_identities_go_and_those_of_others_stay(
    tmp_path: Path, user: str, email: str | None, other: str
) -> None:
    settings = settings_below(tmp_path)
    at = "2026-03-14T10:00:00Z"
    others_email = f"not.{email}" if email else None
    write(
        settings.landing / "users" / "a.ndjson",
        {"user_id": user, "email": email, "updated_at": at},
        {"user_id": other, "email": others_email, "updated_at": at},
    )
    run = {"started_at": at, "status": "succeeded", "output_tokens": 42}
    write(
        settings.landing / "agent_runs" / "a.ndjson",
        {"run_id": "r1", "user_id": user, "tags": [f"{email}".upper(), user], **run},
        {"run_id": "r2", "user_id": other, "organisation_id": "4242", **run},
        {"run_id": "r3", "user_id": user, "note": {"by": [user, email]}, **run},
        {"run_id": "r4", "user_id": user, **run, "status": "gone"},
        {"run_id": "r7", "user_id": other, **run, "status": "gone"},
    )
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in email or "")
    with (settings.landing / "agent_runs" / "a.ndjson").open("a", encoding="utf-8") as file:
        file.write(f'{{"run_id": "r5", "user_id": "{escaped}", broken\n')
        file.write(json.dumps({"run_id": "r6", "user_id": user}, ensure_ascii=False)[:-1] + "\n")
    landed(settings)
    folder = settings.home / "logs"
    folder.mkdir()
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [["user_id", "user_email", "total_runs"], [user, email, 42], [other, others_email, 4]]
        )
    (folder / "report.html").write_text(f"<td>{escape(user)}</td><td>{email}</td>")

    noted = erased(settings, user)

    assert erasure.left_over(settings, noted) == []
    own = noted.person.pseudonym
    runs = {row["run_id"]: row for row in rows_below(settings, "agent_runs")}
    assert {key: row["user_id"] for key, row in runs.items()} == {"r1": own, "r2": other, "r3": own}
    assert (runs["r2"]["organisation_id"], runs["r2"]["output_tokens"]) == ("4242", 42)
    emails = {row["user_id"]: row["email"] for row in rows_below(settings, "users")}
    assert (emails.keys(), emails[other]) == ({own, other}, others_email)
    assert {row["line"] for row in rows_below(settings, "rejected_rows")} == {4, 5, 6, 7}
    [stays] = [row for row in rows_below(settings, "rejected_rows") if row["line"] == 5]
    assert json.loads(stays["raw_text"])["user_id"] == other
    with (folder / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [
        [own, emails[own] or "", "42"],
        [other, others_email or "", "4"],
    ]
    searched = [email] if user == "42" else [user, email]
    text = texts_below(settings.home)
    for kept in filter(None, (others_email, other)):
        if any(identity in kept for identity in filter(None, searched)):
            text = text.replace(kept, "")
    for identity in filter(None, searched):
        for written in {
            identity,
            identity.lower(),
            json.dumps(identity)[1:-1],
            repr(identity)[1:-1],
        }:
            assert written not in text, written
    assert escaped == "" or escaped not in text


def test_a_rejected_row_comes_back_under_its_pseudonym(tmp_path: Path) -> None:
    settings = settings_below(tmp_path)
    at = "2026-03-14T10:00:00Z"
    write(settings.landing / "users" / "a.ndjson",
          {"user_id": USER, "email": EMAIL, "updated_at": at})  # fmt: skip
    row = {"user_id": USER, "started_at": at, "status": "halted", "note": f"by {EMAIL}"}
    # Too long to be kept, so that it is read from a file whose path names the person.
    for name, note in ((USER, "x" * LONGEST_RAW_TEXT), ("gone", "")):
        line = {"run_id": name, **row, "more": note}
        write(settings.landing / "agent_runs" / f"{name}.ndjson", line)
    landed(settings)
    own = erased(settings, USER).person.pseudonym
    # One is read again from the landing zone, one from what was kept of it.
    (settings.landing / "agent_runs" / "gone.ndjson").unlink()
    contract = read_contract(CONTRACT)
    fields = tuple(
        replace(each, allowed=(*each.allowed, "halted")) if each.name == "status" else each
        for each in contract["agent_runs"].fields
    )
    contract["agent_runs"] = replace(contract["agent_runs"], fields=fields)
    report = replay(settings.landing, settings.raw, contract, False, "1GB")
    assert (report.loaded.total(), report.gone) == (2, {})
    assert [row["user_id"] for row in rows_below(settings, "agent_runs")] == [own, own]
    assert {row["outcome"] for row in rows_below(settings, "replayed_rows")} == {"loaded"}
    text = texts_below(settings.raw).replace(f"'run_id': '{USER}'", "")
    assert EMAIL not in text
    assert f"'{USER}'" not in text


def test_a_replay_learns_the_new_e_mail_of_a_forgotten_person(tmp_path: Path) -> None:
    settings = settings_below(tmp_path)
    at = "2026-03-14T10:00:00Z"
    write(
        settings.landing / "users" / "a.ndjson",
        {"user_id": USER, "email": EMAIL, "updated_at": at},
        {"user_id": USER, "email": "new@acme.test", "created_at": "then", "updated_at": at},
    )
    landed(settings)
    erased(settings, EMAIL)
    assert "new@acme.test" in texts_below(settings.raw)
    contract = mended("users", "created_at", "text")
    report = replay(settings.landing, settings.raw, contract, False, "1GB")
    assert report.loaded.total() == 1
    people = Forgotten.read(settings.home)
    # The next night begins with what the first load kept of the rejected row.
    assert not people.is_finished
    assert people.whole("new@acme.test") != "new@acme.test"
    [last] = settings.raw.glob("000000002")
    assert "new@acme.test" not in texts_below(last)
    erasure.rewrite_loads(settings, people)
    assert "new@acme.test" not in texts_below(settings.raw)


def telemetry(**attributes: str) -> dict[str, Any]:
    pairs = [
        {"key": name.replace("__", "."), "value": {"stringValue": text}}
        for name, text in attributes.items()
    ]
    record = {"timeUnixNano": "1773482400000000000", "attributes": pairs}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "claude-code"}}]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}


def test_telemetry_tells_more_identities_and_a_shared_machine_tells_none(tmp_path: Path) -> None:
    settings = settings_below(tmp_path)
    write(
        settings.landing / "otlp" / "a.jsonl",
        telemetry(user__email="Eva@acme.test", user__account_uuid="account-eva"),
        telemetry(user__account_uuid="account-eva", user__id="machine-of-eva"),
        telemetry(user__account_uuid="account-eva", user__id="machine-of-both"),
        telemetry(user__email="ben@acme.test", user__id="machine-of-both"),
        telemetry(user__email="ben@acme.test", user__account_uuid="account-ben"),
    )
    landed(settings)
    noted = erased(settings, "eva@ACME.test")
    assert erasure.left_over(settings, noted) == []
    text = texts_below(settings.raw)
    for gone in ("va@acme.test", "account-eva", "machine-of-eva"):
        assert gone not in text
    for kept in ("ben@acme.test", "account-ben", "machine-of-both"):
        assert kept in text
