"""`scout jobs`: lists at the ML service.

Belongs here: showing jobs and attempting failed ones again. Does not belong here: a job's life
(`domain.jobs`), carrying (`gateways.courier`).
"""

import asyncio
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from scout_assets.cli.terminal import explained, out, print_json, print_table
from scout_assets.domain.jobs import Phase
from scout_assets.gateways.home import Home

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Price lists at the ML service.")
COLUMNS = ("job_id", "phase", "progress", "attempts", "changed_at", "name", "rows", "error")


@app.command("list")
@explained
def list_jobs(
    source: Annotated[str | None, typer.Option(help="Only those of one supplier")] = None,
    phase: Annotated[Phase | None, typer.Option(help="Only those in one phase")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list")] = False,
) -> None:
    """Show how far each list is, and why one failed."""
    phases = tuple(Phase) if phase is None else (phase,)
    jobs = [asdict(job) for job in Home.locate().courier.jobs(source, phases)]
    if as_json:
        print_json(jobs)
    else:
        print_table(f"{len(jobs)} jobs", jobs, COLUMNS)


@app.command("retry")
@explained
def retry_jobs(
    job_ids: Annotated[
        list[str] | None,
        typer.Argument(help="Failed jobs; without any, those that may well pass next time"),
    ] = None,
) -> None:
    """Hand failed lists over again."""
    jobs = asyncio.run(Home.locate().courier.retry_all(job_ids or [], Counter()))
    if not jobs:
        out.print("no failed job may well pass next time; name one to attempt it all the same")
    for job in jobs:
        out.print(f"{job.job_id}: {job.phase.value}{f' ({job.error})' if job.error else ''}")
