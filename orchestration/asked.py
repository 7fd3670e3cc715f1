"""One report as somebody asks for it: a Dagster asset with a job of its own and a form to fill."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from orchestration.exports import FORMS
from orchestration.project import Settings
from orchestration.reports import AskedExport, write_asked


class AskedConfig(dg.Config):
    """What `warehouse export` takes; names, filters and values are the same."""

    report: str = Field(description="The report: `warehouse reports` lists them.")
    output: str = Field(description="The file to write.")
    timeframe: str | None = Field(default=None, description="Such as last_30_days.")
    start: str | None = Field(default=None, description="Else the start: an instant or local date.")
    end: str | None = Field(default=None, description="And the end, not included.")
    filters: dict[str, list[str]] = Field(
        default={}, description="Values by filter, such as model: [gpt-5]."
    )
    include_sub_organisations: bool = False
    as_user: str | None = Field(
        default=None, description="Only organisations in which this user holds the report's role."
    )
    format: str = Field(default="csv", description=f"One of {', '.join(FORMS)}.")
    home: str | None = Field(default=None, description="The warehouse; else WAREHOUSE_HOME.")


@dg.asset(key=["asked", "report"], group_name="asked", deps=[["publish", "published"]])
def asked_report(context: dg.AssetExecutionContext, config: AskedConfig) -> dg.MaterializeResult:
    """A file with one report for any timeframe under any of its filters."""
    file = Path(config.output).expanduser().absolute()
    sentence = write_asked(
        Settings.read(home=config.home),
        AskedExport(
            report=config.report,
            timeframe=config.timeframe,
            start=config.start,
            end=config.end,
            filters=config.filters,
            include_sub_organisations=config.include_sub_organisations,
            as_user=config.as_user,
            form=config.format,
        ),
        file,
    )
    context.log.info(sentence)
    return dg.MaterializeResult(metadata={"file": dg.MetadataValue.path(file), "wrote": sentence})


export_job = dg.define_asset_job(
    "export",
    selection=dg.AssetSelection.assets(asked_report),
    description="Write one report for any timeframe under any of its filters.",
)
