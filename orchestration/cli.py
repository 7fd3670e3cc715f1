"""The command `warehouse`: run a night, look at its outcome, query what it published."""

import argparse
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestration.closed import close_off
from orchestration.doctor import ERROR, OK, examine
from orchestration.erasure import ErasureError, begin, landed_files_naming, left_over
from orchestration.exports import FORMS, finish_showing, read_reports
from orchestration.filters import FILTERS, filters_of
from orchestration.landing.contract import read_contract
from orchestration.landing.history import committed_loads
from orchestration.landing.replay import ReplayReport, replay
from orchestration.lock import HomeIsBusy, held
from orchestration.night import (
    Night,
    applied_and_published,
    has_news,
    published_as_of,
    read_night,
)
from orchestration.project import CONTRACT, SEEDS, TARGETS, Settings, SettingsError
from orchestration.reports import AskedExport, AskError, report_named, write_asked
from orchestration.restatements import count_restated
from orchestration.timeframes import latest_midnight, parse_as_of, read_timeframes

PUBLISHED, FAILED, USAGE, WITH_REJECTS, BUSY = 0, 1, 2, 3, 75
PAGE = "report.html"
SHOWN_REJECTS = 20
LONGEST_SHOWN = 60
# What a night spends its time on, by Dagster's names of its steps.
STAGES = {
    "load": "loading",
    "dbt_build": "models and tests",
    "exports": "files",
    "exports__organisations": "files",
    "exports__report_html": "files",
    "exports__manifest": "files",
    "publish__candidate": "publishing",
    "publish__published": "publishing",
}
WIDEST = 10_000

log = logging.getLogger("warehouse")

EXIT_CODES = """\
exit codes:
  0   published, or nothing was new
  1   failed: nothing was published, and what was published before stays
  2   the command or a setting is wrong
  3   published, and a file loaded in this night had rejected rows or could not be read
  75  another night is running

settings (a flag wins over its variable):
  WAREHOUSE_LANDING     where files land            (default: the sample in seeds/)
  WAREHOUSE_HOME        where the warehouse lives    (default: .warehouse)
  WAREHOUSE_EXPORTS     where CSV sets are written   (default: exports)
  WAREHOUSE_TIMEZONE    the reporting timezone       (default: UTC)
  WAREHOUSE_WEEK_START  the day that weeks begin     (default: monday)
  WAREHOUSE_KEEP_CONTENT=1 keeps prompts and the like, which are dropped otherwise
  WAREHOUSE_MEMORY_LIMIT   how much DuckDB may take  (default: 2GB)
  WAREHOUSE_TARGET      where the models run: duckdb, spark or thrift (default: duckdb)
  WAREHOUSE_CACHE_WRITE_TTL  price of cache writes that do not say how long: 5m or 1h (default: 5m)
"""

NIGHT_EXAMPLES = """\
examples:
  warehouse night                          load what is new, look back from the latest midnight
  warehouse night --as-of 2026-03-15       look back from the start of a local day
  warehouse night --landing /data/landing --home /data/warehouse --exports /data/exports
  warehouse night --full-refresh           build every fact anew from the loads
"""


EXPORT_EXAMPLES = """\
examples:
  warehouse export usage_by_agent --timeframe last_30_days --model gpt-5 --output agents.csv
  warehouse export usage_by_user --timeframe last_month --organisation "Acme Group" \\
      --include-sub-organisations
  warehouse export session_metrics --from 2026-03-01 --to 2026-03-08T12:00:00Z --format json
  warehouse export billing_conversations --timeframe last_12_months --as eva@acme.example
"""
REPLAY_LINES = {
    "loaded": "{key}: {count:,} pass now",
    "kept": "{key}: {count:,} stay rejected",
    "gone": "{key}: {count:,} could not be read again, for it is gone or has changed",
}

REPLAY_EXAMPLES = """\
after the contract, a seed or the loader was mended:
  warehouse replay --dry-run                     say what would load
  warehouse replay --reason not_allowed_value    only rows that were rejected for this reason
  warehouse replay && warehouse night            load them, then apply and publish
"""


FORGET_EXAMPLES = """\
examples:
  warehouse forget --user user_17
  warehouse forget --user eva@acme.example
After it, neither the id nor e-mails nor installations of the person are in the loads, databases,
exports, rejected rows and logs of the warehouse; figures stand under a pseudonym. The landing zone
is others': the files there that still name the person are listed for their owner to delete.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, by default that of the command line; returns its exit code."""
    options = _parser().parse_args(arguments)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        settings = Settings.read(
            getattr(options, "landing", None),
            options.home,
            getattr(options, "exports", None),
            target=getattr(options, "target", None),
        )
        return options.run(settings, options)
    except SettingsError as error:
        return _fail(str(error), USAGE)
    except (AskError, ErasureError) as error:
        return _fail(str(error), USAGE)
    except duckdb.CatalogException as error:
        return _fail(
            f"The published database is of another release ({str(error).splitlines()[0]}): "
            "`warehouse night` publishes anew; if it has just done, this is a defect.",
            FAILED,
        )
    except duckdb.Error as error:
        return _fail(
            f"The published database cannot be read ({str(error).splitlines()[0]}): "
            "`warehouse night --full-refresh` makes it anew.",
            FAILED,
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PUBLISHED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="warehouse",
        description="The nightly warehouse of AI agents: usage, cost, sessions as tables and CSV.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, text: str, run: Any, examples: str = "") -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.add_argument("--home", metavar="DIR", help="where the warehouse lives")
        added.set_defaults(run=run)
        return added

    night = command("night", "run one night: load, build, test, export, publish", run_night,
                    NIGHT_EXAMPLES)  # fmt: skip
    night.add_argument("--landing", metavar="DIR", help="where files land")
    night.add_argument("--exports", metavar="DIR", help="where CSV sets are written")
    night.add_argument(
        "--as-of",
        metavar="INSTANT|DATE",
        help="look back from here: 2026-03-15T00:00:00Z, or a date for its local midnight "
        "(default: the latest local midnight)",
    )
    night.add_argument(
        "--full-refresh", action="store_true", help="build every fact anew from the loads"
    )
    night.add_argument(
        "--full-check", action="store_true", help="test all of history, not only what changed"
    )
    night.add_argument(
        "--target", choices=TARGETS, help="where the models run (default: duckdb, in this process)"
    )
    status = command("status", "say what is published, and what is not yet", show_status)
    rejects = command("rejects", "show the rows that were rejected, and why", show_rejects)
    rejects.add_argument("--reason", help="only rows that were rejected for this reason")
    rejects.add_argument(
        "--limit", type=_count, default=SHOWN_REJECTS, help="rows to show (default: %(default)s)"
    )
    again = command("replay", "load rejected rows that pass by now", run_replay, REPLAY_EXAMPLES)
    again.add_argument("--landing", metavar="DIR", help="where files land")
    again.add_argument("--reason", help="only rows that were rejected for this reason")
    again.add_argument("--dry-run", action="store_true", help="write nothing")
    forget = command(
        "forget", "erase what names a person, and keep every figure", forget_user, FORGET_EXAMPLES
    )
    forget.add_argument("--landing", metavar="DIR", help="where files land")
    forget.add_argument("--exports", metavar="DIR", help="where CSV sets are written")
    forget.add_argument(
        "--user", required=True, metavar="ID", help="the user id, an e-mail or another identity"
    )
    doctor = command(
        "doctor", "say whether a night could run, and how the last one went", run_doctor
    )
    doctor.add_argument("--landing", metavar="DIR", help="where files land")
    doctor.add_argument("--exports", metavar="DIR", help="where CSV sets are written")
    sql = command(
        "sql",
        "query the published database (read-only)",
        run_sql,
        "examples:\n"
        "  warehouse sql \"from marts.usage_by_agent where timeframe = 'last_30_days'\"\n"
        '  warehouse sql "show all tables"\n'
        "  warehouse sql < query.sql\n"
        "  warehouse sql                      an interactive prompt; end with Ctrl-D\n",
    )
    sql.add_argument("query", nargs="?", help="the query; without one it is read from the input")
    listing = command(
        "reports", "list the reports, with their timeframes, filters and columns", list_reports
    )
    listing.add_argument("report", nargs="?", help="only this one, with its columns")
    export = command(
        "export", "write a report for any timeframe and filters", export_report, EXPORT_EXAMPLES
    )
    export.add_argument("report", help="the report: see `warehouse reports`")
    window = export.add_argument_group("window")
    window.add_argument("--timeframe", metavar="NAME", help="such as last_30_days")
    window.add_argument("--from", dest="start", metavar="INSTANT|DATE", help="start, included")
    window.add_argument("--to", dest="end", metavar="INSTANT|DATE", help="end, not included")
    filters = export.add_argument_group(
        "filters", "one given twice means either; several must all hold; each report has its own"
    )
    for flag, text in sorted({each.flag: each.help for each in FILTERS.values()}.items()):
        filters.add_argument(flag, action="append", metavar="VALUE", help=text)
    filters.add_argument(
        "--include-sub-organisations",
        action="store_true",
        help="the organisations asked for with all below them",
    )
    export.add_argument(
        "--as",
        dest="as_user",
        metavar="USER",
        help="only organisations in which this user, by id or e-mail, holds the report's role",
    )
    export.add_argument(
        "--output", metavar="FILE|-", default="-", help="where to write (default: - for the output)"
    )
    export.add_argument("--format", choices=FORMS, default="csv", help="default: %(default)s")
    for added in (night, status, rejects, again, forget, doctor, sql, listing):
        added.add_argument("--json", action="store_true", help="print JSON for a machine to read")
    return parser


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows")
    return int(text)


def run_night(settings: Settings, options: argparse.Namespace) -> int:
    """Run the job `nightly` in this process, unless nothing would change."""
    try:
        as_of = (
            parse_as_of(options.as_of, settings.timezone)
            if options.as_of
            else latest_midnight(datetime.now(UTC), settings.timezone)
        )
    except ValueError as error:
        return _fail(str(error), USAGE)
    wants_all = options.full_refresh or options.full_check
    try:
        with held(settings.home):
            finish_showing(settings)
            is_idle = not wants_all and settings.landing.is_dir() and not has_news(settings, as_of)
        if is_idle:
            return _report(settings, options.json, None, {})
        seconds = _execute_nightly(settings, options, as_of)
        return _report(settings, options.json, read_night(settings), seconds)
    except HomeIsBusy as error:
        return _fail(str(error), BUSY)
    except Exception as error:
        remedy = _remedy(settings, error)
        return _fail(_sentence(error) + remedy, BUSY if _is_busy(error) else FAILED)


def _execute_nightly(
    settings: Settings, options: argparse.Namespace, as_of: datetime
) -> dict[str, float]:
    """Run the job `nightly`; returns seconds by stage, and what none of them accounts for."""
    started = time.monotonic()
    log.info("starting a night as of %s", as_of.isoformat())
    import dagster as dg

    from orchestration.definitions import defs

    run_config = {
        "ops": {
            "load": {
                "config": {
                    "as_of": as_of.isoformat(),
                    "full_refresh": options.full_refresh,
                    "full_check": options.full_check,
                }
            }
        },
        "resources": {
            "warehouse": {
                "config": {
                    "landing": str(settings.landing),
                    "home": str(settings.home),
                    "exports": str(settings.exports),
                    "target": settings.target,
                }
            }
        },
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    instance = dg.DagsterInstance.get() if os.environ.get("DAGSTER_HOME") else None
    done = defs.resolve_job_def("nightly").execute_in_process(
        run_config=run_config, instance=instance
    )
    seconds: Counter[str] = Counter()
    for step in done.get_step_success_events():
        seconds[STAGES[step.node_name]] += step.step_success_data.duration_ms / 1000
    seconds["starting"] = time.monotonic() - started - sum(seconds.values())
    return {stage: round(spent, 2) for stage, spent in seconds.items()}


def _report(
    settings: Settings, as_json: bool, night: Night | None, seconds: dict[str, float]
) -> int:
    """Tell what is published now; the exit code of a night, or of an idle one without.

    seconds: of the night, by stage.
    """
    latest = settings.exports / "latest"
    manifest = json.loads((latest / "manifest.json").read_text(encoding="utf-8"))
    with _published(settings) as connection:
        loads = list(night.new_loads) if night else []
        reasons = dict(
            connection.execute(
                "select reason, count(*) from quality.rejected_rows "
                "where list_contains($1::bigint[], load_id) group by reason order by reason",
                [loads],
            ).fetchall()
        )
        unreadable = connection.execute(
            "select path, detail from quality.landed_files "
            "where status = 'unreadable' and list_contains($1::bigint[], load_id) order by path",
            [loads],
        ).fetchall()
        unpriced = connection.execute(
            "select client, coalesce(provider, '') as provider, coalesce(model, '') as model, "
            "request_count from quality.unpriced_models "
            "order by request_count desc, client, provider, model"
        ).fetchall()
        restated = count_restated(connection, night.night_id if night else "")
    code = WITH_REJECTS if reasons or unreadable else PUBLISHED
    reports: dict[str, Counter[str]] = {}
    of_all = [file for file in manifest["files"] if not file["filters"]]
    for file in of_all:
        reports.setdefault(file["report"], Counter()).update(files=1, rows=file["rows"])
    if as_json:
        print(
            json.dumps(
                {
                    "outcome": "published" if night else "nothing new",
                    "exit_code": code,
                    "night_id": manifest["night_id"],
                    "as_of": manifest["as_of"],
                    "data_through": manifest["data_through"],
                    "reports": reports,
                    "rejected": reasons,
                    "unreadable": dict(unreadable),
                    "unpriced_models": len(unpriced),
                    "restated": restated.counts,
                    "seconds": seconds,
                    "set": str(latest.resolve()),
                    "page": str(latest / PAGE),
                    "database": str(settings.published_file),
                }
            )
        )
        return code
    if night is None:
        print(f"CSV files  {latest}")
        print(f"look at    {latest / PAGE}")
        print(f"database   {settings.published_file}")
        print(f"Nothing new: night {manifest['night_id']} as of {manifest['as_of']} stays.")
        return code
    console = Console(soft_wrap=True)
    table = Table("report", "files", "rows", title=f"Night {night.night_id}", title_justify="left")
    for name, counts in reports.items():
        table.add_row(name, str(counts["files"]), f"{counts['rows']:,}")
    console.print(table)
    if reasons or unreadable:
        table = Table("rejected in this night", "rows", title_justify="left")
        for reason, count in reasons.items():
            table.add_row(reason, f"{count:,}")
        for path, detail in unreadable:
            table.add_row(Text(f"unreadable: {path}: {detail}"), "")
        console.print(table)
        print("See `warehouse rejects` for file, line, reason and text.")
    if unpriced:
        client, provider, model, _ = unpriced[0]
        others = f" and {len(unpriced) - 1} more" if len(unpriced) > 1 else ""
        print(
            f"Warning: {sum(row[3] for row in unpriced):,} requests have no known price "
            f"({client}: {provider} {model}{others}) and are in no estimate: see "
            "quality.unpriced_models, and add seeds/prices/price_overrides.csv rows."
        )
    if restated.sentence:
        print(restated.sentence)
    print(f"CSV files  {latest}")
    print(f"look at    {latest / PAGE}")
    print(f"database   {settings.published_file}")
    spent = ", ".join(f"{stage} {value:.0f}" for stage, value in seconds.items())
    print(f"took       {sum(seconds.values()):.0f} s: {spent}")
    rejected = f", {sum(reasons.values()):,} rows rejected" if reasons else ""
    refused = f", {len(unreadable)} files unreadable" if unreadable else ""
    print(
        f"Published night {night.night_id} as of {manifest['as_of']}: "
        f"{len(manifest['files'])} files{rejected}{refused}."
    )
    return code


def show_status(settings: Settings, options: argparse.Namespace) -> int:
    """Print the last good night, how far its data goes, rejects by reason and loads not applied."""
    if not settings.published_file.exists():
        return _fail(_nothing_published(settings), FAILED)
    applied = applied_and_published(settings.published_file)
    waiting = [load for load in committed_loads(settings.raw) if load > 0 and load not in applied]
    with _published(settings) as connection:
        night = connection.execute(
            "select night_id, as_of, data_through, code_version from quality.night"
        ).fetchone()
        reasons = dict(
            connection.execute(
                "select reason, count(*) from quality.rejected_rows group by all order by all"
            ).fetchall()
        )
        files = dict(
            connection.execute(
                "select status, count(*) from quality.landed_files group by all order by all"
            ).fetchall()
        )
        ignored = connection.execute("select count(*) from quality.ignored_files").fetchone()
        restated = count_restated(connection)
    assert night is not None
    assert ignored is not None
    published_at = datetime.fromtimestamp(settings.published_file.stat().st_mtime, UTC)
    status = {
        "night_id": night[0],
        "as_of": _instant(night[1]),
        "data_through": _instant(night[2]) if night[2] else None,
        "published_at": _instant(published_at),
        "code_version": night[3],
        "files": files,
        "ignored_files": ignored[0],
        "rejected": reasons,
        "restated": restated.counts,
        "loads_not_applied": waiting,
        "database": str(settings.published_file),
    }
    if options.json:
        print(json.dumps(status))
        return PUBLISHED
    for name, value in status.items():
        shown = value
        if isinstance(value, dict):
            shown = ", ".join(f"{key} {count:,}" for key, count in value.items()) or "none"
        elif isinstance(value, list):
            shown = ", ".join(map(str, value)) or "none"
        print(f"{name.replace('_', ' '):18} {shown}")
    return PUBLISHED


def show_rejects(settings: Settings, options: argparse.Namespace) -> int:
    """Print rejected rows: where they stand, why they were rejected, and how they read."""
    if not settings.published_file.exists():
        return _fail(_nothing_published(settings), FAILED)
    with _published(settings) as connection:
        result = connection.execute(
            "select path, line, record_number, reason, detail, raw_text, "
            "count(*) over () as all_rows from quality.rejected_rows "
            "where $1 is null or reason = $1 "
            "order by path, line, record_number nulls first limit $2",
            [options.reason, None if options.json else options.limit],
        )
        names = [column[0] for column in result.description]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    count = rows[0]["all_rows"] if rows else 0
    for row in rows:
        del row["all_rows"]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False))
        return PUBLISHED
    for row in rows:
        record = f" record {row['record_number']}" if row["record_number"] else ""
        text = " ".join(row["raw_text"].split())
        text = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."
        print(f"{row['path']}:{row['line']}{record}: {row['reason']}: {row['detail']}")
        print(f"    {text}")
    print(f"{len(rows)} of {count} rejected rows shown.")
    return PUBLISHED


def run_replay(settings: Settings, options: argparse.Namespace) -> int:
    """Judge the rejected rows anew, and leave those that pass as a load for the next night."""
    try:
        with held(settings.home):
            report = replay(
                settings.landing,
                settings.raw,
                read_contract(CONTRACT),
                settings.keeps_content,
                settings.memory_limit,
                options.reason,
                options.dry_run,
            )
    except HomeIsBusy as error:
        return _fail(str(error), BUSY)
    except Exception as error:
        return _fail(_sentence(error), FAILED)
    if options.json:
        shown = {name: dict(sorted(counts.items())) for name, counts in _counts_of(report).items()}
        print(json.dumps({"load_id": report.load_id, "is_dry_run": options.dry_run, **shown}))
        return PUBLISHED
    for name, counts in _counts_of(report).items():
        for key, count in sorted(counts.items()):
            print(REPLAY_LINES[name].format(key=key, count=count))
    loaded, kept = report.loaded.total(), report.kept.total()
    if options.dry_run:
        print(f"{loaded:,} rejected rows would be loaded, {kept:,} would stay rejected.")
    else:
        hint = "; `warehouse night` applies them" if report.load_id is not None else ""
        print(f"{loaded:,} rejected rows loaded, {kept:,} stay rejected{hint}.")
    return PUBLISHED


def _counts_of(report: ReplayReport) -> dict[str, Counter[str]]:
    return {"loaded": report.loaded, "kept": report.kept, "gone": report.gone}


def forget_user(settings: Settings, options: argparse.Namespace) -> int:
    """Note who is forgotten, and run the night that erases them as of the published instant."""
    options.full_refresh, options.full_check = True, False
    try:
        with held(settings.home):
            erasure = begin(settings, options.user)
        if not erasure.was_finished:
            published = published_as_of(settings)
            as_of = published or latest_midnight(datetime.now(UTC), settings.timezone)
            _execute_nightly(settings, options, as_of)
    except HomeIsBusy as error:
        return _fail(str(error), BUSY)
    except ErasureError:
        raise
    except Exception as error:
        sentence = _sentence(error).rstrip(".")
        return _fail(
            f"{sentence}. The erasure has begun and is not finished: ask again, or run a night.",
            BUSY if _is_busy(error) else FAILED,
        )
    landed = landed_files_naming(settings, erasure)
    left = left_over(settings, erasure)
    code = FAILED if left else PUBLISHED
    if options.json:
        print(
            json.dumps(
                {
                    "exit_code": code,
                    "pseudonym": erasure.person.pseudonym,
                    "was_forgotten": erasure.was_finished,
                    "identities": len(erasure.person.identities),
                    "shared_with": erasure.shared,
                    "landed_files": landed,
                    "left": left,
                }
            )
        )
        return code
    for identity, others in erasure.shared.items():
        print(
            f"Shared: {identity} was an identity of {', '.join(others)}, too: forget them as well?"
        )
    for path in landed:
        print(f"landed     {settings.landing / path}")
    if landed:
        print(
            f"{len(landed)} files of the landing zone name the person: it is read only here, so "
            "ask its owner to delete them."
        )
    for path in left:
        print(f"left       {path}")
    if left:
        return _fail(
            f"{len(left)} files still hold an identity, as a part of a key or of another "
            "text: see them, and delete what may go.",
            code,
        )
    outcome = "Was forgotten already" if erasure.was_finished else "Forgotten"
    count = len(erasure.person.identities)
    print(f"{outcome}: {erasure.person.pseudonym} stands in place of {count} identities.")
    return code


def run_doctor(settings: Settings, options: argparse.Namespace) -> int:
    """Print one line for everything that was examined; fails where something is an error."""
    findings = examine(settings)
    code = FAILED if any(finding.state == ERROR for finding in findings) else PUBLISHED
    if options.json:
        print(json.dumps({"exit_code": code, "findings": [asdict(each) for each in findings]}))
        return code
    for finding in findings:
        print(f"{finding.state:8} {finding.check:16} {finding.sentence}")
    others = Counter(finding.state for finding in findings if finding.state != OK)
    print(
        ", ".join(f"{count} {state}s" for state, count in sorted(others.items())) or "All is well."
    )
    return code


def list_reports(settings: Settings, options: argparse.Namespace) -> int:
    """Print every report, or one with its columns."""
    del settings  # what the project states, whatever is published
    chosen = [report_named(options.report)] if options.report else read_reports()
    timeframes = read_timeframes(SEEDS / "timeframes.csv")
    described = [
        {
            "report": report.name,
            "page": report.page,
            "timeframes": [each.timeframe for each in timeframes if report.page in each.pages],
            "filters": sorted({each.flag for each in filters_of(report.name)}),
            "roles": list(report.roles),
            "columns": {column.name: column.kind for column in report.columns},
        }
        for report in chosen
    ]
    if options.json:
        print(json.dumps(described))
        return PUBLISHED
    if options.report:
        for name, value in described[0].items():
            print(f"{name:12} {', '.join(value) if not isinstance(value, str) else value}")
        return PUBLISHED
    table = Table("report", "page", "timeframes in every set", "filters")
    for each in described:
        table.add_row(
            each["report"], each["page"], ", ".join(each["timeframes"]), " ".join(each["filters"])
        )
    Console(width=None if sys.stdout.isatty() else WIDEST).print(table)
    print(
        f"{len(described)} reports; `warehouse reports REPORT` lists columns, and any timeframe of "
        f"{', '.join(each.timeframe for each in timeframes)} can be exported."
    )
    return PUBLISHED


def export_report(settings: Settings, options: argparse.Namespace) -> int:
    """Write one report as asked."""
    if not settings.published_file.exists():
        return _fail(_nothing_published(settings), FAILED)
    names = {each.option for each in FILTERS.values()}
    asked = AskedExport(
        report=options.report,
        timeframe=options.timeframe,
        start=options.start,
        end=options.end,
        filters={name: values for name in sorted(names) if (values := getattr(options, name))},
        include_sub_organisations=options.include_sub_organisations,
        as_user=options.as_user,
        form=options.format,
    )
    with tempfile.TemporaryDirectory() as folder:
        is_shown = options.output == "-"
        file = Path(folder) / "report" if is_shown else Path(options.output).absolute()
        try:
            sentence = write_asked(settings, asked, file)
        except OSError as error:
            return _fail(f"{file} cannot be written ({error.strerror}): name another file.", FAILED)
        if is_shown:
            with file.open("rb") as written:
                shutil.copyfileobj(written, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    print(sentence if is_shown else f"{sentence.rstrip('.')}: {file}", file=sys.stderr)
    return PUBLISHED


def run_sql(settings: Settings, options: argparse.Namespace) -> int:
    """Run a query, the queries of the input, or an interactive prompt over the published file."""
    if not settings.published_file.exists():
        return _fail(_nothing_published(settings), FAILED)
    with _published(settings) as connection:
        if options.query is not None:
            return _run_query(connection, options.query, options.json)
        if not sys.stdin.isatty():
            return _run_query(connection, sys.stdin.read(), options.json)
        while True:
            try:
                query = input("warehouse> ")
            except EOFError:
                print()
                return PUBLISHED
            if query.strip():
                _run_query(connection, query, options.json)


def _run_query(connection: duckdb.DuckDBPyConnection, query: str, as_json: bool) -> int:
    try:
        result = connection.execute(query)
        names = [column[0] for column in result.description or []] if result else []
        rows = result.fetchall() if result else []
    except duckdb.Error as error:
        return _fail(str(error), FAILED)
    if as_json:
        records = [dict(zip(names, row, strict=True)) for row in rows]
        print(json.dumps(records, default=str, ensure_ascii=False))
        return PUBLISHED
    table = Table()
    for name in names:
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    # Only a terminal has an edge to fit a table to.
    console = Console() if sys.stdout.isatty() else Console(width=WIDEST)
    console.print(table)
    print(f"{len(rows):,} rows")
    return PUBLISHED


def _published(settings: Settings) -> duckdb.DuckDBPyConnection:
    """The published database, read-only and closed against everything else on the machine."""
    connection = duckdb.connect(str(settings.published_file), read_only=True)
    close_off(connection)
    return connection


def _nothing_published(settings: Settings) -> str:
    return (
        f"Nothing is published in {settings.home}: run `warehouse night`, "
        "or name another home with --home."
    )


def _instant(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_busy(error: BaseException | None) -> bool:
    """Whether another night took the home before the job could, wherever Dagster put that."""
    while error is not None and not isinstance(error, HomeIsBusy):
        error = error.__cause__
    return error is not None


def _sentence(error: BaseException) -> str:
    """The innermost cause of a failure, which names what to do; Dagster wraps it several times."""
    cause = error
    while cause.__cause__ is not None and type(cause).__module__.startswith("dagster"):
        cause = cause.__cause__
    text = str(cause).strip() or type(cause).__name__
    return (
        text
        if isinstance(cause, (RuntimeError, OSError, ValueError))
        else (f"{type(cause).__name__}: {text}")
    )


def _remedy(settings: Settings, error: BaseException) -> str:
    """What to do about a disk, a memory or a build file that a library complains of, if it does."""
    text = _sentence(error)
    if any(flag in text for flag in ("--full-refresh", "--home", "--exports")):
        return ""
    if re.search(r"No space left|File too large|Disk quota exceeded|[Cc]ould not write", text):
        return (
            f". Free some space on the disks of {settings.home} and {settings.exports}, then run "
            "the night again: what is published stays whole."
        )
    if "Out of Memory" in text or isinstance(error, MemoryError):
        return f". Set WAREHOUSE_MEMORY_LIMIT higher than {settings.memory_limit}."
    if re.search(r"[Cc]orrupt|checksum|Could not read enough|INTERNAL Error|FATAL Error", text):
        return (
            f". If {settings.build_file} is damaged, `warehouse night --full-refresh` rebuilds it "
            "from the loads."
        )
    return ""


def _fail(sentence: str, code: int) -> int:
    print(f"warehouse: {sentence}", file=sys.stderr)
    return code
