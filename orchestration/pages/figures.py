"""What the report reads: rows of marts for a timeframe, never more than it shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from orchestration.exports import Report, read_reports
from orchestration.pages.contents import Headline, Tab, Top

Row = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """A timeframe of a page and the one before, as naive instants in UTC, half-open."""

    timeframe: str
    start_at: datetime
    end_at: datetime
    previous_start_at: datetime
    previous_end_at: datetime


class Figures:
    """The marts of one database, by name; a name that the seeds do not list is no mart."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._reports = {report.name: report for report in read_reports()}
        (self.night,) = self._rows("select * from quality.night", [])
        self._zone = ZoneInfo(self.night["timezone"])

    def report(self, mart: str) -> Report:
        """The report of that name: its columns and their kinds."""
        return self._reports[mart]

    def kind(self, mart: str, column: str) -> str:
        """The kind of a column, as seeds/report_columns.csv says."""
        return next(item.kind for item in self._reports[mart].columns if item.name == column)

    def local(self, instant: datetime) -> datetime:
        """A naive instant in UTC on the clock of the reporting timezone."""
        return instant.replace(tzinfo=UTC).astimezone(self._zone)

    def windows(self, page: str) -> list[Window]:
        """The timeframes of a page in their order."""
        rows = self._rows(
            "select timeframe, window_start_at as start_at, window_end_at as end_at, "
            "previous_start_at, previous_end_at from intermediate.int_windows "
            "where page = ? order by position",
            [page],
        )
        return [Window(**row) for row in rows]

    def freshness(self, sources: Sequence[str]) -> list[Row]:
        """When each of the sources, and each of its clients, last sent anything."""
        return self._rows(
            "select source, client, status, last_event_at from quality.source_freshness "
            "where list_contains(?::varchar[], source) order by source, client",
            [list(sources)],
        )

    def unpriced_requests(self) -> int:
        """Requests of models without a known price, which are in no estimate."""
        (row,) = self._rows(
            "select coalesce(sum(request_count), 0) as requests from quality.unpriced_models", []
        )
        return int(row["requests"])

    def headlines(self, tab: Tab, cards: Sequence[Headline]) -> dict[str, dict[str, Row]]:
        """The headline figures of each timeframe and period; sums of reports know no previous."""
        if tab.headline is None:
            return self._sums(cards)
        where = " where view = ?" if tab.view else ""
        rows = self._rows(f"select * from marts.{tab.headline}{where}", [tab.view] * bool(tab.view))
        found: dict[str, dict[str, Row]] = {}
        for row in rows:
            found.setdefault(row["timeframe"], {})[row["period"]] = row
        return found

    def series(self, mart: str, timeframe: str) -> list[Row]:
        """All rows of a small mart, in the order of its keys."""
        report = self._reports[mart]
        keys = sorted(
            (column for column in report.columns if column.key_position),
            key=lambda column: column.key_position or 0,
        )
        order = ", ".join(key.name for key in keys) or "timeframe"
        return self._rows(
            f"select * from marts.{report.name} where timeframe = ? order by {order}", [timeframe]
        )

    def top(self, table: Top, timeframe: str, limit: int) -> tuple[list[Row], int]:
        """The first rows of a table, and how many there are."""
        report = self._reports[table.mart]
        order = report.order
        if table.order:
            order = ", ".join(f"r.{name} {way} nulls last" for name, way in table.order)
        where, values = "where r.timeframe = ?", [timeframe]
        if table.where:
            where += f" and r.{table.where[0]} = ?"
            values.append(table.where[1])
        rows = self._rows(
            f"select *, count(*) over () as counted_rows from marts.{report.name} as r {where} "
            f"order by {order} limit {limit:d}",
            values,
        )
        return rows, rows[0]["counted_rows"] if rows else 0

    def _sums(self, cards: Sequence[Headline]) -> dict[str, dict[str, Row]]:
        found: dict[str, dict[str, Row]] = {}
        for mart in dict.fromkeys(card.mart for card in cards if card.mart):
            columns = [card.column for card in cards if card.mart == mart]
            sums = ", ".join(f"sum({column}) as {column}" for column in columns)
            for row in self._rows(
                f"select timeframe, {sums} from marts.{mart} group by timeframe", []
            ):
                found.setdefault(row["timeframe"], {}).setdefault("current", {}).update(row)
        return found

    def _rows(self, query: str, values: Sequence[Any]) -> list[Row]:
        result = self._connection.execute(query, list(values))
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def day_of(figures: Figures, row: Row) -> date:
    """The local day of a bucket."""
    return row.get("bucket_date") or figures.local(row["bucket_start_at"]).date()
