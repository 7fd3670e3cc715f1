"""What the report shows: its sections, their headline figures, and the tables of first rows."""

from dataclasses import dataclass

TIMEFRAME = "last_30_days"


@dataclass(frozen=True)
class Headline:
    """A card: a column of the tab's headline mart, and how to say it.

    detail: a column that stands below, such as the credits of a peak day. note: what the figure
    is, where its label does not say. With `mart` the figure is that mart's sum.
    """

    column: str
    label: str
    detail: str | None = None
    note: str | None = None
    mart: str | None = None


@dataclass(frozen=True)
class Cell:
    """A column of a table; below: a column whose value stands below, smaller."""

    column: str
    label: str
    below: str | None = None


@dataclass(frozen=True)
class Top:
    """The first rows of a mart.

    order: column names, each with its direction, where the CSV's own order is not meant. where: a
    column and the value that its rows have. bar: the column whose figures a bar shows too.
    is_wide: whether it takes the whole width, as every table of more than five columns does.
    """

    mart: str
    title: str
    cells: tuple[Cell, ...]
    bar: str
    order: tuple[tuple[str, str], ...] = ()
    where: tuple[str, str] | None = None
    note: str | None = None
    is_wide: bool = False


@dataclass(frozen=True)
class Tab:
    """A part of a page: what feeds it, its headline mart, its cards, charts and tables.

    sources: as quality.source_freshness names them. headline: a mart with a row a period; None
    where the cards are sums of reports. view: of a mart that has its rows once a view.
    """

    name: str
    title: str
    lead: str
    sources: tuple[str, ...]
    headline: str | None
    cards: tuple[Headline, ...]
    tables: tuple[Top, ...]
    view: str | None = None


@dataclass(frozen=True)
class Page:
    """A product page and its tabs, of which most have one."""

    name: str
    title: str
    tabs: tuple[Tab, ...]


ESTIMATE = "list prices"
REPORTED = "by the clients"
COSTS = (Cell("estimated_cost_usd", "Est. cost"), Cell("reported_cost_usd", "Reported cost"))
USER = Cell("user_email", "User", "user_id")
TOOL = (Cell("tool_name", "Tool"), Cell("mcp_name", "MCP", "mcp_id"))
INSTANCE = (
    Cell("agent_instance_id", "Agent instance"),
    Cell("agent_name", "Agent", "agent_id"),
    Cell("user_email", "Owner", "user_id"),
)
SERVER = Cell("mcp_name", "MCP", "mcp_id")
CALLS = Cell("tool_executions", "Executions")
BLOCKS = Cell("blocked_calls", "Blocked calls")
REQUESTS = Cell("request_count", "Requests")
TOKENS_IN_AND_OUT = (
    Cell("input_tokens_total", "Input tokens"),
    Cell("output_tokens_total", "Output tokens"),
)
LATENCY = (
    Cell("avg_latency_ms", "Avg latency"),
    Cell("p95_latency_ms", "P95 latency"),
    Cell("error_rate", "Error rate"),
)
TOKENS_AND_COSTS = (Cell("total_tokens", "Tokens"), *COSTS, REQUESTS)

REPORTS = Tab(
    name="reports",
    title="Reports",
    lead="Agent runs with their tokens and credits, and every LLM request by model.",
    sources=("agent_runs", "llm_requests", "credit_lines", "otlp"),
    headline=None,
    cards=(
        Headline("total_runs", "Runs", mart="usage_by_agent"),
        Headline("credits_consumed", "Credits consumed", mart="usage_by_agent"),
        Headline("input_tokens_total", "Input tokens", note="of agent runs", mart="usage_by_agent"),
        Headline(
            "output_tokens_total", "Output tokens", note="of agent runs", mart="usage_by_agent"
        ),
        Headline("estimated_cost_usd", "Estimated cost", note=ESTIMATE, mart="usage_by_model"),
        Headline("reported_cost_usd", "Reported cost", note=REPORTED, mart="usage_by_model"),
    ),
    tables=(
        Top(
            "usage_by_agent",
            "Usage by agent",
            (
                Cell("agent_name", "Agent", "agent_id"),
                Cell("model_used", "Model", "agent_type"),
                Cell("total_runs", "Runs"),
                Cell("total_sessions", "Sessions"),
                Cell("avg_runs_per_session", "Runs / session"),
                Cell("credits_consumed", "Credits"),
                *TOKENS_IN_AND_OUT,
                *LATENCY,
            ),
            "total_runs",
        ),
        Top(
            "usage_by_user",
            "Usage by user",
            (
                USER,
                Cell("role", "Role"),
                Cell("total_runs", "Runs"),
                Cell("agents_created", "Agents created"),
                Cell("credits_consumed", "Credits"),
                *TOKENS_IN_AND_OUT,
            ),
            "total_runs",
        ),
        Top(
            "usage_by_model",
            "Usage by model",
            (
                Cell("model", "Model", "provider"),
                REQUESTS,
                Cell("total_runs", "Runs"),
                Cell("total_sessions", "Sessions"),
                *TOKENS_IN_AND_OUT,
                *COSTS,
                *LATENCY,
            ),
            "request_count",
            note="All LLM requests, of the platform and of telemetry.",
        ),
        Top(
            "usage_by_sub_account",
            "Usage by sub-account",
            (
                Cell("organisation_name", "Organisation", "organisation_id"),
                Cell("total_runs", "Runs"),
                Cell("total_sessions", "Sessions"),
                Cell("active_users", "Active users"),
                Cell("credits_consumed", "Credits"),
                *TOKENS_IN_AND_OUT,
                *COSTS,
                Cell("error_rate", "Error rate"),
            ),
            "total_runs",
            where=("scope", "with_sub_organisations"),
            note="Each organisation with all below it, so rows overlap; the file has its own too.",
        ),
    ),
)

MCP = Tab(
    name="mcp",
    title="MCP usage",
    lead="Tool calls that were executed or failed, across all agents and MCP servers.",
    sources=("tool_calls", "otlp"),
    headline="tool_usage",
    cards=(
        Headline("tool_executions", "Tool executions"),
        Headline("unique_tools", "Unique tools"),
        Headline("active_agent_instances", "Active agent instances"),
        Headline("active_users", "Active users"),
    ),
    tables=(
        Top("top_tools", "Top tools", (*TOOL, CALLS), "tool_executions"),
        Top("top_agent_instances", "Top agent instances", (*INSTANCE, CALLS), "tool_executions"),
        Top("top_tool_users", "Top users", (USER, CALLS), "tool_executions"),
        Top("top_mcp_servers", "Top MCPs", (SERVER, CALLS), "tool_executions"),
    ),
)

BY_TOKENS, BY_COST = (("rank_by_tokens", "asc"),), (("rank_by_cost", "asc"),)
MODEL = Cell("model", "Model", "provider")

LLM = Tab(
    name="llm",
    title="LLM usage",
    lead="Tokens and cost of every LLM request, from the platform and from coding agents.",
    sources=("llm_requests", "otlp"),
    headline="llm_usage",
    cards=(
        Headline("total_tokens", "Total tokens"),
        Headline("estimated_cost_usd", "Estimated cost", note=ESTIMATE),
        Headline("reported_cost_usd", "Reported cost", note=REPORTED),
        Headline("model_count", "Models used"),
    ),
    tables=(
        Top(
            "top_llm_users", "Top users by tokens", (USER, *TOKENS_AND_COSTS), "total_tokens",
            BY_TOKENS,
        ),
        Top(
            "top_llm_users", "Top users by cost", (USER, *TOKENS_AND_COSTS), "estimated_cost_usd",
            BY_COST,
        ),
        Top(
            "top_llm_models", "Top models by tokens", (MODEL, *TOKENS_AND_COSTS), "total_tokens",
            BY_TOKENS,
        ),
        Top(
            "top_llm_models", "Top models by cost", (MODEL, *TOKENS_AND_COSTS),
            "estimated_cost_usd", BY_COST,
        ),
        Top(
            "session_metrics",
            "Most costly sessions",
            (
                Cell("session_id", "Session", "client"),
                Cell("user_email", "User", "user_id"),
                Cell("started_at", "Started (UTC)"),
                *COSTS,
                Cell("cost_ratio_to_median", "× median"),
                Cell("is_top_5_percent_cost", "Top 5 %"),
                Cell("total_tokens", "Tokens"),
                Cell("duration_ms", "Duration"),
                REQUESTS,
            ),
            "estimated_cost_usd",
            (("estimated_cost_usd", "desc"), ("client", "asc"), ("session_id", "asc")),
            note="× median compares with the typical session; a dash where there is none.",
        ),
    ),
)  # fmt: skip

SECURITY = Tab(
    name="security",
    title="Security",
    lead="Tool calls that a policy blocked.",
    sources=("tool_calls", "otlp"),
    headline="blocked_calls_headline",
    cards=(
        Headline("blocked_calls", "Blocked calls"),
        Headline("blocked_tools", "Blocked tools"),
        Headline("active_users", "Users blocked"),
        Headline("blocking_policies", "Blocking policies"),
    ),
    tables=(
        Top("top_blocked_tools", "Top blocked tools", (*TOOL, BLOCKS), "blocked_calls"),
        Top(
            "top_blocked_agent_instances", "Top blocked agent instances", (*INSTANCE, BLOCKS),
            "blocked_calls",
        ),
        Top("top_blocked_users", "Top blocked users", (USER, BLOCKS), "blocked_calls"),
        Top("top_blocked_mcp_servers", "Top blocked MCPs", (SERVER, BLOCKS), "blocked_calls"),
        Top(
            "top_blocking_policies",
            "Top blocking policies",
            (
                Cell("policy_name", "Policy", "policy_id"),
                Cell("policy_description", "Description"),
                BLOCKS,
            ),
            "blocked_calls",
            note="Name and description are those of the latest block.",
            is_wide=True,
        ),
    ),
)  # fmt: skip

USAGE = Tab(
    name="usage",
    title="Usage",
    lead="Who uses AI, by user and by team.",
    sources=("llm_requests", "otlp"),
    headline="usage_kpis",
    cards=(
        Headline("active_users", "Active users"),
        Headline("avg_requests_per_user", "Avg requests / user"),
        Headline("request_count", "Requests"),
        Headline("total_tokens", "Total tokens"),
        Headline("estimated_cost_usd", "User cost", note=f"estimate, {ESTIMATE}"),
        Headline("reported_cost_usd", "Reported cost", note=REPORTED),
    ),
    tables=(
        Top(
            "usage_by_team",
            "Teams",
            (
                Cell("team_name", "Team", "team_id"),
                Cell("trend", "Trend"),
                Cell("active_users", "Active users"),
                Cell("models_used", "Models"),
                REQUESTS,
                *TOKENS_IN_AND_OUT,
                *COSTS,
            ),
            "request_count",
            (("request_count", "desc"), ("team_id", "asc")),
            note="Trend: requests a day.",
        ),
        Top(
            "usage_by_team_member",
            "Members",
            (
                Cell("user_name", "User", "user_email"),
                Cell("team_name", "Team"),
                Cell("trend", "Trend"),
                Cell("models_used", "Models"),
                REQUESTS,
                *TOKENS_IN_AND_OUT,
                *COSTS,
            ),
            "request_count",
            note="Trend: requests a day.",
        ),
    ),
    view="user",
)

BILLING = Tab(
    name="billing",
    title="Billing",
    lead="Credits of the ledger: usage, refunds and adjustments.",
    sources=("credit_lines",),
    headline="billing_summary",
    cards=(
        Headline("total_credits", "Credits"),
        Headline("average_daily_usage", "Average daily usage", note="credits a day"),
        Headline("peak_date", "Peak day", detail="peak_credits"),
        Headline("active_categories", "Active categories"),
        Headline("conversation_count", "Conversations"),
    ),
    tables=(
        Top(
            "billing_conversations",
            "Recent conversations",
            (
                Cell("conversation_id", "Conversation"),
                Cell("agent_name", "Agent", "agent_id"),
                Cell("last_activity_at", "Last activity (UTC)"),
                Cell("total_credits", "Credits"),
                Cell("message_count", "Messages"),
            ),
            "total_credits",
            (("last_activity_at", "desc"), ("conversation_id", "asc"), ("agent_id", "asc")),
            is_wide=True,
        ),
    ),
)

PAGES = (
    Page("reports", "Reports", (REPORTS,)),
    Page("analytics", "Analytics", (MCP, LLM, SECURITY)),
    Page("usage", "Usage", (USAGE,)),
    Page("billing", "Billing", (BILLING,)),
)
# Marts that charts alone read.
CHARTED = (
    "tool_usage_over_time", "tool_usage_by_hour_of_day", "llm_tokens_by_type",
    "llm_usage_over_time", "session_metrics_summary", "blocked_calls_over_time",
    "active_users_daily", "team_requests_daily", "billing_daily_usage", "billing_by_category",
)  # fmt: skip
