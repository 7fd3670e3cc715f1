"""Write the sample landing zone, the same bytes every time: no clock, no chance, no network.

    python seeds/sample/write_sample.py          replaces seeds/sample/landing
    python seeds/sample/write_sample.py FOLDER   writes a copy into a new or empty folder

Ordinary traffic is the table RUNS: one line a run, from which its requests, tool calls, messages
and credit lines follow by small formulas. Every awkward case is a literal row of its own, with a
comment saying why it is there; README.md lists them. Reports look back from the instant in
seeds/sample/as_of, 2026-03-15T00:00:00Z.

Needs pyarrow and zstandard. Another version of either may compress differently; the rows stay the
same.
"""

import gzip
import io
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

Row = dict[str, Any]
HERE = Path(__file__).resolve().parent


def rows(columns: str, *values: tuple[object, ...]) -> list[Row]:
    """One dict for each tuple; a None is a field that was not sent."""
    names = columns.split()
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in values
    ]


def sent(**fields: object) -> Row:
    """A row without the fields that are None."""
    return {name: value for name, value in fields.items() if value is not None}


# ------------------------------------------------------------------------------------------------
# Reference entities. updated_at is required everywhere, and the newest version wins.
# ------------------------------------------------------------------------------------------------
# fmt: off

ORGANISATIONS = rows(
    "organisation_id name parent_organisation_id updated_at",
    ("org_acme", "Acme Group", None, "2025-03-20T09:00:00Z"),
    # Three levels: org_acme > org_acme_emea > org_acme_lab.
    ("org_acme_emea", "Acme EMEA", "org_acme", "2025-03-20T09:00:00Z"),
    ("org_acme_lab", "Acme Lab (Zürich)", "org_acme_emea", "2025-03-20T09:00:00Z"),
    ("org_acme_us", "Acme US", "org_acme", "2025-03-20T09:00:00Z"),
    ("org_globex", "Globex", None, "2025-03-21T09:00:00Z"),
    # Renamed in January: reports show the newer name.
    ("org_globex", "Globex Corporation", None, "2026-01-08T09:00:00Z"),
    # Its parent never arrives: a root for itself, its figures count all the same.
    ("org_initech_branch", "Initech Branch", "org_initech", "2025-12-01T09:00:00Z"),
    # No event names it: in no report.
    ("org_quiet", "Quiet Ltd", None, "2025-12-01T09:00:00Z"),
)

USER_COLUMNS = (
    "user_id email display_name role organisation_id team_id created_at deleted_at updated_at"
)
USERS_2025 = rows(
    USER_COLUMNS,
    ("user_ana", "ana@acme.test", "Ana Torres", "engineer", "org_acme_emea", "team_platform",
     "2025-03-20T10:00:00Z", None, "2025-03-20T10:00:00Z"),
    ("user_ben", "ben@acme.test", "Ben Okafor", "support", "org_acme_emea", "team_care",
     "2025-03-20T10:00:00Z", None, "2025-03-20T10:00:00Z"),
    ("user_chloe", "chloe@acme.test", "Chloé Martin", "researcher", "org_acme_lab", "team_lab",
     "2025-03-20T10:00:00Z", None, "2025-03-20T10:00:00Z"),
    ("user_dmitri", "dmitri@acme.test", "Dmitri Volkov", "accountant", "org_acme_us",
     "team_finance", "2025-04-02T10:00:00Z", None, "2025-04-02T10:00:00Z"),
    ("user_eva", "eva@acme.test", "Eva Lind", "analyst", "org_acme_us", "team_finance",
     "2025-04-02T10:00:00Z", None, "2025-04-02T10:00:00Z"),
    ("user_finn", "finn@acme.test", "Finn Byrne", "manager", "org_acme", "team_care",
     "2025-04-02T10:00:00Z", None, "2025-04-02T10:00:00Z"),
    # Two users with one e-mail in different case: as an identity it resolves to neither.
    ("user_gita", "gita@globex.test", "Gita Rao", "translator", "org_globex", "team_globex",
     "2025-05-01T10:00:00Z", None, "2025-05-01T10:00:00Z"),
    ("user_gita_old", "Gita@Globex.test", "Gita Rao (old account)", "translator", "org_globex",
     None, "2025-04-20T10:00:00Z", None, "2025-05-01T10:00:00Z"),
    ("user_hugo", "hugo@globex.test", "Hugo Meyer", "translator", "org_globex", "team_globex",
     "2025-05-01T10:00:00Z", None, "2025-05-01T10:00:00Z"),
    # Written with an offset; a name that a spreadsheet would compute.
    ("user_kim", "kim@acme.test", "-1+1 Kim", "accountant", "org_acme_us", "team_finance",
     "2025-05-01T12:00:00+02:00", None, "2025-05-01T12:00:00+02:00"),
    # Neither e-mail nor team: the empty text of a team is a null.
    ("user_lea", None, "Lea", "writer", "org_globex", "",
     "2025-06-01T10:00:00Z", None, "2025-06-01T10:00:00Z"),
)
USERS_2026 = rows(
    USER_COLUMNS,
    # Changed team: requests stay with the team stamped on them, the user view moves.
    ("user_finn", "finn@acme.test", "Finn Byrne", "director", "org_acme", "team_platform",
     "2025-04-02T10:00:00Z", None, "2026-02-16T08:00:00Z"),
    # Deleted: what she did before still counts.
    ("user_eva", "eva@acme.test", "Eva Lind", "analyst", "org_acme_us", "team_finance",
     "2025-04-02T10:00:00Z", "2026-02-10T17:00:00Z", "2026-02-10T17:00:00Z"),
    # Arrives weeks after the first events that name her.
    ("user_ines", "ines@acme.test", "Inês 🚀 Duarte", "researcher", "org_acme_lab", "team_lab",
     "2026-02-02T10:00:00Z", None, "2026-03-13T10:00:00Z"),
    # Never did anything: in no report but those of members.
    ("user_noor", "noor@acme.test", "Noor Haddad", "intern", "org_acme", "team_platform",
     "2026-03-02T10:00:00Z", None, "2026-03-02T10:00:00Z"),
    # Newer than as_of: not the name that this set shows.
    ("user_ben", "ben@acme.test", "Ben Okafor-Lind", "support lead", "org_acme_emea", "team_care",
     "2025-03-20T10:00:00Z", None, "2026-03-15T09:00:00Z"),
)

# What Claude Code calls its user: an installation id of 64 hex digits, an account, an e-mail.
INSTALLATION_ANA = "a11a" * 16
INSTALLATION_CHLOE = "c10e" * 16
INSTALLATION_NOBODY = "dead" * 16

USER_IDENTITIES = rows(
    "identity user_id updated_at",
    (INSTALLATION_ANA, "user_ana", "2026-01-10T09:00:00Z"),
    # Not the e-mail of his user row, and in another case than telemetry sends it.
    ("Ben.Private@mail.test", "user_ben", "2026-01-10T09:00:00Z"),
    ("ac000000-0000-4000-8000-0000000000c1", "user_chloe", "2026-01-10T09:00:00Z"),
    # An installation that changed hands: the newer owner wins.
    (INSTALLATION_CHLOE, "user_ines", "2025-12-01T09:00:00Z"),
    (INSTALLATION_CHLOE, "user_chloe", "2026-01-10T09:00:00Z"),
)

TEAMS = rows(
    "team_id name organisation_id updated_at",
    ("team_platform", "Platform", "org_acme", "2025-03-20T09:00:00Z"),
    ("team_care", "Customer Care", "org_acme_emea", "2025-03-20T09:00:00Z"),
    ("team_lab", "Research Lab", "org_acme_lab", "2025-03-20T09:00:00Z"),
    ("team_finance", "Finance", "org_acme_us", "2025-03-20T09:00:00Z"),
    ("team_globex", "Language Services", "org_globex", "2025-05-01T09:00:00Z"),
    ("team_idle", "Nobody's Team", "org_acme", "2025-05-01T09:00:00Z"),
)

GROUPS = rows(
    "group_id name updated_at",
    ("group_pilot", "Pilot users", "2025-09-01T09:00:00Z"),
    ("group_finance", "Finance readers", "2025-09-01T09:00:00Z"),
    ("group_empty", "Empty group", "2025-09-01T09:00:00Z"),
)

GROUP_MEMBERS = rows(
    "group_id user_id is_member updated_at",
    ("group_pilot", "user_ana", True, "2025-09-01T09:00:00Z"),
    ("group_pilot", "user_chloe", True, "2025-09-01T09:00:00Z"),
    ("group_pilot", "user_noor", True, "2026-03-02T11:00:00Z"),
    ("group_finance", "user_dmitri", True, "2025-09-01T09:00:00Z"),
    ("group_finance", "user_kim", True, "2025-09-01T09:00:00Z"),
    # In two groups: counts in each, once in the total.
    ("group_finance", "user_ana", True, "2025-10-01T09:00:00Z"),
    # Left the group: today's members are without him.
    ("group_pilot", "user_ben", True, "2025-09-01T09:00:00Z"),
    ("group_pilot", "user_ben", False, "2026-02-01T09:00:00Z"),
)

AGENT_COLUMNS = (
    "agent_id name agent_type model created_by organisation_id tags created_at deleted_at "
    "updated_at"
)
AGENTS_2025 = rows(
    AGENT_COLUMNS,
    ("agent_support", "Support Desk", "chat", "claude-sonnet-4-6", "user_ana", "org_acme_emea",
     ["prod", "customer"], "2025-03-25T09:00:00Z", None, "2025-03-25T09:00:00Z"),
    ("agent_triage", "Mail Triage", "single_task", "gemini-3.8-flash", "user_ben", "org_acme_emea",
     ["prod"], "2025-12-20T09:00:00Z", None, "2025-12-20T09:00:00Z"),
    ("agent_invoice", "Invoice Matcher", "workflow", "gpt-5", "user_dmitri", "org_acme_us",
     ["prod", "finance"], "2025-04-28T09:00:00Z", None, "2025-04-28T09:00:00Z"),
    ("agent_research", "Research Companion", "chat", "claude-sonnet-4-6", "user_chloe",
     "org_acme_lab", ["beta"], "2025-10-30T09:00:00Z", None, "2025-10-30T09:00:00Z"),
    ("agent_translate", "Translator", "single_task", "gemini-3.8-flash", "user_hugo", "org_globex",
     None, "2025-07-01T09:00:00Z", None, "2025-07-01T09:00:00Z"),
    ("agent_report", "Report Writer", "workflow", "claude-sonnet-4-6", "user_finn", "org_acme",
     ["prod", "finance"], "2025-07-15T09:00:00Z", None, "2025-07-15T09:00:00Z"),
    ("agent_legacy", "Legacy Classifier", "single_task", "gpt-5", "user_eva", "org_acme_us",
     [], "2025-06-01T09:00:00Z", None, "2025-06-01T09:00:00Z"),
    # No run and no credit: an idle agent has no row.
    ("agent_idle", "Idle Agent", "chat", "gpt-5", "user_finn", "org_acme",
     None, "2025-11-01T09:00:00Z", None, "2025-11-01T09:00:00Z"),
)
AGENTS_2026 = rows(
    AGENT_COLUMNS,
    # Renamed: the new name stands over the old figures too.
    ("agent_report", "Quarterly Report Writer", "workflow", "claude-sonnet-4-6", "user_finn",
     "org_acme", ["prod", "finance"], "2025-07-15T09:00:00Z", None, "2026-02-20T09:00:00Z"),
    # Deleted: its runs count, and its creation counts where it was created.
    ("agent_legacy", "Legacy Classifier", "single_task", "gpt-5", "user_eva", "org_acme_us",
     [], "2025-06-01T09:00:00Z", "2026-02-11T09:00:00Z", "2026-02-11T09:00:00Z"),
    # Comma, double quote, line feed and emoji in a name: CSV quoting.
    ("agent_poet", 'Odes, "Elegies"\nand more 🦜', "chat", "claude-sonnet-4-6", "user_lea",
     "org_globex", ["creative, writing"], "2026-01-05T09:00:00Z", None, "2026-01-05T09:00:00Z"),
    # A spreadsheet would run this name as a formula.
    ("agent_formula", '=HYPERLINK("http://example.test/?q="&A1,"open")', "single_task", "gpt-5",
     "user_kim", "org_acme_us", ["=1+1"], "2026-02-12T09:00:00Z", None, "2026-02-12T09:00:00Z"),
    # Credits and no run: still a row of usage_by_agent.
    ("agent_prepaid", "Prepaid Voice Line", "chat", None, "user_ben", "org_acme_emea",
     ["voice"], "2026-03-04T09:00:00Z", None, "2026-03-04T09:00:00Z"),
    # Created within the last hour; nobody is named as its creator.
    ("agent_rookie", "Rookie", "single_task", "gemini-3.8-flash", None, "org_acme_lab",
     ["beta"], "2026-03-14T23:05:00Z", None, "2026-03-14T23:05:00Z"),
    # Its only version is newer than as_of: the earliest known name is shown.
    ("agent_early", "Early Bird", "single_task", "gemini-3.8-flash", "user_ben", "org_acme_emea",
     None, "2026-03-11T07:00:00Z", None, "2026-03-15T07:00:00Z"),
    # Renamed after as_of: this set still shows "Support Desk".
    ("agent_support", "Support Desk 2", "chat", "claude-sonnet-4-6", "user_ana", "org_acme_emea",
     ["prod", "customer"], "2025-03-25T09:00:00Z", None, "2026-03-15T08:00:00Z"),
)

AGENT_INSTANCES = rows(
    "agent_instance_id agent_id user_id updated_at",
    ("inst_support_ana", "agent_support", "user_ana", "2025-04-01T09:00:00Z"),
    ("inst_support_ben", "agent_support", "user_ben", "2025-09-01T09:00:00Z"),
    ("inst_research_chloe", "agent_research", "user_chloe", "2025-11-01T09:00:00Z"),
    ("inst_invoice_kim", "agent_invoice", "user_kim", "2025-12-01T09:00:00Z"),
    # An instance that nobody owns.
    ("inst_triage_shared", "agent_triage", None, "2025-12-21T09:00:00Z"),
)

MCP_SERVERS = rows(
    "mcp_id name tags updated_at",
    ("mcp_tickets", "Tickets", ["internal"], "2025-03-25T09:00:00Z"),
    ("mcp_web", "Web Search", ["external"], "2025-03-25T09:00:00Z"),
    ("mcp_erp", "ERP", ["internal", "finance"], "2025-03-25T09:00:00Z"),
    ("mcp_files", "Files", None, "2025-03-25T09:00:00Z"),
    ("mcp_unused", "Unused Server", None, "2025-03-25T09:00:00Z"),
)

TOOLS = rows(
    "mcp_id tool_name tags updated_at",
    ("mcp_tickets", "search_tickets", ["read"], "2025-03-25T09:00:00Z"),
    ("mcp_tickets", "close_ticket", ["write"], "2025-03-25T09:00:00Z"),
    ("mcp_web", "search", ["read", "external"], "2025-03-25T09:00:00Z"),
    # The same tool name on another server is another tool.
    ("mcp_files", "search", ["read"], "2025-03-25T09:00:00Z"),
    ("mcp_files", "delete_file", ["write", "dangerous"], "2025-03-25T09:00:00Z"),
    ("mcp_erp", "post_invoice", ["write", "finance"], "2025-03-25T09:00:00Z"),
    ("mcp_erp", "read_ledger", ["read", "finance"], "2025-03-25T09:00:00Z"),
)

POLICIES = rows(
    "policy_id name description updated_at",
    ("policy_no_delete", "No deletion", "Files may not be deleted.", "2025-11-01T09:00:00Z"),
    # Renamed after blocks: those show the name that they were blocked under.
    ("policy_no_delete", "Deletion needs approval", "Ask the owner first.", "2026-03-01T09:00:00Z"),
    ("policy_payments", "Payments limit", "No postings above 10,000, or at night.",
     "2025-12-01T09:00:00Z"),
    ("policy_never_hit", "Never hit", None, "2025-12-01T09:00:00Z"),
)

API_KEYS = rows(
    "api_key_id name user_id team_id updated_at",
    ("key_ana", "Ana's notebook", "user_ana", "team_platform", "2025-04-01T09:00:00Z"),
    ("key_ci", "Nightly jobs", None, "team_platform", "2025-04-01T09:00:00Z"),
    ("key_globex", "Globex integration", "user_hugo", "team_globex", "2025-05-02T09:00:00Z"),
)

ROLE_GRANTS = rows(
    "user_id organisation_id role is_granted updated_at",
    ("user_dmitri", "org_acme", "billing", True, "2025-04-05T09:00:00Z"),
    ("user_finn", "org_acme", "owner", True, "2025-04-05T09:00:00Z"),
    ("user_ana", "org_acme_emea", "contributor", True, "2025-04-05T09:00:00Z"),
    ("user_ana", "org_acme_emea", "llm_analytics", True, "2025-04-05T09:00:00Z"),
    ("user_hugo", "org_globex", "admin", True, "2025-05-05T09:00:00Z"),
    ("user_gita", "org_globex", "billing", True, "2025-05-05T09:00:00Z"),
    # Withdrawn: the newer version says that it is no longer granted.
    ("user_eva", "org_acme_us", "billing", True, "2025-04-05T09:00:00Z"),
    ("user_eva", "org_acme_us", "billing", False, "2026-02-10T17:00:00Z"),
)

# ------------------------------------------------------------------------------------------------
# Ordinary traffic. A dash is a null; ids get their prefix below; times are UTC.
# ------------------------------------------------------------------------------------------------

RUNS = """
# run started            agent     user   org       ses  conv model  seconds status    req calls
0001 2025-04-03T08:15:00 support   ana    acme_emea 0001 0001 sonnet 42.5    succeeded 1   1
0002 2025-05-19T14:02:10 invoice   dmitri acme_us   -    -    gpt    118.25  succeeded 2   1
0003 2025-06-11T10:30:00 legacy    eva    acme_us   0002 -    gpt    15      failed    1   0
0004 2025-07-22T16:45:30 translate gita   globex    -    -    gemini 3.75    succeeded 1   0
0005 2025-08-05T09:00:00 report    finn   acme      -    -    sonnet 240     succeeded 2   1
0006 2025-09-17T11:11:11 support   ben    acme_emea 0003 0002 sonnet 37      succeeded 1   0
0007 2025-10-02T07:59:59 legacy    eva    acme_us   -    -    gpt    21.5    succeeded 1   0
0008 2025-10-28T13:20:00 translate hugo   globex    0004 -    gemini 4       cancelled 1   0
0009 2025-11-14T15:05:00 research  chloe  acme_lab  0005 0003 sonnet 95      succeeded 2   1
0010 2025-12-03T18:40:00 support   ana    acme_emea 0006 0004 sonnet 51      succeeded 1   0
0011 2025-12-18T09:25:00 invoice   kim    acme_us   -    -    gpt    130     succeeded 1   1
0012 2025-12-29T20:10:00 triage    ben    acme_emea -    -    gemini 6       succeeded 1   0
0013 2026-01-06T10:00:00 poet      lea    globex    0007 0005 sonnet 60      succeeded 1   0
0014 2026-01-09T12:30:00 legacy    eva    acme_us   -    -    gpt    18      failed    1   0
0015 2026-01-13T16:20:00 research  chloe  acme_lab  0008 0003 sonnet 88.125  succeeded 2   1
0016 2026-01-15T08:05:00 support   ben    acme_emea 0009 0006 sonnet 33      succeeded 1   1
0017 2026-01-15T08:12:00 support   ben    acme_emea 0009 0006 sonnet 29      succeeded 1   0
0018 2026-01-20T19:45:00 invoice   kim    acme_us   -    -    gpt    141.5   succeeded 1   1
0019 2026-01-27T11:00:00 translate gita   globex    0010 -    gemini 3.5     succeeded 1   0
0020 2026-01-30T14:30:00 report    finn   acme      -    -    sonnet 255     succeeded 2   0
0021 2026-02-02T07:30:00 triage    -      acme_emea -    -    gemini 5       succeeded 1   0
0022 2026-02-03T09:40:00 legacy    eva    acme_us   -    -    gpt    19.75   succeeded 1   0
0023 2026-02-05T13:00:00 research  ines   acme_lab  0011 0007 sonnet 77      succeeded 1   1
0024 2026-02-09T10:15:00 support   ana    acme_emea 0012 0008 sonnet 46      succeeded 1   0
0025 2026-02-09T10:21:00 support   ana    acme_emea 0012 0008 sonnet 31.25   failed    1   0
0026 2026-02-13T22:00:00 formula   kim    acme_us   -    -    gpt    9       succeeded 1   0
0027 2026-02-14T17:10:00 poet      lea    globex    0013 0009 sonnet 64      succeeded 1   0
0028 2026-02-16T08:50:00 invoice   dmitri acme_us   0014 -    gpt    122     succeeded 1   1
0029 2026-02-17T12:05:00 translate hugo   globex    -    -    gemini 3.25    succeeded 1   0
0030 2026-02-19T15:35:00 support   ben    acme_emea 0015 0010 sonnet 40      succeeded 1   1
0031 2026-02-20T16:00:00 triage    ben    acme_emea -    -    gemini 7       cancelled 1   0
0032 2026-02-23T06:45:00 report    finn   acme      0016 -    sonnet 260     succeeded 2   1
0033 2026-02-25T11:30:00 research  chloe  acme_lab  0017 0003 sonnet 91      succeeded 1   0
0034 2026-02-27T18:00:00 formula   kim    acme_us   -    -    gpt    11      failed    1   0
0035 2026-03-02T09:05:00 support   ana    acme_emea 0018 0011 sonnet 38      succeeded 1   1
0036 2026-03-02T09:11:00 support   ana    acme_emea 0018 0011 sonnet 35.5    succeeded 1   0
0037 2026-03-03T14:20:00 translate gita   globex    0019 -    gemini 4.25    succeeded 1   0
0038 2026-03-04T10:10:00 invoice   kim    acme_us   -    -    gpt    127     succeeded 1   1
0039 2026-03-05T21:00:00 poet      hugo   globex    0020 0012 sonnet 58      succeeded 1   0
0040 2026-03-06T05:55:00 triage    -      acme_emea -    -    gemini 6.5     succeeded 1   0
0041 2026-03-07T12:00:00 research  ines   acme_lab  0021 0013 sonnet 82      failed    1   0
0042 2026-03-09T08:00:00 triage    ben    acme_emea -    -    gemini 5.75    succeeded 1   0
0043 2026-03-09T13:45:00 support   ben    acme_emea 0022 0014 sonnet 44      succeeded 1   1
0044 2026-03-10T09:30:00 invoice   dmitri acme_us   0023 -    gpt    119     succeeded 1   0
0045 2026-03-10T17:25:00 formula   kim    acme_us   -    -    gpt    8.5     succeeded 1   0
0046 2026-03-11T11:15:00 translate hugo   globex    -    -    gemini 3.9     succeeded 1   0
0047 2026-03-12T07:00:00 early     ben    acme_emea -    -    gemini 2.5     succeeded 1   0
0048 2026-03-12T15:50:00 research  chloe  acme_lab  0024 0015 sonnet 99      succeeded 2   1
0049 2026-03-13T10:05:00 report    finn   acme      0025 -    sonnet 248     succeeded 1   0
0050 2026-03-13T16:40:00 support   ana    acme_emea 0026 0016 sonnet 36      cancelled 1   0
0051 2026-03-14T02:10:00 triage    -      acme_emea -    -    gemini 6.1     succeeded 1   0
0052 2026-03-14T08:20:00 support   ben    acme_emea 0027 0017 sonnet 41      succeeded 1   1
0053 2026-03-14T12:00:00 translate gita   globex    0028 -    gemini 4       succeeded 1   0
0054 2026-03-14T16:30:00 invoice   kim    acme_us   -    -    gpt    133     failed    1   0
0055 2026-03-14T20:05:00 poet      lea    globex    0029 0009 sonnet 63      succeeded 1   0
0056 2026-03-14T22:20:00 support   ana    acme_emea 0030 0018 sonnet 39      succeeded 1   0
0057 2026-03-14T22:41:00 triage    ben    acme_emea -    -    gemini 5.2     succeeded 1   0
0058 2026-03-14T23:04:00 support   ana    acme_emea 0030 0018 sonnet 43      succeeded 1   1
0059 2026-03-14T23:12:00 rookie    chloe  acme_lab  0031 -    gemini 2.75    succeeded 1   0
0060 2026-03-14T23:26:00 research  chloe  acme_lab  0031 0019 sonnet 85      succeeded 2   1
0061 2026-03-14T23:38:00 invoice   dmitri acme_us   -    -    gpt    124     failed    1   1
# Still at work at as_of: in the last hour by its start; its end and its credit line come later.
0062 2026-03-14T23:59:30 report    finn   acme      0032 -    sonnet 251     succeeded 1   0
# After as_of: kept, in no window yet.
0063 2026-03-15T06:30:00 support   ben    acme_emea 0033 0020 sonnet 40      succeeded 1   1
"""

MODELS = {
    "sonnet": ("anthropic", "claude-sonnet-4-6"),
    "gpt": ("openai", "gpt-5"),
    "gemini": ("google", "gemini-3.8-flash"),
}
# The team at the time of the request: Finn was in team_care until 2026-02-16.
TEAM_OF = {
    "user_ana": "team_platform", "user_ben": "team_care", "user_chloe": "team_lab",
    "user_ines": "team_lab", "user_dmitri": "team_finance", "user_kim": "team_finance",
    "user_eva": "team_finance", "user_gita": "team_globex", "user_hugo": "team_globex",
}
INSTANCE_OF = {
    ("agent_support", "user_ana"): "inst_support_ana",
    ("agent_support", "user_ben"): "inst_support_ben",
    ("agent_research", "user_chloe"): "inst_research_chloe",
    ("agent_invoice", "user_kim"): "inst_invoice_kim",
    ("agent_triage", None): "inst_triage_shared",
}
TOOL_OF = {
    "agent_support": ("mcp_tickets", "search_tickets"),
    "agent_research": ("mcp_web", "search"),
    "agent_invoice": ("mcp_erp", "read_ledger"),
    "agent_report": ("mcp_files", "search"),
}
CHAT_AGENTS = {"agent_support", "agent_research", "agent_poet"}
# USD for a million tokens, as the gateway knows them: input, cache read, cache write, output.
PRICES = {
    "claude-sonnet-4-6": ("3", "0.3", "3.75", "15"),
    "claude-haiku-4-5": ("1", "0.1", "1.25", "5"),
}

# fmt: on


def instant(text: str) -> datetime:
    """An instant written without zone in this file, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def zulu(moment: datetime) -> str:
    """The usual spelling of an instant; milliseconds only where there are any."""
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def spelled(moment: datetime, number: int) -> str:
    """The same instant as different senders spell it: UTC, an offset, nanoseconds."""
    if number % 5 == 0:
        return moment.astimezone(timezone(timedelta(hours=2))).isoformat(timespec="seconds")
    if number % 7 == 0:
        return moment.strftime("%Y-%m-%dT%H:%M:%S.000000456Z")
    return zulu(moment)


def cost_usd(model: str, uncached: int, read: int, written: int, output: int) -> Decimal | None:
    """What the client says a request cost; None where it does not say."""
    if model not in PRICES:
        return None
    prices = [Decimal(price) for price in PRICES[model]]
    tokens = (uncached, read, written, output)
    return (
        sum((price * count for price, count in zip(prices, tokens, strict=True)), Decimal())
        / 1_000_000
    )


def ordinary_runs() -> Iterator[tuple[Row, list[Row], list[Row], list[Row], list[Row]]]:
    """Each line of RUNS: the run, its requests, tool calls, messages and credit lines."""
    for line in RUNS.strip().splitlines():
        if line.startswith("#"):
            continue
        cells = [None if cell == "-" else cell for cell in line.split()]
        key, start, agent, user, organisation, session, conversation, model_key, *rest = cells
        seconds, status, request_count, call_count = rest
        number, started = int(key), instant(start)
        length = timedelta(seconds=float(seconds))
        provider, model = MODELS[model_key]
        ids = sent(
            agent_id=f"agent_{agent}",
            user_id=f"user_{user}" if user else None,
            organisation_id=f"org_{organisation}",
            session_id=f"ses_{session}" if session else None,
            conversation_id=f"conv_{conversation}" if conversation else None,
            # What the system starts by itself comes in under a key.
            api_key_id=None if user else "key_ci",
        )
        requests = [
            request_of(
                f"run_{key}",
                number,
                turn,
                int(request_count),
                started,
                length,
                ids,
                provider,
                model,
                failed=status == "failed" and turn == int(request_count),
            )
            for turn in range(1, int(request_count) + 1)
        ]
        run = sent(
            run_id=f"run_{key}",
            **ids,
            provider=provider,
            model=model,
            started_at=spelled(started, number),
            ended_at=zulu(started + length),
            # Every second run says its latency; for the others it is ended_at - started_at.
            latency_ms=float(seconds) * 1000 if number % 2 == 0 else None,
            status=status,
            error_type="provider_error" if status == "failed" else None,
            input_tokens=sum(request["input_tokens"] for request in requests),
            output_tokens=sum(request["output_tokens"] for request in requests),
            cache_read_tokens=sum(request["cache_read_tokens"] for request in requests),
            cache_write_tokens=sum(
                request.get("cache_write_5m_tokens", 0) + request.get("cache_write_1h_tokens", 0)
                for request in requests
            ),
            tags=["prod", "eu"] if number % 3 == 0 else ["prod"] if number % 3 == 1 else None,
        )
        calls = [
            sent(
                call_id=f"call_{key}_{turn}",
                run_id=f"run_{key}",
                session_id=ids.get("session_id"),
                agent_id=ids["agent_id"],
                agent_instance_id=INSTANCE_OF.get((ids["agent_id"], ids.get("user_id"))),
                user_id=ids.get("user_id"),
                organisation_id=ids["organisation_id"],
                mcp_id=TOOL_OF[ids["agent_id"]][0],
                tool_name=TOOL_OF[ids["agent_id"]][1],
                called_at=zulu(started + length / 2),
                duration_ms=120 + number * 41 % 900,
                outcome="executed",
                tags=["prod"] if number % 3 else None,
            )
            for turn in range(1, int(call_count) + 1)
        ]
        messages = [
            sent(
                message_id=f"msg_{key}_{role}",
                conversation_id=ids["conversation_id"],
                organisation_id=ids["organisation_id"],
                agent_id=ids["agent_id"],
                user_id=ids.get("user_id"),
                role=role,
                sent_at=zulu(sent_at),
            )
            for role, sent_at in (("user", started), ("assistant", started + length))
            if conversation
        ]
        yield run, requests, calls, messages, credit_lines_of(run, number, started + length)


def request_of(
    run_id: str,
    number: int,
    turn: int,
    turns: int,
    started: datetime,
    length: timedelta,
    ids: Row,
    provider: str,
    model: str,
    *,
    failed: bool,
) -> Row:
    """One request of a run; a failed one read its input and answered nothing."""
    uncached = 300 + (number * 137 + turn * 410) % 2100
    read = (number * 1613 + turn * 900) % 24000 if provider != "google" else 0
    written = (number * 331 + turn * 70) % 1800 if provider == "anthropic" else None
    hour = 2048 if provider == "anthropic" and number % 11 == 0 else None
    output = 0 if failed else 80 + (number * 53 + turn * 29) % 900
    cost = cost_usd(model, uncached, read, (written or 0), output)
    if hour is not None:
        cost += Decimal(hour) * 6 / 1_000_000  # one hour costs twice the input price
    return sent(
        request_id=f"req_{run_id[4:]}_{turn}",
        run_id=run_id,
        session_id=ids.get("session_id"),
        conversation_id=ids.get("conversation_id"),
        agent_id=ids["agent_id"],
        agent_instance_id=INSTANCE_OF.get((ids["agent_id"], ids.get("user_id"))),
        user_id=ids.get("user_id"),
        organisation_id=ids["organisation_id"],
        team_id=team_of(ids.get("user_id"), started),
        api_key_id=ids.get("api_key_id"),
        provider=provider,
        model=model,
        requested_at=zulu(started + length * (turn - 1) / turns),
        duration_ms=int(length / timedelta(milliseconds=1) / turns * 0.8),
        status="failed" if failed else "succeeded",
        error_type="overloaded" if failed else None,
        attempt=1,
        input_tokens=uncached,
        cache_read_tokens=read,
        cache_write_5m_tokens=written,
        cache_write_1h_tokens=hour,
        output_tokens=output,
        reasoning_tokens=output // 3 if provider != "anthropic" else None,
        reported_cost_usd=None if cost is None or failed else f"{cost:.8f}",
        tags=["prod", "eu"] if number % 3 == 0 else None,
    )


def team_of(user_id: object, moment: datetime) -> str | None:
    """The team stamped on a request."""
    if user_id == "user_finn":
        return "team_care" if moment < instant("2026-02-16T08:00:00") else "team_platform"
    return TEAM_OF.get(str(user_id))


def credit_lines_of(run: Row, number: int, ended: datetime) -> list[Row]:
    """What a run took from the ledger; every third line leaves agent and user to its run."""
    key = str(run["run_id"])[4:]
    charges = [("LLM", "Model tokens", Decimal(number * 37 % 900 + 45) / 1000)]
    if run["agent_id"] == "agent_research":
        charges.append(("WebSearch", "2 web searches", Decimal("0.02")))
    if run["agent_id"] == "agent_support" and number % 4 == 0:
        charges.append(("SpeechToText", "41 s of audio", Decimal("0.0123")))
    own = {} if number % 3 == 0 else sent(agent_id=run["agent_id"], user_id=run.get("user_id"))
    return [
        sent(
            # Lines of one run share their instant: the order among them is by line_id.
            line_id=f"line_{key}_{position}",
            occurred_at=zulu(ended),
            organisation_id=run["organisation_id"],
            **own,
            conversation_id=run.get("conversation_id"),
            run_id=run["run_id"],
            category=category,
            description=description,
            credits=f"{amount:.6f}",
            # kind is `usage` where it is not sent.
            kind="usage" if number % 2 else None,
        )
        for position, (category, description, amount) in enumerate(charges, start=1)
    ]


# ------------------------------------------------------------------------------------------------
# Awkward events. They come at the end of March's files, or in files of their own.
# ------------------------------------------------------------------------------------------------
# fmt: off

SUPPORT_ANA: Row = {
    "agent_id": "agent_support", "user_id": "user_ana", "organisation_id": "org_acme_emea",
}
SONNET: Row = {"provider": "anthropic", "model": "claude-sonnet-4-6"}
GPT: Row = {"provider": "openai", "model": "gpt-5"}

AWKWARD_RUNS: list[Row] = [
    # Revision 0 of a run that a later file moves to the next day.
    {"run_id": "run_0101", **SUPPORT_ANA, **SONNET, "started_at": "2026-03-05T23:58:00Z",
     "latency_ms": 40000, "status": "succeeded", "input_tokens": 800, "output_tokens": 200},
    # Retried: three requests, the first two failed; the run is no error.
    {"run_id": "run_0102", **SUPPORT_ANA, **SONNET, "session_id": "ses_0102",
     "started_at": "2026-03-11T09:00:00Z", "ended_at": "2026-03-11T09:01:10Z",
     "status": "succeeded", "input_tokens": 3600, "output_tokens": 410},
    # No LLM request: its own tokens count.
    {"run_id": "run_0103", "agent_id": "agent_report", "user_id": "user_finn",
     "organisation_id": "org_acme", **SONNET, "started_at": "2026-03-12T18:00:00Z",
     "ended_at": "2026-03-12T18:04:00Z", "status": "succeeded", "input_tokens": 5000,
     "output_tokens": 1200, "cache_read_tokens": 20000, "cache_write_tokens": 640},
    # Its own tokens disagree with its requests (req_0104_1, _2): the requests count.
    {"run_id": "run_0104", "agent_id": "agent_invoice", "user_id": "user_kim",
     "organisation_id": "org_acme_us", **GPT, "started_at": "2026-03-14T10:00:00Z",
     "ended_at": "2026-03-14T10:02:00Z", "status": "succeeded", "input_tokens": 99999,
     "output_tokens": 99999},
    # No model of its own: model_used is that of most of its requests.
    {"run_id": "run_0105", "agent_id": "agent_research", "user_id": "user_chloe",
     "organisation_id": "org_acme_lab", "session_id": "ses_0105",
     "started_at": "2026-03-13T14:00:00Z", "ended_at": "2026-03-13T14:02:30Z",
     "status": "succeeded"},
    # No user: started by the system, under a key; null sent in so many words.
    {"run_id": "run_0106", "agent_id": "agent_triage", "user_id": None,
     "organisation_id": "org_acme_emea", "api_key_id": "key_ci", "provider": "google",
     "model": "gemini-3.8-flash", "started_at": "2026-03-14T23:30:00Z", "latency_ms": "5125.125",
     "status": "succeeded", "input_tokens": "700", "output_tokens": 90.0},
    # No agent.
    {"run_id": "run_0107", "user_id": "user_ana", "organisation_id": "org_acme_emea",
     "api_key_id": "key_ana", **GPT, "started_at": "2026-03-14T11:00:00+02:00",
     "ended_at": "2026-03-14T11:00:12.5+02:00", "status": "succeeded", "input_tokens": 450,
     "output_tokens": 120},
    # No latency and no end: left out of the latencies. Cancelled: no error.
    {"run_id": "run_0108", **SUPPORT_ANA, **SONNET, "session_id": "ses_0108",
     "started_at": "2026-03-10T12:00:00Z", "status": "cancelled"},
    # latency_ms and ended_at disagree: what was said wins over what is derived.
    {"run_id": "run_0109", **SUPPORT_ANA, **SONNET, "session_id": "ses_0108",
     "started_at": "2026-03-10T12:05:00Z", "ended_at": "2026-03-10T12:06:00Z",
     "latency_ms": 41250.5, "status": "succeeded", "input_tokens": 900, "output_tokens": 150},
    # Agent, user and organisation that no reference names: rows under their ids.
    {"run_id": "run_0110", "agent_id": "agent_shadow", "user_id": "user_ghost",
     "organisation_id": "org_nowhere", **GPT, "started_at": "2026-03-13T20:15:00Z",
     "ended_at": "2026-03-13T20:15:20Z", "status": "failed", "error_type": "timeout",
     "input_tokens": 1000, "output_tokens": 0},
    # At the first instant of the last hour: inside.
    {"run_id": "run_0111", "agent_id": "agent_triage", "user_id": "user_ben",
     "organisation_id": "org_acme_emea", "provider": "google", "model": "gemini-3.8-flash",
     "started_at": "2026-03-14T23:00:00Z", "latency_ms": 5000, "status": "succeeded",
     "input_tokens": 640, "output_tokens": 64},
    # At as_of itself: outside every window.
    {"run_id": "run_0112", "agent_id": "agent_triage", "user_id": "user_ben",
     "organisation_id": "org_acme_emea", "provider": "google", "model": "gemini-3.8-flash",
     "started_at": "2026-03-15T00:00:00Z", "latency_ms": 5000, "status": "succeeded",
     "input_tokens": 640, "output_tokens": 64},
    # An unknown field goes to extra; the empty session and the empty tag are nulls.
    {"run_id": "run_0113", **SUPPORT_ANA, **SONNET, "session_id": "", "tags": ["prod", ""],
     "started_at": "2026-03-09T00:00:00Z", "latency_ms": 30000, "status": "succeeded",
     "input_tokens": 500, "output_tokens": 100, "gateway": {"region": "eu-west-1", "hops": 2}},
    # A model without a price: cost null, listed in quality.unpriced_models.
    {"run_id": "run_0114", "agent_id": "agent_translate", "user_id": "user_lea",
     "organisation_id": "org_globex", "provider": "globex", "model": "globex-inhouse-7b",
     "started_at": "2026-03-08T09:00:00Z", "ended_at": "2026-03-08T09:00:09Z",
     "status": "succeeded", "input_tokens": 1500, "output_tokens": 300},
    # One session on both sides of midnight: it counts on both days, once in the week.
    {"run_id": "run_0115", **SUPPORT_ANA, **SONNET, "session_id": "ses_midnight",
     "conversation_id": "conv_midnight", "started_at": "2026-03-13T23:50:00Z",
     "latency_ms": 32000, "status": "succeeded", "input_tokens": 700, "output_tokens": 180},
    {"run_id": "run_0116", **SUPPORT_ANA, **SONNET, "session_id": "ses_midnight",
     "conversation_id": "conv_midnight", "started_at": "2026-03-14T00:20:00Z",
     "latency_ms": 35000, "status": "succeeded", "input_tokens": 750, "output_tokens": 210},
    # One session on both sides of a month's end: it counts in February and in March.
    {"run_id": "run_0117", "agent_id": "agent_poet", "user_id": "user_hugo",
     "organisation_id": "org_globex", **SONNET, "session_id": "ses_month_end",
     "started_at": "2026-02-28T23:40:00Z", "ended_at": "2026-02-28T23:41:00Z",
     "status": "succeeded", "input_tokens": 820, "output_tokens": 260},
    {"run_id": "run_0118", "agent_id": "agent_poet", "user_id": "user_hugo",
     "organisation_id": "org_globex", **SONNET, "session_id": "ses_month_end",
     "started_at": "2026-03-01T00:10:00Z", "ended_at": "2026-03-01T00:11:00Z",
     "status": "succeeded", "input_tokens": 830, "output_tokens": 240},
    # The last nanosecond of a year: microseconds are kept, so it does not round into the next.
    {"run_id": "run_0119", "agent_id": "agent_triage", "organisation_id": "org_acme_emea",
     "provider": "google", "model": "gemini-3.8-flash", "api_key_id": "key_ci",
     "started_at": "2025-12-31T23:59:59.999999999Z", "latency_ms": 4800, "status": "succeeded",
     "input_tokens": 610, "output_tokens": 55},
    # Nothing but what is required.
    {"run_id": "run_0120", "started_at": "2026-02-18T10:00:00Z", "status": "failed"},
    # An organisation whose parent never arrives.
    {"run_id": "run_0121", "agent_id": "agent_translate", "user_id": "user_gita_old",
     "organisation_id": "org_initech_branch", "provider": "google", "model": "gemini-3.8-flash",
     "started_at": "2026-02-26T10:00:00Z", "latency_ms": 3900, "status": "succeeded",
     "input_tokens": 420, "output_tokens": 80},
]

# Delivered in March, months after it happened.
LATE_RUN: Row = {
    "run_id": "run_0130", **SUPPORT_ANA, **SONNET, "session_id": "ses_0130",
    "started_at": "2025-11-20T10:00:00Z", "ended_at": "2025-11-20T10:00:45Z",
    "status": "succeeded", "input_tokens": 940, "output_tokens": 310,
}

BAD_RUNS = [
    # Broken JSON: cut in the middle of a line.
    '{"run_id": "run_bad_json", "agent_id": "agent_support", "started_at": "2026-03-02T10:0',
    # An instant without an offset is not guessed.
    '{"run_id": "run_bad_offset", "started_at": "2026-03-02T10:00:00", "status": "succeeded"}',
    # status is a closed list.
    '{"run_id": "run_bad_status", "started_at": "2026-03-02T10:00:00Z", "status": "timeout"}',
    # A required field is missing.
    '{"run_id": "run_bad_missing", "agent_id": "agent_support", "status": "succeeded"}',
    # A latency is never negative.
    ('{"run_id": "run_bad_latency", "started_at": "2026-03-02T10:00:00Z", "status": "succeeded",'
    ' "latency_ms": -5}'),
    # JSON, but not an object.
    '["run_bad_list", "2026-03-02T10:00:00Z", "succeeded"]',
]

AWKWARD_REQUESTS: list[Row] = [
    # The attempts of run_0102.
    {"request_id": "req_0102_1", "run_id": "run_0102", "session_id": "ses_0102", **SUPPORT_ANA,
     "team_id": "team_platform", **SONNET, "requested_at": "2026-03-11T09:00:00Z",
     "duration_ms": 2100, "status": "failed", "error_type": "overloaded", "attempt": 1,
     "input_tokens": 1200, "output_tokens": 0},
    {"request_id": "req_0102_2", "run_id": "run_0102", "session_id": "ses_0102", **SUPPORT_ANA,
     "team_id": "team_platform", **SONNET, "requested_at": "2026-03-11T09:00:10Z",
     "duration_ms": 2300, "status": "failed", "error_type": "rate_limited", "attempt": 2,
     "input_tokens": 1200, "output_tokens": 0},
    {"request_id": "req_0102_3", "run_id": "run_0102", "session_id": "ses_0102", **SUPPORT_ANA,
     "team_id": "team_platform", **SONNET, "requested_at": "2026-03-11T09:00:30Z",
     "duration_ms": 39000, "status": "succeeded", "attempt": 3, "input_tokens": 1200,
     "output_tokens": 410, "reported_cost_usd": "0.009750000000"},
    # run_0104 says 99,999 of each; these say 2,500 and 700.
    {"request_id": "req_0104_1", "run_id": "run_0104", "agent_id": "agent_invoice",
     "user_id": "user_kim", "organisation_id": "org_acme_us", "team_id": "team_finance", **GPT,
     "requested_at": "2026-03-14T10:00:00Z", "duration_ms": 30000, "status": "succeeded",
     "attempt": 1, "input_tokens": 1500, "output_tokens": 400, "reasoning_tokens": 250},
    {"request_id": "req_0104_2", "run_id": "run_0104", "agent_id": "agent_invoice",
     "user_id": "user_kim", "organisation_id": "org_acme_us", "team_id": "team_finance", **GPT,
     "requested_at": "2026-03-14T10:01:00Z", "duration_ms": 28000, "status": "succeeded",
     "attempt": 1, "input_tokens": 1000, "output_tokens": 300, "reasoning_tokens": 120},
    # run_0105 has no model; two of its requests say gpt-5, one says claude-sonnet-4-6.
    {"request_id": "req_0105_1", "run_id": "run_0105", "session_id": "ses_0105",
     "user_id": "user_chloe", "team_id": "team_lab", **GPT,
     "requested_at": "2026-03-13T14:00:00Z", "duration_ms": 9000, "status": "succeeded",
     "attempt": 1, "input_tokens": 600, "output_tokens": 90},
    {"request_id": "req_0105_2", "run_id": "run_0105", "session_id": "ses_0105",
     "user_id": "user_chloe", "team_id": "team_lab", **GPT,
     "requested_at": "2026-03-13T14:00:30Z", "duration_ms": 8000, "status": "succeeded",
     "attempt": 1, "input_tokens": 700, "output_tokens": 95},
    {"request_id": "req_0105_3", "run_id": "run_0105", "session_id": "ses_0105",
     "user_id": "user_chloe", "team_id": "team_lab", **SONNET,
     "requested_at": "2026-03-13T14:01:00Z", "duration_ms": 60000, "status": "succeeded",
     "attempt": 1, "input_tokens": 9000, "output_tokens": 2000},
    # Requests without a run, straight through the gateway, in a session of their own.
    {"request_id": "req_0201", "session_id": "ses_direct", "user_id": "user_hugo",
     "organisation_id": "org_globex", "team_id": "team_globex", "api_key_id": "key_globex",
     **GPT, "requested_at": "2026-03-14T21:00:00Z", "duration_ms": 4000, "status": "succeeded",
     "attempt": 1, "input_tokens": 350, "output_tokens": 75},
    {"request_id": "req_0202", "session_id": "ses_direct", "user_id": "user_hugo",
     "organisation_id": "org_globex", "team_id": "team_globex", "api_key_id": "key_globex",
     **GPT, "requested_at": "2026-03-14T23:20:00.987654321Z", "duration_ms": 4200,
     "status": "failed", "error_type": "bad_request", "attempt": 1, "input_tokens": 0,
     "output_tokens": 0},
    # Claude Code reports this request too (otlp, session …0001): counted once, as the platform's.
    {"request_id": "req_shared_0001", "user_id": "user_ana", "organisation_id": "org_acme_emea",
     "team_id": "team_platform", "api_key_id": "key_ana", **SONNET,
     "requested_at": "2026-03-14T22:45:05Z", "duration_ms": 4900, "status": "succeeded",
     "attempt": 1, "input_tokens": 14, "cache_read_tokens": 41200,
     "cache_write_5m_tokens": 900, "output_tokens": 510, "reported_cost_usd": "0.023427"},
    # Its run never arrives.
    {"request_id": "req_0203", "run_id": "run_missing", "agent_id": "agent_support",
     "organisation_id": "org_acme_emea", **SONNET, "requested_at": "2026-03-12T11:00:00Z",
     "duration_ms": 5000, "status": "succeeded", "attempt": 1, "input_tokens": 222,
     "output_tokens": 33},
    # More cached tokens than fit into 32 bits.
    {"request_id": "req_0204", "user_id": "user_chloe", "organisation_id": "org_acme_lab",
     "team_id": "team_lab", **SONNET, "requested_at": "2025-06-20T03:00:00Z",
     "duration_ms": 540000, "status": "succeeded", "attempt": 1, "input_tokens": 10,
     "cache_read_tokens": 3000000000, "output_tokens": 500},
    # Revision 2; revision 1 comes in a later file and loses.
    {"request_id": "req_0205", "user_id": "user_dmitri", "organisation_id": "org_acme_us",
     "team_id": "team_finance", **GPT, "requested_at": "2026-03-09T15:00:00Z",
     "duration_ms": 6000, "status": "succeeded", "attempt": 1, "input_tokens": 805,
     "output_tokens": 160, "revision": 2},
    # A model without a price.
    {"request_id": "req_0114_1", "run_id": "run_0114", "agent_id": "agent_translate",
     "user_id": "user_lea", "organisation_id": "org_globex", "provider": "globex",
     "model": "globex-inhouse-7b", "requested_at": "2026-03-08T09:00:00Z", "duration_ms": 8800,
     "status": "succeeded", "attempt": 1, "input_tokens": 1500, "output_tokens": 300},
]
OUTDATED_REQUEST: Row = {
    **next(row for row in AWKWARD_REQUESTS if row["request_id"] == "req_0205"),
    "input_tokens": 800, "revision": 1,
}

BAD_REQUESTS = [
    # 2.7 tokens are not a whole number.
    ('{"request_id": "req_bad_tokens", "model": "gpt-5", "requested_at": "2026-03-03T10:00:00Z",'
    ' "status": "succeeded", "input_tokens": 2.7}'),
    # Neither is true.
    ('{"request_id": "req_bad_true", "model": "gpt-5", "requested_at": "2026-03-03T10:00:00Z",'
    ' "status": "succeeded", "output_tokens": true}'),
    # model is required.
    '{"request_id": "req_bad_model", "requested_at": "2026-03-03T10:00:00Z", "status": "failed"}',
    # Before 2000-01-01: a clock that was never set.
    ('{"request_id": "req_bad_year", "model": "gpt-5", "requested_at": "1970-01-01T00:00:07Z",'
    ' "status": "succeeded"}'),
]

AWKWARD_CALLS: list[Row] = [
    {"call_id": "call_failed_1", "run_id": "run_0054", "agent_id": "agent_invoice",
     "user_id": "user_kim", "organisation_id": "org_acme_us", "mcp_id": "mcp_erp",
     "tool_name": "post_invoice", "called_at": "2026-03-14T16:31:00Z", "duration_ms": 3000,
     "outcome": "failed"},
    {"call_id": "call_failed_2", "agent_id": "agent_support", "user_id": "user_ben",
     "organisation_id": "org_acme_emea", "mcp_id": "mcp_tickets", "tool_name": "close_ticket",
     "called_at": "2026-03-14T23:41:00Z", "duration_ms": 812.375, "outcome": "failed"},
    # Blocked, with the policy as it read at the moment of the block: its old name ...
    {"call_id": "call_blocked_1", "run_id": "run_0032", "agent_id": "agent_report",
     "user_id": "user_finn", "organisation_id": "org_acme", "mcp_id": "mcp_files",
     "tool_name": "delete_file", "called_at": "2026-02-23T06:47:00Z", "outcome": "blocked",
     "policy_id": "policy_no_delete", "policy_name": "No deletion",
     "policy_description": "Files may not be deleted."},
    # ... and its new one.
    {"call_id": "call_blocked_2", "run_id": "run_0049", "agent_id": "agent_report",
     "user_id": "user_finn", "organisation_id": "org_acme", "mcp_id": "mcp_files",
     "tool_name": "delete_file", "called_at": "2026-03-13T10:06:00Z", "outcome": "blocked",
     "policy_id": "policy_no_delete", "policy_name": "Deletion needs approval",
     "policy_description": "Ask the owner first."},
    {"call_id": "call_blocked_3", "run_id": "run_0061", "agent_id": "agent_invoice",
     "user_id": "user_dmitri", "organisation_id": "org_acme_us", "mcp_id": "mcp_erp",
     "tool_name": "post_invoice", "called_at": "2026-03-14T23:39:00Z", "outcome": "blocked",
     "policy_id": "policy_payments", "policy_name": "Payments limit",
     "policy_description": "No postings above 10,000, or at night."},
    {"call_id": "call_blocked_4", "run_id": "run_0038", "agent_id": "agent_invoice",
     "agent_instance_id": "inst_invoice_kim", "user_id": "user_kim",
     "organisation_id": "org_acme_us", "mcp_id": "mcp_erp", "tool_name": "post_invoice",
     "called_at": "2026-03-04T10:11:00Z", "outcome": "blocked", "policy_id": "policy_payments",
     "policy_name": "Payments limit",
     "policy_description": "No postings above 10,000, or at night."},
    # Blocked by a policy that no reference names.
    {"call_id": "call_blocked_5", "agent_id": "agent_support", "user_id": "user_ana",
     "agent_instance_id": "inst_support_ana", "organisation_id": "org_acme_emea",
     "mcp_id": "mcp_web", "tool_name": "search", "called_at": "2026-03-14T22:21:00Z",
     "outcome": "blocked", "policy_id": "policy_unknown", "policy_name": "Unlisted",
     "policy_description": "Written, \"quoted\"\nand broken"},
    # Blocked without a policy.
    {"call_id": "call_blocked_6", "agent_id": "agent_support", "user_id": "user_ana",
     "organisation_id": "org_acme_emea", "mcp_id": "mcp_web", "tool_name": "search",
     "called_at": "2026-01-15T08:13:00Z", "outcome": "blocked"},
    # No server: a built-in tool. No agent, no run, no user.
    {"call_id": "call_builtin_1", "organisation_id": "org_acme", "tool_name": "shell",
     "called_at": "2026-03-11T13:00:00Z", "duration_ms": 95, "outcome": "executed"},
    # A server and a tool that no reference names.
    {"call_id": "call_unknown_1", "agent_id": "agent_shadow", "user_id": "user_ghost",
     "organisation_id": "org_nowhere", "mcp_id": "mcp_unlisted", "tool_name": "probe",
     "called_at": "2026-03-13T20:15:10Z", "duration_ms": 240, "outcome": "executed"},
    # Two rows of equal revision that differ in outcome: `failed` is the greater text and wins.
    {"call_id": "call_twice_1", "agent_id": "agent_translate", "user_id": "user_hugo",
     "organisation_id": "org_globex", "mcp_id": "mcp_files", "tool_name": "search",
     "called_at": "2026-03-10T08:00:00Z", "duration_ms": 400, "outcome": "executed"},
    {"call_id": "call_twice_1", "agent_id": "agent_translate", "user_id": "user_hugo",
     "organisation_id": "org_globex", "mcp_id": "mcp_files", "tool_name": "search",
     "called_at": "2026-03-10T08:00:00Z", "duration_ms": 400, "outcome": "failed"},
]

BAD_CALLS = [
    # outcome is a closed list.
    ('{"call_id": "call_bad_outcome", "tool_name": "search", "called_at": "2026-03-03T10:00:00Z",'
    ' "outcome": "denied"}'),
]

AWKWARD_MESSAGES = rows(
    "message_id conversation_id organisation_id agent_id user_id role sent_at",
    ("msg_midnight_1", "conv_midnight", "org_acme_emea", "agent_support", "user_ana", "user",
     "2026-03-13T23:50:00Z"),
    ("msg_midnight_2", "conv_midnight", "org_acme_emea", "agent_support", "user_ana", "assistant",
     "2026-03-14T00:20:35Z"),
    # role is open; no user and no agent.
    ("msg_system_1", "conv_0018", "org_acme_emea", None, None, "system", "2026-03-14T22:20:00Z"),
    # A conversation without any credit line.
    ("msg_free_1", "conv_free", "org_globex", "agent_poet", "user_lea", "user",
     "2026-03-12T10:00:00Z"),
)

AWKWARD_CREDITS = rows(
    "line_id occurred_at organisation_id agent_id user_id conversation_id run_id category "
    "description credits kind",
    # A grant is not consumption.
    ("line_grant_1", "2026-01-01T00:00:00Z", "org_acme", None, None, None, None, "LLM",
     "Yearly contingent", "1000.000000", "grant"),
    ("line_grant_2", "2026-03-14T09:00:00Z", "org_globex", None, None, None, None, "LLM",
     "Goodwill", "50.000000", "grant"),
    # Refunds are negative; this one is in another month than what it refunds (line_0025_1).
    ("line_refund_1", "2026-03-02T12:00:00Z", "org_acme_emea", "agent_support", "user_ana",
     "conv_0008", "run_0025", "LLM", "Failed run refunded", "-0.070000", "refund"),
    ("line_refund_2", "2026-03-14T17:00:00Z", "org_acme_us", "agent_invoice", "user_kim",
     None, "run_0054", "LLM", "Failed run refunded", "-0.243000", "refund"),
    # An adjustment, with all twelve decimals.
    ("line_adjust_1", "2026-03-10T00:00:00+01:00", "org_acme_us", "agent_invoice", "user_dmitri",
     None, None, "LLM", "Rounding of February", "0.004500000001", "adjustment"),
    # Without conversation: an agent that has credits and no run.
    ("line_voice_1", "2026-03-06T14:00:00Z", "org_acme_emea", "agent_prepaid", "user_ben",
     None, None, "SpeechToText", "12 minutes of audio", "1.250000", "usage"),
    ("line_voice_2", "2026-03-14T23:15:00Z", "org_acme_emea", "agent_prepaid", "user_ben",
     None, None, "SpeechToText", "3 minutes of audio", "0.312500", "usage"),
    # Without agent and user, but with a run: they are the run's.
    ("line_by_run_1", "2026-03-14T10:02:00Z", "org_acme_us", None, None, None, "run_0104", "LLM",
     "Model tokens", "0.640000", "usage"),
    # Without anything: (unattributed).
    ("line_bare_1", "2026-03-11T00:00:00Z", "org_acme", None, None, None, None, "LLM", None,
     "0.125000", None),
    # Names a run without an agent: (unattributed) among agents, user_ana among users.
    ("line_by_run_2", "2026-03-14T09:00:13Z", "org_acme_emea", None, None, None, "run_0107",
     "LLM", "Model tokens", "0.090000", None),
    # An agent and a user that no reference names; the category is a list that may grow.
    ("line_ghost_1", "2026-03-13T20:15:20Z", "org_nowhere", "agent_shadow", "user_ghost", None,
     "run_0110", "ImageGeneration", "1 image", "0.400000", "usage"),
    # A JSON number has been through a float: rounded to 12 decimals, and counted.
    ("line_float_1", "2026-03-12T12:00:00Z", "org_acme_lab", "agent_research", "user_chloe",
     "conv_0015", None, "WebSearch", "30 web searches", 0.30000000000000004, "usage"),
    # Two lines of one conversation at one instant, in two categories; formula as description.
    ("line_midnight_1", "2026-03-13T23:50:32Z", "org_acme_emea", "agent_support", "user_ana",
     "conv_midnight", "run_0115", "LLM", "+Model tokens", "0.210000", "usage"),
    ("line_midnight_2", "2026-03-13T23:50:32Z", "org_acme_emea", "agent_support", "user_ana",
     "conv_midnight", "run_0115", "WebSearch", "1 web search", "0.010000", "usage"),
    ("line_midnight_3", "2026-03-14T00:20:35Z", "org_acme_emea", "agent_support", "user_ana",
     "conv_midnight", "run_0116", "LLM", "Model tokens", "0.230000", "usage"),
    # Revision 0 of a line that a later file moves into March.
    ("line_moved_1", "2026-02-28T23:59:30Z", "org_globex", "agent_poet", "user_hugo", None,
     "run_0117", "LLM", "Model tokens", "0.333000", "usage"),
)
MOVED_LINE: Row = {
    **next(row for row in AWKWARD_CREDITS if row["line_id"] == "line_moved_1"),
    "occurred_at": "2026-03-01T00:00:30Z", "revision": 1,
}
LATE_LINE: Row = {
    "line_id": "line_late_1", "occurred_at": "2025-11-20T10:00:45Z",
    "organisation_id": "org_acme_emea", "run_id": "run_0130", "category": "LLM",
    "description": "Model tokens", "credits": "0.155000",
}

BAD_CREDITS = [
    # Thirteen decimals in text: an amount is never rounded silently.
    ('{"line_id": "line_bad_decimals", "occurred_at": "2026-03-03T10:00:00Z", "organisation_id":'
    ' "org_acme", "category": "LLM", "credits": "0.0000000000001"}'),
    # organisation_id is required.
    ('{"line_id": "line_bad_org", "occurred_at": "2026-03-03T10:00:00Z", "category": "LLM",'
    ' "credits": "1.000000"}'),
    # kind is a closed list.
    ('{"line_id": "line_bad_kind", "occurred_at": "2026-03-03T10:00:00Z", "organisation_id":'
    ' "org_acme", "category": "LLM", "credits": "1.000000", "kind": "gift"}'),
]

BAD_GRANTS = [
    # role of a grant is a closed list.
    ('{"user_id": "user_noor", "organisation_id": "org_acme", "role": "superuser",'
    ' "is_granted": true, "updated_at": "2026-03-02T11:00:00Z"}'),
]

# ------------------------------------------------------------------------------------------------
# Claude Code telemetry: OTLP JSON, one export request a line, all of it invented.
# ------------------------------------------------------------------------------------------------

# Numbers differ by build and way: JSON numbers (http/json), text inside intValue (protobuf), and
# plain stringValue (older builds).
SESSIONS: dict[str, dict[str, str]] = {
    # Ana, known by her installation; the last hour lies within it.
    "ana": {"id": "5e550000-0000-4000-8000-000000000001", "user.id": INSTALLATION_ANA,
            "version": "2.1.260", "numbers": "json", "team.id": "team_platform"},
    # Ben, known by an e-mail that only user_identities maps; over midnight, then resumed.
    "ben": {"id": "5e550000-0000-4000-8000-000000000002", "user.id": "be11" * 16,
            "user.email": "ben.private@mail.test", "version": "2.0.14", "numbers": "string"},
    # Chloé, known by her account; has the error that was retried in vain.
    "chloe": {"id": "5e550000-0000-4000-8000-000000000003", "user.id": INSTALLATION_CHLOE,
              "user.account_uuid": "ac000000-0000-4000-8000-0000000000c1",
              "version": "2.1.197", "numbers": "text", "team.id": "team_lab"},
    # An installation that nothing maps to a user; an empty team.
    "nobody": {"id": "5e550000-0000-4000-8000-000000000004", "user.id": INSTALLATION_NOBODY,
               "version": "2.1.197", "numbers": "json", "team.id": ""},
    # Errors only; an e-mail that two users share, which resolves to none.
    "gita": {"id": "5e550000-0000-4000-8000-000000000005", "user.id": "917a" * 16,
             "user.email": "gita@globex.test", "version": "2.1.260", "numbers": "json"},
    # No session.id: its sender switched it off.
    "none": {"user.id": INSTALLATION_ANA, "version": "2.1.260", "numbers": "json",
             "team.id": "team_platform"},
    # Metrics only: no log record at all.
    "metrics": {"id": "5e550000-0000-4000-8000-000000000006", "user.id": INSTALLATION_ANA,
                "version": "2.1.260", "numbers": "json", "team.id": "team_platform"},
}

Event = tuple[str, str, Row]
# fmt: on


def prompt(text: str) -> Row:
    """The attributes of a user_prompt whose text its sender chose to log."""
    return {"prompt_length": str(len(text)), "prompt": text}


def api_request(
    request_id: str,
    uncached: int,
    output: int,
    read: int,
    written: int,
    duration_ms: int,
    model: str = "claude-sonnet-4-6",
    **more: object,
) -> Row:
    """The attributes of an api_request that succeeded, its cost at list price."""
    return {
        "model": model,
        "input_tokens": uncached,
        "output_tokens": output,
        "cache_read_tokens": read,
        "cache_creation_tokens": written,
        "cost_usd": float(cost_usd(model, uncached, read, written, output)),
        "duration_ms": duration_ms,
        "request_id": request_id,
        "speed": "normal",
        "query_source": "repl_main_thread",
        **more,
    }


# fmt: off
# One batch each: the session, which of its processes, and (instant, event, attributes).
LOG_BATCHES: list[tuple[str, int, list[Event]]] = [
    ("nobody", 1, [
        ("2026-01-15T10:00:00.100", "user_prompt",
         prompt("planted prompt: paint the green bridge")),
        # A tool call that a rule of the client blocks: a decision, and no result.
        ("2026-01-15T10:00:04.000", "tool_decision",
         {"tool_name": "Bash", "tool_use_id": "toolu_0001", "decision": "reject",
          "source": "config",
          "tool_parameters": '{"full_command": "planted command: rm -r bridge"}'}),
        ("2026-01-15T10:00:04.250", "api_request",
         api_request("req_cc_0001", 1400, 120, 0, 9000, 4100, "claude-haiku-4-5")),
    ]),
    ("nobody", 1, [
        ("2026-01-15T10:01:10.000", "api_request",
         api_request("req_cc_0002", 20, 310, 9000, 400, 6200, "claude-haiku-4-5")),
        # Nothing used and nothing charged: zero comes as an integer.
        ("2026-01-15T10:01:12.000", "api_request",
         api_request("req_cc_0003", 0, 0, 0, 0, 300, "claude-haiku-4-5")),
    ]),
    ("chloe", 1, [
        ("2026-02-20T13:00:00.000", "user_prompt",
         prompt("planted prompt: count the red lanterns")),
        ("2026-02-20T13:00:06.500", "api_request",
         api_request("req_cc_0004", 2100, 240, 0, 11000, 6400)),
        # An MCP tool whose server is named in tool_parameters only.
        ("2026-02-20T13:00:08.000", "tool_result",
         {"tool_name": "mcp_tool", "tool_use_id": "toolu_0002", "success": "true",
          "duration_ms": "1250", "decision_type": "accept", "decision_source": "config",
          "tool_parameters": '{"mcp_server_name": "web", "mcp_tool_name": "search"}',
          "tool_input": '{"query": "planted argument: red lanterns"}'}),
        ("2026-02-20T13:00:15.000", "api_request",
         api_request("req_cc_0005", 60, 410, 11000, 900, 6100)),
    ]),
    ("chloe", 1, [
        # One failed request; the event beside it is no second failure.
        ("2026-02-20T13:05:00.000", "api_error",
         {"model": "claude-sonnet-4-6", "error": "Overloaded", "status_code": 529,
          "duration_ms": 61000, "attempt": 3, "request_id": "req_cc_0006", "speed": "normal",
          "query_source": "repl_main_thread"}),
        ("2026-02-20T13:05:00.001", "api_retries_exhausted",
         {"model": "claude-sonnet-4-6", "error": "Overloaded", "status_code": 529,
          "total_attempts": 3, "total_retry_duration_ms": 61000, "speed": "normal",
          "query_source": "repl_main_thread"}),
        ("2026-02-20T13:06:00.000", "api_request",
         api_request("req_cc_0007", 75, 505, 11900, 700, 7300)),
    ]),
    ("gita", 1, [
        ("2026-03-10T09:15:00.000", "api_error",
         {"model": "claude-sonnet-4-6", "error": "Invalid API key", "status_code": 401,
          "duration_ms": 210, "attempt": 1, "speed": "normal",
          "query_source": "repl_main_thread"}),
    ]),
    ("ben", 1, [
        ("2026-03-12T23:50:00.000", "user_prompt",
         prompt("planted prompt: polish the brass bell")),
        ("2026-03-12T23:50:08.000", "api_request",
         api_request("req_cc_0008", 1800, 220, 0, 14000, 7900)),
        ("2026-03-12T23:50:09.100", "tool_result",
         {"tool_name": "mcp__tickets__search_tickets", "tool_use_id": "toolu_0003",
          "success": "true", "duration_ms": "640", "tool_result_size_bytes": "1022"}),
        ("2026-03-12T23:50:20.000", "api_request",
         api_request("req_cc_0009", 90, 380, 14000, 650, 10400)),
    ]),
    ("ben", 1, [
        # Ends after midnight, started before it: a telemetry request is stamped at its end.
        ("2026-03-13T00:00:03.000", "api_request",
         api_request("req_cc_0010", 110, 640, 14650, 800, 12000)),
    ]),
    # Resumed: a new process, whose event.sequence starts at 0 again.
    ("ben", 2, [
        ("2026-03-13T00:14:00.000", "user_prompt",
         prompt("planted prompt: wind the old clock")),
        ("2026-03-13T00:14:09.000", "api_request",
         api_request("req_cc_0011", 130, 275, 15450, 300, 8700)),
        ("2026-03-13T00:15:30.000", "api_request",
         api_request("req_cc_0012", 95, 190, 15750, 0, 5200)),
    ]),
    ("none", 1, [
        ("2026-03-14T12:30:00.000", "api_request",
         api_request("req_cc_0013", 640, 150, 0, 3000, 3900)),
    ]),
    ("ana", 1, [
        ("2026-03-14T22:45:00.000", "user_prompt",
         prompt("planted prompt: rotate the blue keys")),
        # Stamped before the request that caused it, which is logged when its stream ends.
        ("2026-03-14T22:45:09.700", "tool_decision",
         {"tool_name": "Bash", "tool_use_id": "toolu_0004", "decision": "accept",
          "source": "user_temporary"}),
        # The platform has this one too.
        ("2026-03-14T22:45:09.900", "api_request",
         api_request("req_shared_0001", 14, 510, 41200, 900, 4900)),
        ("2026-03-14T22:45:11.000", "tool_result",
         {"tool_name": "Bash", "tool_use_id": "toolu_0004", "success": "true",
          "duration_ms": "812", "decision_type": "accept", "decision_source": "user_temporary",
          "tool_parameters": '{"bash_command": "rotate", "full_command":'
                             ' "planted command: rotate --colour blue"}',
          "tool_input": '{"command": "planted command: rotate --colour blue"}',
          "tool_input_size_bytes": "48", "tool_result_size_bytes": "19"}),
    ]),
    ("ana", 1, [
        ("2026-03-14T22:58:40.000", "api_request",
         api_request("req_cc_0014", 18, 720, 42100, 1100, 9800)),
        # A subagent on another model.
        ("2026-03-14T22:59:30.000", "api_request",
         api_request("req_cc_0015", 900, 260, 0, 4200, 3300, "claude-haiku-4-5",
                     query_source="agent:builtin:general-purpose")),
    ]),
    ("ana", 1, [
        ("2026-03-14T23:08:12.000", "tool_decision",
         {"tool_name": "mcp__files__delete_file", "tool_use_id": "toolu_0005",
          "decision": "reject", "source": "hook"}),
        ("2026-03-14T23:08:12.400", "api_request",
         api_request("req_cc_0016", 25, 430, 43200, 800, 7600)),
        ("2026-03-14T23:08:14.000", "tool_result",
         {"tool_name": "Edit", "tool_use_id": "toolu_0006", "success": "false",
          "error_type": "not_found", "duration_ms": "31"}),
        ("2026-03-14T23:09:00.000", "api_request",
         api_request("req_cc_0017", 30, 880, 44000, 0, 12900)),
    ]),
    ("ana", 1, [
        # Without request_id, which is optional.
        ("2026-03-14T23:20:00.000", "api_request",
         {**api_request("", 22, 350, 44000, 600, 6600), "request_id": None}),
    ]),
]
# The receiver stored this body, answered 503, and got it again after newer ones.
REPEATED_BATCH = 10
# A line that broke off within a prompt: what is kept of it must not reach that far.
BROKEN_LOG_FROM = 9
# fmt: on


def attribute(key: str, value: object, numbers: str = "json") -> Row:
    """One OTLP attribute, its number spelled as the session's build does."""
    if isinstance(value, str):
        return {"key": key, "value": {"stringValue": value}}
    if numbers == "string":
        return {"key": key, "value": {"stringValue": str(value)}}
    if value == int(value):
        whole = int(value)
        return {"key": key, "value": {"intValue": str(whole) if numbers == "text" else whole}}
    return {"key": key, "value": {"doubleValue": value}}


def nanoseconds(moment: datetime) -> str:
    """Nanoseconds since 1970 as OTLP writes them, in text."""
    return str((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000)


def resource_of(session: dict[str, str]) -> Row:
    """The resource of a Claude Code process."""
    attributes = [
        attribute("service.name", "claude-code"),
        attribute("service.version", session["version"]),
        attribute("os.type", "linux"),
        attribute("host.arch", "amd64"),
    ]
    if "team.id" in session:
        attributes.append(attribute("team.id", session["team.id"]))
    return {"attributes": attributes}


def standard_attributes(session: dict[str, str]) -> list[Row]:
    """What each record and point of a session carries."""
    names = ("team.id", "user.id", "user.email", "user.account_uuid")
    found = [attribute(name, session[name]) for name in names if name in session]
    if "id" in session:
        found.append(attribute("session.id", session["id"]))
    return [*found, attribute("terminal.type", "xterm-256color")]


def log_lines() -> list[str]:
    """The lines of the logs file."""
    lines: list[str] = []
    sequence: dict[tuple[str, int], int] = {}
    for number, (name, process, events) in enumerate(LOG_BATCHES):
        session = SESSIONS[name]
        records: list[Row] = []
        for when, event, details in events:
            position = sequence.get((name, process), 0)
            sequence[name, process] = position + 1
            stamp = nanoseconds(instant(when))
            own = {
                "event.name": event,
                "event.timestamp": f"{when}Z",
                "event.sequence": position,
                "prompt.id": f"9a000000-0000-4000-8000-{number:012d}",
                **details,
            }
            records.append(
                {
                    "timeUnixNano": stamp,
                    "observedTimeUnixNano": stamp,
                    "body": {"stringValue": f"claude_code.{event}"},
                    "attributes": standard_attributes(session)
                    + [
                        attribute(key, value, session["numbers"])
                        for key, value in own.items()
                        if value is not None
                    ],
                }
            )
        scope = {"name": "com.anthropic.claude_code.events", "version": session["version"]}
        lines.append(
            compact(
                {
                    "resourceLogs": [
                        {
                            "resource": resource_of(session),
                            "scopeLogs": [{"scope": scope, "logRecords": records}],
                        }
                    ]
                }
            )
        )
    whole = lines[BROKEN_LOG_FROM]
    broken = whole[: whole.index("planted prompt: rotate") + len("planted prompt: rotate")]
    return [*lines, broken, lines[REPEATED_BATCH]]


def metric_lines() -> list[str]:
    """Deltas: Ana's session, with the totals of its log records, and a session of metrics alone."""
    used = [
        details
        for name, _, events in LOG_BATCHES
        if name == "ana"
        for _, event, details in events
        if event == "api_request"
    ]
    alone = [api_request("", 500, 90, 12000, 700, 0)]
    return [
        metric_line("ana", "2026-03-14T22:45:00", "2026-03-14T23:21:00", used),
        metric_line("metrics", "2026-03-08T17:00:00", "2026-03-08T17:01:00", alone),
    ]


def metric_line(name: str, start: str, end: str, used: list[Row]) -> str:
    """One export of metrics: tokens and cost by model, and the start of a session."""
    session = SESSIONS[name]
    span = {
        "startTimeUnixNano": nanoseconds(instant(start)),
        "timeUnixNano": nanoseconds(instant(end)),
    }
    kinds = {
        "input": "input_tokens",
        "output": "output_tokens",
        "cacheRead": "cache_read_tokens",
        "cacheCreation": "cache_creation_tokens",
    }

    def point(value: float, **labels: str) -> Row:
        labelled = [attribute(key, label) for key, label in labels.items()]
        return {"attributes": standard_attributes(session) + labelled, **span, "asDouble": value}

    def metric(metric_name: str, unit: str, points: list[Row]) -> Row:
        delta = {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": points}
        return {"name": f"claude_code.{metric_name}", "unit": unit, "sum": delta}

    models = sorted({str(row["model"]) for row in used})
    tokens = [
        point(sum(row[field] for row in used if row["model"] == model), type=kind, model=model)
        for model in models
        for kind, field in kinds.items()
    ]
    costs = [
        point(round(sum(row["cost_usd"] for row in used if row["model"] == model), 9), model=model)
        for model in models
    ]
    scope = {"name": "com.anthropic.claude_code", "version": session["version"]}
    metrics = [
        metric("session.count", "", [point(1, start_type="fresh")]),
        metric("token.usage", "tokens", tokens),
        metric("cost.usage", "USD", costs),
    ]
    return compact(
        {
            "resourceMetrics": [
                {
                    "resource": resource_of(session),
                    "scopeMetrics": [{"scope": scope, "metrics": metrics}],
                }
            ]
        }
    )


# ------------------------------------------------------------------------------------------------
# Files.
# ------------------------------------------------------------------------------------------------

PARQUET_SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in (
                "request_id",
                "run_id",
                "session_id",
                "conversation_id",
                "agent_id",
                "agent_instance_id",
                "user_id",
                "organisation_id",
                "team_id",
                "api_key_id",
                "provider",
                "model",
            )
        ),
        ("requested_at", pa.timestamp("us")),  # naive: UTC
        ("duration_ms", pa.int64()),
        ("status", pa.string()),
        ("error_type", pa.string()),
        ("attempt", pa.int32()),
        *(
            (name, pa.int64())
            for name in (
                "input_tokens",
                "cache_read_tokens",
                "cache_write_5m_tokens",
                "cache_write_1h_tokens",
                "output_tokens",
                "reasoning_tokens",
            )
        ),
        ("reported_cost_usd", pa.decimal128(38, 12)),
        ("tags", pa.list_(pa.string())),
    ]
)


def compact(value: object) -> str:
    """JSON without spaces, as the collector writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def ndjson(lines: Iterable[Row | str]) -> bytes:
    """One JSON object a line; text is a line as it stands."""
    texts = (
        line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines
    )
    return "".join(f"{text}\n" for text in texts).encode()


def gzipped(data: bytes) -> bytes:
    """gzip without a name and a time in its header."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
        file.write(data)
    return buffer.getvalue()


def parquet(requests: list[Row]) -> bytes:
    """Requests as typed columns."""
    typed = [
        {
            **row,
            "requested_at": datetime.fromisoformat(str(row["requested_at"])).replace(tzinfo=None),
            "reported_cost_usd": Decimal(row["reported_cost_usd"])
            if "reported_cost_usd" in row
            else None,
        }
        for row in requests
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(typed, schema=PARQUET_SCHEMA), buffer)
    return buffer.getvalue()


def between(events: list[Row], column: str, start: str, end: str) -> list[Row]:
    """The events of [start, end), two days such as 2026-01-01."""
    first, last = instant(start), instant(end)
    return [row for row in events if first <= datetime.fromisoformat(str(row[column])) < last]


def periods(events: list[Row], column: str) -> list[list[Row]]:
    """The events of 2025, of January, of February, and of March with what lies after as_of."""
    edges = ("2025-01-01", "2026-01-01", "2026-02-01", "2026-03-01", "2027-01-01")
    return [between(events, column, start, end) for start, end in pairwise(edges)]


def landing_files() -> dict[str, bytes]:
    """Every file of the landing zone: its path and its bytes."""
    parts = list(ordinary_runs())
    runs = [run for run, *_ in parts]
    requests = [row for _, rows_, *_ in parts for row in rows_]
    calls = [row for _, _, rows_, *_ in parts for row in rows_]
    messages = [row for *_, rows_, _ in parts for row in rows_] + AWKWARD_MESSAGES
    lines = [row for *_, rows_ in parts for row in rows_]
    runs_by_id = {run["run_id"]: run for run in runs}

    runs_2025, runs_jan, runs_feb, runs_mar = periods(runs, "started_at")
    requests_2025, requests_jan, requests_feb, requests_mar = periods(requests, "requested_at")
    calls_2025, calls_jan, calls_feb, calls_mar = periods(calls, "called_at")
    credits_2025, credits_jan, credits_feb, credits_mar = periods(lines, "occurred_at")
    messages_old = between(messages, "sent_at", "2025-01-01", "2026-02-01")
    messages_new = between(messages, "sent_at", "2026-02-01", "2027-01-01")

    # In runs-0005 a correction moves run_0101 over midnight, run_0036 comes
    # again as it was, run_0035 again in other words (a number as text, another offset).
    moved = {**AWKWARD_RUNS[0], "started_at": "2026-03-06T00:03:00Z", "revision": 1}
    reworded = {
        **runs_by_id["run_0035"],
        "started_at": "2026-03-02T10:05:00+01:00",
        "output_tokens": str(runs_by_id["run_0035"]["output_tokens"]),
    }
    again = [moved, runs_by_id["run_0036"], reworded]

    # January's credit lines are delivered twice under two names.
    credits_jan_file = ndjson(credits_jan)

    return {
        "organisations/organisations.ndjson": ndjson(ORGANISATIONS),
        "users/2025/users-0001.ndjson": ndjson(USERS_2025),
        "users/2026/users-0002.ndjson": ndjson(USERS_2026),
        "user_identities/identities.ndjson": ndjson(USER_IDENTITIES),
        "teams/teams.ndjson": ndjson(TEAMS),
        "groups/groups.ndjson": ndjson(GROUPS),
        "group_members/members.ndjson": ndjson(GROUP_MEMBERS),
        "agents/2025/agents-0001.ndjson": ndjson(AGENTS_2025),
        "agents/2026/agents-0002.ndjson": ndjson(AGENTS_2026),
        "agent_instances/instances.ndjson": ndjson(AGENT_INSTANCES),
        "mcp_servers/servers.ndjson": ndjson(MCP_SERVERS),
        "tools/tools.ndjson": ndjson(TOOLS),
        "policies/policies.jsonl": ndjson(POLICIES),
        "api_keys/keys.ndjson": ndjson(API_KEYS),
        "role_grants/grants.json": ndjson([*ROLE_GRANTS, *BAD_GRANTS]),
        "agent_runs/2025/runs-0001.ndjson": ndjson(runs_2025),
        "agent_runs/2026/01/runs-0002.ndjson.gz": gzipped(ndjson(runs_jan)),
        "agent_runs/2026/02/runs-0003.ndjson": ndjson(runs_feb),
        # Bad lines stand between good ones, which load; the empty line is none.
        "agent_runs/2026/03/runs-0004.ndjson": ndjson(
            [*runs_mar[:3], *BAD_RUNS, "", *runs_mar[3:], *AWKWARD_RUNS]
        ),
        "agent_runs/2026/03/runs-0005.ndjson": ndjson(again),
        "agent_runs/2026/03/late/runs-0006.ndjson": ndjson([LATE_RUN]),
        "llm_requests/2025/requests-0001.ndjson": ndjson(requests_2025),
        "llm_requests/2026/01/requests-0002.ndjson": ndjson(requests_jan),
        # A hive folder, whose date means nothing here: it holds all of February.
        "llm_requests/date=2026-02-28/part-00000.parquet": parquet(requests_feb),
        "llm_requests/2026/03/requests-0003.ndjson": ndjson(
            [*requests_mar[:5], *BAD_REQUESTS, *requests_mar[5:]]
        ),
        "llm_requests/2026/03/requests-0004.ndjson": ndjson(AWKWARD_REQUESTS),
        "llm_requests/2026/03/requests-0005.ndjson": ndjson([OUTDATED_REQUEST]),
        "tool_calls/2025/calls-0001.ndjson": ndjson(calls_2025),
        "tool_calls/2026/02/calls-0002.ndjson.zst": zstandard.ZstdCompressor(level=9).compress(
            ndjson(calls_jan + calls_feb)
        ),
        "tool_calls/2026/03/calls-0003.ndjson": ndjson([*calls_mar, *BAD_CALLS, *AWKWARD_CALLS]),
        "conversation_messages/messages-0001.ndjson": ndjson(messages_old),
        "conversation_messages/2026/messages-0002.ndjson": ndjson(messages_new),
        "credit_lines/2025/lines-0001.ndjson": ndjson(credits_2025),
        "credit_lines/2026/01/lines-0002.ndjson": credits_jan_file,
        "credit_lines/2026/01/lines-0002 (copy).ndjson": credits_jan_file,
        "credit_lines/2026/02/lines-0003.ndjson": ndjson(credits_feb),
        "credit_lines/2026/03/lines-0004.ndjson": ndjson(
            [*credits_mar, *BAD_CREDITS, *AWKWARD_CREDITS]
        ),
        # The last line ends without a line feed, and is whole.
        "credit_lines/2026/03/late/lines-0005.ndjson": ndjson([MOVED_LINE, LATE_LINE]).removesuffix(
            b"\n"
        ),
        "otlp/claude_code/2026/logs.jsonl": ndjson(log_lines()),
        "otlp/claude_code/2026/metrics.jsonl": ndjson(metric_lines()),
        # Files that are listed as ignored, and why.
        "agent_runs/2026/03/runs-0007.ndjson.tmp": b"half a file, being writ",  # .tmp
        "tool_calls/2026/03/calls-0004.ndjson.part": b"half a fi",  # .part
        "agent_runs/2026/03/.runs-0008.ndjson": ndjson([LATE_RUN]),  # a dot in front
        "llm_requests/date=2026-02-28/_SUCCESS": b"",  # an underscore in front
        "credit_lines/2026/03/notes.txt": b"Please load lines-0005 as well.\n",  # another ending
        "invoices/2026/invoices-0001.ndjson": b'{"invoice_id": "inv_0001"}\n',  # no such source
    }


def main(arguments: list[str]) -> None:
    """Write the tree; exit with a sentence where the folder is not ours to replace."""
    target = Path(arguments[0]) if arguments else HERE / "landing"
    if not arguments and target.exists():
        shutil.rmtree(target)
    if target.exists() and any(target.iterdir()):
        sys.exit(f"{target} is not empty: name a folder that is new or empty.")
    for path, data in landing_files().items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1:])
