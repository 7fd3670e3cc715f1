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
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from orchestration import erasure, publish
from orchestration.forgotten import Forgotten
from tests.conftest import SAMPLE_AS_OF, SAMPLE_LANDING, Answer, Warehouse, call

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
def before(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse of two nights with what others keep in a home; the landing zone is its own."""
    folder = tmp_path_factory.mktemp("before")
    shutil.copytree(SAMPLE_LANDING, folder / "landing")
    warehouse = Warehouse.below(folder, folder / "landing")
    write(
        warehouse.landing / "agent_runs" / "rejected.ndjson",
        {"run_id": "r1", "user_id": USER, "started_at": "yesterday", "status": "succeeded"},
        {"run_id": "r2", "user_id": "Chloe@acme.test", "note": f"for {EMAIL}",
         "started_at": "2026-03-14T10:00:00Z", "status": "succeeded"},
    )  # fmt: skip
    write(
        warehouse.landing / "agent_runs" / USER / "of-one.ndjson",
        {"run_id": "r3", "user_id": f"{USER}2", "started_at": "2026-03-14T10:00:00Z",
         "status": "succeeded"},
    )  # fmt: skip
    for as_of in ("2026-03-14", SAMPLE_AS_OF):
        answer = warehouse.night(as_of=as_of)
        assert answer.code in (0, 3), answer.error
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
    return warehouse


@pytest.fixture(scope="module")
def after(before: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The same after the person was forgotten."""
    warehouse = copy(before, tmp_path_factory.mktemp("after"))
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
        f"agent_runs/{USER}/of-one.ndjson",
    } <= landed
    assert "groups/groups.ndjson" not in landed
    return warehouse


def copy(warehouse: Warehouse, folder: Path) -> Warehouse:
    shutil.copytree(warehouse.landing, folder / "landing")
    shutil.copytree(warehouse.home, folder / "home")
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
    ledger = "select * exclude (path) from quality.row_ledger order by all"
    assert after.query(ledger) == before.query(ledger)
    restated = "select * exclude (user_id, old_name, new_name, files) from quality.restatements"
    assert after.query(f"{restated} order by all") == before.query(f"{restated} order by all")
    keys = "select run_id from intermediate.int_agent_runs_versioned order by all"
    assert after.query(keys) == before.query(keys)


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
        "pseudonym", "forgotten_at", "identities", "lengths", "names", "is_finished",
    }  # fmt: skip
    assert (person["is_finished"], person["names"]) == (True, {})
    assert all(len(known) == 32 for known in person["identities"])


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


@pytest.mark.parametrize("cut_at", ["rewrite_part", "publish", "sets"])
def test_an_erasure_that_was_cut_short_is_finished_by_the_next_night(
    before: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_at: str
) -> None:
    warehouse = copy(before, tmp_path)
    calls = []

    def cut(*arguments: object) -> object:
        calls.append(arguments)
        if cut_at == "rewrite_part" and len(calls) < 12:
            return rewrite_part(*arguments)
        raise KeyError("killed")

    rewrite_part = erasure.rewrite_part
    with monkeypatch.context() as patch:
        patch.setattr(
            *{
                "rewrite_part": (erasure, "rewrite_part"),
                "publish": (publish, "publish_candidate"),
                "sets": (erasure, "_describe_anew"),
            }[cut_at],
            cut,
        )
        answer = forget(warehouse)
    assert answer.code == 1
    assert "not finished" in answer.error.splitlines()[-1]
    assert not Forgotten.read(warehouse.home).is_finished
    assert figures(warehouse) == figures(before)

    answer = warehouse.night()

    assert answer.code in (0, 3), answer.error
    assert Forgotten.read(warehouse.home).is_finished
    assert figures(warehouse) == figures(before)
    others = f"{USER}2".encode()
    assert [
        path
        for path, content in contents(warehouse.home, warehouse.exports)
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
