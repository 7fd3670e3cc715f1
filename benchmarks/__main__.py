"""Every measurement, beside its plain alternative in the same run, as one table and as JSON."""

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import generate, plain, work
from benchmarks.measure import Cost, command, in_process, machine
from orchestration import models
from orchestration.project import Settings

RESULTS = Path(__file__).parent / "results"
WAREHOUSE = str(Path(sys.executable).with_name("warehouse"))


@dataclasses.dataclass(frozen=True)
class Row:
    """One measurement: figures of ours and of the plain way, and the goal for their ratio.

    goal: ours / plain at most; None where the goal is another, which `wanted` then tells.
    """

    what: str
    against: str
    unit: str
    ours: float
    plain: float
    goal: float | None = None
    wanted: str = ""
    is_reached: bool | None = None

    @property
    def ratio(self) -> float:
        """Ours over plain."""
        return self.ours / self.plain

    @property
    def verdict(self) -> str:
        """Whether the goal is reached."""
        reached = self.ratio <= self.goal if self.goal is not None else self.is_reached
        return "reached" if reached else "missed"


class Bench:
    """The measurements over one generated tree, in a folder that is thrown away."""

    def __init__(self, work: Path, events: int, console: Console) -> None:
        self.work = work
        self.console = console
        self.rows: list[Row] = []
        # By night: its seconds by stage, as `warehouse night` tells them.
        self.stages: dict[str, dict[str, float]] = {}
        self.tree = generate.Tree(
            events=events,
            days=365,
            agents=2_000,
            users=5_000,
            sessions=max(events // 20, 1_000),
        )
        self.landing = work / "year"

    def say(self, text: str) -> None:
        """One line of progress."""
        self.console.print(f"{datetime.now():%H:%M:%S}  {text}", highlight=False)

    def add(self, row: Row) -> None:
        """Keep a measurement, and tell of it."""
        self.rows.append(row)
        self.say(f"{row.what}: {row.ours:.2f} / {row.plain:.2f} {row.unit} = {row.ratio:.2f}")

    def as_of(self, days: int = 0) -> datetime:
        """The midnight after the last day of the tree, or some days later."""
        end = self.tree.end + timedelta(days=days)
        return datetime(end.year, end.month, end.day, tzinfo=UTC)

    def night(self, home: str, landing: Path, as_of: datetime, called: str = "") -> Cost:
        """`warehouse night`, the whole process. called: the name to keep its stages under."""
        cost = command(
            WAREHOUSE, "night", "--landing", str(landing), "--home", str(self.work / home),
            "--exports", str(self.work / f"{home}-exports"), "--as-of", as_of.isoformat(), "--json",
        )  # fmt: skip
        if called:
            self.stages[called] = json.loads(cost.result.splitlines()[-1])["seconds"]
        return cost

    def settings(self, home: str, landing: Path) -> Settings:
        """Settings of one of the homes."""
        return Settings.read(
            landing=str(landing),
            home=str(self.work / home),
            exports=str(self.work / f"{home}-exports"),
        )

    def loads(self) -> None:
        """Loading NDJSON and Parquet, against the plain read into a table."""
        small = dataclasses.replace(
            self.tree, events=min(self.tree.events, 1_000_000), days=20, sessions=50_000
        )
        self.say(f"writing {small.events:,} events of 20 days as NDJSON")
        lines = self.work / "lines"
        generate.write(small, lines, "ndjson")
        ours = _best(in_process(work.load, lines, self.work / "raw-lines") for _ in range(3))
        theirs = _best(
            in_process(plain.read_ndjson, lines, self.work / "plain.duckdb") for _ in range(3)
        )
        self.add(
            Row(
                "load NDJSON",
                "typed read_json into a table",
                "CPU s",
                ours.cpu_s,
                theirs.cpu_s,
                1.5,
            )
        )
        shutil.rmtree(lines)
        self.say(f"writing {self.tree.events:,} events of a year as Parquet")
        generate.write(self.tree, self.landing, "parquet")
        ours = _best(
            in_process(work.load, self.landing, self.work / "raw-parquet") for _ in range(2)
        )
        theirs = _best(
            in_process(plain.read_parquet, self.landing, self.work / "plain.duckdb")
            for _ in range(2)
        )
        self.add(Row("load Parquet", "create table as", "CPU s", ours.cpu_s, theirs.cpu_s, 1.0))

    def rebuild(self) -> Cost:
        """The first night, against the SQL of its models without dbt, Dagster and tests."""
        first = self.night("home", self.landing, self.as_of(), "full rebuild")
        home = self.work / "home"
        seconds = in_process(work.load, self.landing, self.work / "raw-again").wall_s
        theirs = in_process(plain.build_models, home, self.work / "plain" / "warehouse.duckdb")
        self.add(
            Row(
                "full rebuild: load, models, tests, publish, CSV",
                "the load and the SQL of the models",
                "s",
                first.wall_s,
                seconds + theirs.wall_s,
                1.2,
            )
        )
        wanted = "under 3,000 MB"
        self.add(
            Row(
                "peak memory of that night",
                "the SQL of the models",
                "MB",
                first.peak_mb,
                theirs.peak_mb,
                wanted=wanted,
                is_reached=first.peak_mb < 3_000,
            )
        )
        return first

    def usage_by_agent(self) -> None:
        """The mart of nine windows, against one grouping, pandas and polars."""
        home = self.work / "home"
        compiled = home / "dbt/compiled/warehouse/models/marts/reports/usage_by_agent.sql"
        published = home / "published/warehouse.duckdb"
        best = in_process(plain.usage_by_agent, published, compiled).result
        runs = self.tree.rows_before("agent_runs", self.tree.days)
        self.add(
            Row(
                f"usage_by_agent, nine windows, {runs:,} runs",
                "a naive 12-month group by agent",
                "s",
                best["mart"],
                best["naive"],
                1.2,
            )
        )
        files = [str(path) for path in sorted((self.landing / "agent_runs").rglob("*.parquet"))]
        span = (str(self.tree.start), str(self.tree.end))
        for name, function in (("pandas", plain.with_pandas), ("polars", plain.with_polars)):
            theirs = in_process(function, files, *span)
            self.add(
                Row(
                    "usage_by_agent, nine windows",
                    f"one window in {name} from Parquet",
                    "s",
                    best["mart"],
                    theirs.wall_s,
                    1.0,
                )
            )

    def publishing(self) -> None:
        """Publishing against a copy, exporting against ordered COPYs of the same rows."""
        settings = self.settings("home", self.landing)
        copied = self.work / "copied.duckdb"
        theirs = _best(
            (in_process(plain.copy_file, settings.build_file, copied) for _ in range(3)), "wall_s"
        )
        nodes = json.loads(models.MANIFEST.read_text(encoding="utf-8"))["nodes"].values()
        relations = {(node["schema"], node["name"]) for node in nodes}
        ours = _best(
            (in_process(work.publish_again, settings, relations) for _ in range(3)), "wall_s"
        )
        self.add(
            Row("publish", "copy of the file with fsync", "s", ours.wall_s, theirs.wall_s, 1.3)
        )
        copied.unlink()
        folder = self.work / "copies"
        folder.mkdir()
        theirs = _best(
            (in_process(plain.copy_reports, settings.published_file, folder) for _ in range(2)),
            "wall_s",
        )
        ours = _best((in_process(work.export_again, settings, folder) for _ in range(2)), "wall_s")
        self.add(
            Row(
                "export of all CSV files",
                "one ordered COPY a report",
                "s",
                ours.wall_s,
                theirs.wall_s,
                1.2,
            )
        )

    def new_days(self, first: Cost) -> None:
        """A night with one new day, whole and its facts alone, on a long and a short history."""
        day = self.tree.days
        generate.write(self.tree, self.landing, "parquet", day, day + 1)
        one_day = self.night("home", self.landing, self.as_of(1), "one new day")
        self.add(
            Row(
                "the whole night, one new day",
                "the full rebuild",
                "s",
                one_day.wall_s,
                first.wall_s,
                0.15,
            )
        )
        generate.write(self.tree, self.landing, "parquet", day + 1, day + 2)
        year = in_process(work.facts_of_new_day, self.settings("home", self.landing), self.as_of(2))
        month = self.work / "month"
        generate.write(self.tree, month, "parquet", day - 30, day)
        self.night("month-home", month, self.as_of())
        generate.write(self.tree, month, "parquet", day, day + 1)
        short = in_process(work.facts_of_new_day, self.settings("month-home", month), self.as_of(1))
        self.add(
            Row(
                "facts and their tests, one new day on 12 months",
                "the same on 1 month",
                "s",
                year.result,
                short.result,
                1.5,
            )
        )

    def idle(self) -> None:
        """Nights that find nothing new."""
        home = self.work / "home"
        later = self.as_of(2) + timedelta(hours=6)
        ours = self.night("home", self.landing, later, "idle, new as_of")
        database = self.work / "idle" / "warehouse.duckdb"
        database.parent.mkdir()
        shutil.copyfile(home / "build" / "warehouse.duckdb", database)
        theirs = in_process(plain.build_models, home, database, ("marts",))
        nodes = json.loads(models.MANIFEST.read_text(encoding="utf-8"))["nodes"].values()
        count = sum(_runs_without_loads(node) for node in nodes)
        allowed = 8 + 0.06 * count
        self.add(
            Row(
                "idle night, new as_of",
                "the SQL of the marts",
                "s",
                ours.wall_s,
                theirs.wall_s,
                wanted=f"+{allowed:.1f} s ({count} nodes)",
                is_reached=ours.wall_s - theirs.wall_s <= allowed,
            )
        )
        ours = self.night("home", self.landing, later)
        theirs = in_process(work.scan_again, self.landing)
        self.add(
            Row(
                "idle night, same as_of",
                "the scan of the landing zone",
                "s",
                ours.wall_s,
                theirs.wall_s,
                wanted="+4 s",
                is_reached=ours.wall_s - theirs.wall_s <= 4,
            )
        )

    def run(self) -> None:
        """Everything."""
        self.loads()
        first = self.rebuild()
        self.usage_by_agent()
        self.publishing()
        self.new_days(first)
        self.idle()


def _runs_without_loads(node: dict[str, Any]) -> bool:
    """Whether a night without a new load runs the model or test; see models.build."""
    if node["resource_type"] == "test":
        return (node.get("test_metadata") or {}).get("name") != "one_current_version"
    is_table = node["config"]["materialized"] != "incremental" and node["fqn"][1] != "staging"
    return node["resource_type"] == "model" and is_table


def _best(costs: Iterable[Cost], by: str = "cpu_s") -> Cost:
    return min(costs, key=attrgetter(by))


def _table(rows: list[Row]) -> Table:
    table = Table(title="What the warehouse costs, beside the plain way")
    for heading, justify in (
        ("what", "left"), ("ours", "right"), ("plain", "right"), ("unit", "left"),
        ("against", "left"), ("ratio", "right"), ("goal", "right"), ("", "left"),
    ):  # fmt: skip
        table.add_column(heading, justify=justify)
    for row in rows:
        table.add_row(
            row.what, f"{row.ours:,.2f}", f"{row.plain:,.2f}", row.unit, row.against,
            f"{row.ratio:.2f}", row.wanted or f"{row.goal:.2f}", row.verdict,
        )  # fmt: skip
    return table


def _stages_table(stages: dict[str, dict[str, float]]) -> Table:
    table = Table(title="Where the seconds of a night go")
    table.add_column("night")
    names = list(next(iter(stages.values())))
    for name in names:
        table.add_column(name, justify="right")
    for night, seconds in stages.items():
        table.add_row(night, *(f"{seconds[name]:,.1f}" for name in names))
    return table


def _write_results(bench: Bench, folder: Path) -> Path:
    """The measurements as JSON and as tables in Markdown, named after the day and the size."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{datetime.now(UTC):%Y-%m-%d}-{bench.tree.events}"
    figures = [
        {**dataclasses.asdict(row), "ratio": round(row.ratio, 3), "verdict": row.verdict}
        for row in bench.rows
    ]
    about = {
        "machine": machine(),
        "events": bench.tree.events,
        "measurements": figures,
        "seconds_of_nights": bench.stages,
    }
    (folder / f"{name}.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    lines = [
        f"{bench.tree.events:,} events of a year, seed {bench.tree.seed}, on {about['machine']}.",
        "",
        "| what | ours | plain | unit | against | ratio | goal | |",
        "|---|---:|---:|---|---|---:|---:|---|",
    ]
    lines += [
        f"| {row.what} | {row.ours:,.2f} | {row.plain:,.2f} | {row.unit} | {row.against} "
        f"| {row.ratio:.2f} | {row.wanted or f'{row.goal:.2f}'} | {row.verdict} |"
        for row in bench.rows
    ]
    stages = list(next(iter(bench.stages.values())))
    lines += [
        "",
        f"| seconds of a night | {' | '.join(stages)} |",
        f"|---|{'---:|' * len(stages)}",
        *(
            f"| {night} | {' | '.join(f'{seconds[stage]:,.1f}' for stage in stages)} |"
            for night, seconds in bench.stages.items()
        ),
    ]
    report = folder / f"{name}.md"
    report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return report


def main() -> None:
    """Measure everything from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "--size", type=int, default=5_000_000, help="events of the year (default 5,000,000)"
    )
    parser.add_argument("--work", type=Path, help="folder to work in, on the disk to measure")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    console = Console(stderr=True)
    started = time.monotonic()
    models.prepare_manifest()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.work) as folder:
        bench = Bench(Path(folder), options.size, console)
        bench.run()
        report = _write_results(bench, options.results)
    Console().print(_table(bench.rows))
    Console().print(_stages_table(bench.stages))
    sys.stdout.write(f"{machine()}\n{report} and .json\n")
    sys.stdout.write(f"{len(bench.rows)} measurements in {time.monotonic() - started:.0f} s\n")


if __name__ == "__main__":
    main()
