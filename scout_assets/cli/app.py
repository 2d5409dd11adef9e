"""`scout`: what an operator needs at a terminal, with Dagster up or down.

Belongs here: which commands there are. Does not belong here: what they do (the modules beside).

Exit codes: 0 done, 1 a failure explained on stderr, 2 wrong usage.
"""

import typer

from scout_assets.cli import (
    alerting,
    control,
    jobs,
    maintaining,
    matching,
    quarantine,
    reviewing,
    searching,
    sources,
    trying,
)

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="scout_assets at the terminal.",
)
app.add_typer(sources.app, name="sources")
app.add_typer(jobs.app, name="jobs")
app.add_typer(alerting.app, name="alerts")
app.add_typer(reviewing.app, name="review")
app.add_typer(quarantine.app, name="quarantine")
app.command("try")(trying.try_source)
for command in (
    searching.search,
    searching.summary,
    matching.match,
    matching.explain,
    matching.calibrate,
    control.stop,
    control.auto,
    control.manual,
    control.status,
    control.settings,
    control.runs,
    control.audit,
    maintaining.clean,
    maintaining.backup,
    maintaining.restore,
    maintaining.migrate,
):
    app.command()(command)


def main() -> None:
    """Entry point of the `scout` command."""
    app()
