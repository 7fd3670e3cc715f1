"""What a report can be narrowed to: each filter's values, and which rows of which facts pass it.

A filter's values are kept in a table `asked.<filter>` of one column, `value`, so that no value
ever becomes SQL text. Values of one filter are alternatives; filters combine.
"""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.project import SEEDS

UNATTRIBUTED = "(unattributed)"

# The facts that reports count, and the time by which they do.
TIMES = {
    "int_llm_requests_attributed": "counted_at",
    "int_tool_calls_attributed": "counted_at",
    "int_runs_enriched": "started_at",
    "int_credit_lines_attributed": "occurred_at",
    "int_conversation_messages_versioned": "sent_at",
    "int_agents_created": "created_at",
}
REQUESTS, CALLS, RUNS, LINES, MESSAGES, CREATED = TIMES
NOTHING = "false"


@dataclass(frozen=True)
class Filter:
    """One filter.

    known: SQL for its values, with the columns value and, where it is not the same, name; people
    may use either. conditions: SQL by fact, over a row `r`; a fact that is not named passes.
    is_by_run: credit lines pass where their run does. is_lowered: values are compared lower-cased.
    rows: SQL for what of a row of the report itself is asked for, where no fact is narrowed.
    """

    name: str
    help: str
    known: str
    conditions: dict[str, str] = field(default_factory=dict)
    is_by_run: bool = False
    is_lowered: bool = False
    rows: str | None = None

    @property
    def option(self) -> str:
        """What people call it; several meanings of one may share a name."""
        return OPTIONS.get(self.name, self.name)

    @property
    def flag(self) -> str:
        """The option of the command line."""
        return "--" + self.option.replace("_", "-")


# In a report that has both meanings of a team, each view has its own.
TEAM_VIEWS = {"user_team": "user", "request_team": "team"}
OPTIONS = {"sub_account": "organisation", **dict.fromkeys(TEAM_VIEWS, "team")}


def _asked(name: str) -> str:
    return f'(select value from asked."{name}")'


def _is_asked(expression: str, name: str) -> str:
    return f"coalesce({expression}, '{UNATTRIBUTED}') in {_asked(name)}"


def _by_column(name: str, **columns: str) -> dict[str, str]:
    """Conditions on one column of each fact, by the short names of this module."""
    facts = {
        "requests": REQUESTS, "calls": CALLS, "runs": RUNS, "lines": LINES, "messages": MESSAGES,
        "created": CREATED,
    }  # fmt: skip
    return {facts[fact]: _is_asked(f"r.{column}", name) for fact, column in columns.items()}


def _of_agent(expression: str, name: str) -> str:
    """A row whose agent has an attribute asked for; a row of no known agent has none."""
    attribute = (
        f"(select max({expression}) from published.intermediate.int_agents_as_of as a "
        "where a.agent_id = r.agent_id)"
    )
    return _is_asked(attribute, name)


def _of_any(column: str, *facts: str) -> str:
    parts = [
        f"select distinct {column} as value, cast(null as varchar) as name "
        f"from published.intermediate.{fact}"
        for fact in facts
    ]
    return " union ".join(parts)


def _of_reference(reference: str, key: str, *facts: str, name: str = "name") -> str:
    parts = [f"select {key} as value, {name} as name from published.intermediate.{reference}"]
    parts += [
        f"select distinct {key}, cast(null as varchar) from published.intermediate.{fact}"
        for fact in facts
    ]
    return " union ".join(parts)


_TEAM_OF_USER = (
    "(select max(u.team_id) from published.intermediate.int_users_as_of as u "
    "where u.user_id = r.user_id)"
)


def _carries(tags: str, name: str) -> str:
    return f"list_has_any(coalesce({tags}, []), (select list(value) from asked.{name}))"


_ORGANISATIONS = _of_reference(
    "int_organisations_as_of",
    "organisation_id",
    "int_organisation_descendants",
    RUNS,
    LINES,
    REQUESTS,
)

FILTERS = {
    each.name: each
    for each in (
        Filter(
            "agent_type",
            "the type of the run's agent",
            _of_any("agent_type", "int_agents_as_of"),
            {RUNS: _of_agent("a.agent_type", "agent_type")},
            is_by_run=True,
        ),
        Filter(
            "created_by",
            "who created the run's agent: user id or e-mail",
            "select distinct lower(a.created_by) as value, lower(u.email) as name "
            "from published.intermediate.int_agents_as_of as a "
            "left join published.intermediate.int_users_as_of as u on a.created_by = u.user_id",
            {RUNS: _of_agent("lower(a.created_by)", "created_by")},
            is_by_run=True,
            is_lowered=True,
        ),
        Filter(
            "model",
            "the model of a run, or of a request",
            _of_any("model", REQUESTS, RUNS),
            _by_column("model", requests="model", runs="model") | {CALLS: NOTHING},
            is_by_run=True,
        ),
        Filter(
            "provider",
            "the provider of a request, or of a run",
            _of_any("provider", REQUESTS, RUNS),
            _by_column("provider", requests="provider", runs="provider") | {CALLS: NOTHING},
        ),
        Filter(
            "client",
            "platform, claude_code, codex, gemini_cli, or another service's name",
            "select 'platform' as value, cast(null as varchar) as name union "
            + _of_any("client", REQUESTS, CALLS),
            _by_column("client", requests="client", calls="client")
            | {RUNS: _is_asked("'platform'", "client")},
        ),
        Filter(
            "user",
            "who made it: user id or e-mail",
            _of_reference("int_users_as_of", "user_id", REQUESTS, CALLS, RUNS, name="email"),
            _by_column("user", requests="user_id", calls="user_id", runs="user_id"),
        ),
        Filter(
            "group",
            "current members of a group: id or name",
            _of_reference("int_groups_as_of", "group_id", "int_group_members_as_of"),
            {
                fact: "r.user_id in (select m.user_id "
                "from published.intermediate.int_group_members_as_of as m "
                f"where m.is_member and m.group_id in {_asked('group')})"
                for fact in (REQUESTS, CALLS, RUNS)
            },
        ),
        Filter(
            "agent",
            "agent: id or name",
            _of_reference("int_agents_as_of", "agent_id", CALLS, LINES),
            _by_column("agent", calls="agent_id", lines="agent_id"),
        ),
        Filter(
            "agent_instance",
            "agent instance: id",
            _of_any("agent_instance_id", "int_agent_instances_as_of", CALLS),
            _by_column("agent_instance", calls="agent_instance_id"),
        ),
        Filter(
            "mcp",
            "MCP server: id or name",
            _of_reference("int_mcp_servers_as_of", "mcp_id", CALLS),
            _by_column("mcp", calls="mcp_id"),
        ),
        Filter(
            "agent_tag",
            "a tag that the agent carries",
            "select distinct unnest(tags) as value, cast(null as varchar) as name "
            "from published.intermediate.int_agents_as_of",
            {
                CALLS: "r.agent_id in (select a.agent_id "
                "from published.intermediate.int_agents_as_of as a where "
                + _carries("a.tags", "agent_tag")
                + ")"
            },
        ),
        Filter(
            "resource_tag",
            "a tag that the MCP server or the tool carries",
            "select distinct unnest(tags) as value, cast(null as varchar) as name "
            "from published.intermediate.int_mcp_servers_as_of union "
            "select distinct unnest(tags), null from published.intermediate.int_tools_as_of",
            {
                CALLS: "(r.mcp_id in (select m.mcp_id "
                "from published.intermediate.int_mcp_servers_as_of as m where "
                + _carries("m.tags", "resource_tag")
                + ") or (r.mcp_id, r.tool_name) in (select (t.mcp_id, t.tool_name) "
                "from published.intermediate.int_tools_as_of as t where "
                + _carries("t.tags", "resource_tag")
                + "))"
            },
        ),
        Filter(
            "api_key",
            "API key of the request: id or name",
            _of_reference("int_api_keys_as_of", "api_key_id", REQUESTS),
            _by_column("api_key", requests="api_key_id"),
        ),
        Filter(
            "tag",
            "a tag attached to the request",
            "select distinct unnest(tags) as value, cast(null as varchar) as name "
            f"from published.intermediate.{REQUESTS}",
            {REQUESTS: _carries("r.tags", "tag")},
        ),
        Filter(
            "user_team",
            "the user's team: id or name",
            _of_reference("int_teams_as_of", "team_id", "int_users_as_of"),
            {REQUESTS: _is_asked(_TEAM_OF_USER, "user_team")},
        ),
        Filter(
            "request_team",
            "the team stamped on the request, else the user's: id or name",
            _of_reference("int_teams_as_of", "team_id", "int_users_as_of", REQUESTS),
            {REQUESTS: _is_asked(f"coalesce(r.team_id, {_TEAM_OF_USER})", "request_team")},
        ),
        Filter(
            "organisation",
            "organisation of the row itself: id or name",
            _ORGANISATIONS,
            _by_column(
                "organisation", requests="organisation_id", calls="organisation_id",
                runs="organisation_id", lines="organisation_id", messages="organisation_id",
                created="organisation_id",
            ),
        ),
        Filter(
            "sub_account",
            "organisation of the row itself: id or name",
            _ORGANISATIONS,
            rows="r.organisation_id",
        ),
        Filter(
            "conversation",
            "a conversation: id",
            _of_any("conversation_id", LINES),
            _by_column("conversation", lines="conversation_id", messages="conversation_id"),
        ),
        Filter(
            "session",
            "a session: id",
            _of_any("session_id", REQUESTS),
            _by_column(
                "session", requests="session_id", calls="session_id", runs="session_id"
            ),
        ),
        Filter(
            "category",
            "kind of work of a credit line",
            _of_any("category", LINES),
            _by_column("category", lines="category"),
        ),
    )
}  # fmt: skip


def filters_of(report: str, seeds: Path = SEEDS) -> list[Filter]:
    """The filters of a report's page, as seeds/report_filters.csv states them."""
    with (seeds / "report_filters.csv").open(encoding="utf-8", newline="") as file:
        return [FILTERS[row["filter"]] for row in csv.DictReader(file) if row["report"] == report]
