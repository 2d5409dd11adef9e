"""`scout alerts`: what was told, to whom, and which prices are worth a message.

Belongs here: arguments and printing. Does not belong here: the outbox (`gateways.alerts`),
channels (`gateways.channels`), price rules (`gateways.price_rules`).
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer

from scout_assets.cli.terminal import By, err, explained, now, out, print_json, print_table
from scout_assets.domain.alerts import Alert, Delivery, Severity
from scout_assets.domain.failures import BadConfig, Crashed, ScoutFailure, contained
from scout_assets.domain.price_alerts import Rule, Trigger
from scout_assets.gateways.alerts import ChannelState, Raised
from scout_assets.gateways.channels import Channel
from scout_assets.gateways.home import Home

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Alerts: what was told, channels, price rules.")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON value")]
RULE_COLUMNS = ("id", "says", "source", "product", "currency", "by", "since")


@app.command("list")
@explained
def list_alerts(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show the last alerts, how each stands with each channel, and which channel fails."""
    home = Home.locate()
    raised, found = home.alerts.listed(limit), home.channels
    there = {channel.name for channel in found.channels}
    ailing = [one for one in home.alerts.channels() if one.failures and one.name in there]
    problems = [str(problem) for problem in found.problems]
    if as_json:
        channels = [vars(one) for one in home.alerts.channels() if one.name in there]
        print_json({"alerts": [_row(one) for one in raised], "channels": channels,
                    "problems": problems})  # fmt: skip
        return
    rows = [{**_row(one), "delivered": _delivered(one)} for one in raised]
    print_table(
        f"{len(rows)} alerts", rows, ("raised_at", "severity", "subject", "text", "delivered")
    )
    for line in (*map(_ailment, ailing), *problems):
        err.print(line, markup=False, highlight=False)


def _row(one: Raised) -> dict[str, Any]:
    return {
        "key": one.alert.key,
        "severity": one.alert.severity,
        "subject": one.alert.subject,
        "text": one.alert.text,
        "raised_at": one.raised_at,
        "deliveries": {name: vars(sent) for name, sent in one.deliveries.items()},
    }


def _delivered(one: Raised) -> str:
    told = [
        name
        if sent.state is Delivery.DELIVERED
        else f"{name} {sent.state}" + (f": {sent.reason}" if sent.reason else "")
        for name, sent in one.deliveries.items()
    ]
    return ", ".join(told) or "not yet"


def _ailment(one: ChannelState) -> str:
    until = one.next_attempt_at
    again = "" if until is None else f"; tried again after {until:%Y-%m-%d %H:%M:%S} UTC"
    times = "once" if one.failures == 1 else f"{one.failures} times"
    return f"{one.name} failed {times}: {one.failure}{again}"


@app.command("test")
@explained
def send_test() -> None:
    """Send a test message over every channel now, and say which worked."""
    found = Home.locate().channels
    worked = [_works(channel) for channel in found.channels]
    for problem in found.problems:
        err.print(str(problem), markup=False, highlight=False)
    if found.problems or not all(worked):
        raise typer.Exit(1)


def _works(channel: Channel) -> bool:
    moment = now()
    alert = Alert(
        f"test:{moment.isoformat()}", Severity.INFO, "this is a test", "The channel works."
    )
    try:
        with contained(channel.name):
            channel.send(alert, moment)
    except ScoutFailure as failure:
        cause = failure.__cause__ if isinstance(failure, Crashed) else failure
        err.print(f"{channel.name}: {channel.hide(str(cause))}", markup=False, highlight=False)
        return False
    out.print(f"{channel.name}: sent to {channel.place}", markup=False, highlight=False)
    return True


@app.command("watch")
@explained
def watch(
    below: Annotated[str | None, typer.Option(help="At or below this price")] = None,
    drop_pct: Annotated[str | None, typer.Option(help="Down by this percentage or more")] = None,
    new_low: Annotated[bool, typer.Option("--new-low", help="Lower than ever")] = False,
    currency: Annotated[str | None, typer.Option(help="Only prices in it, such as EUR")] = None,
    source: Annotated[str | None, typer.Option(help="Only one roaster")] = None,
    product: Annotated[
        str | None, typer.Option(help="Only one variant (product_id) or page (parent_id)")
    ] = None,
    by: By = "",
) -> None:
    """Add a price rule; it looks at the prices of now at once."""
    home = Home.locate()
    trigger, limit = _trigger({Trigger.BELOW: below, Trigger.DROP: drop_pct}, new_low)
    money = _currency(currency)
    made = home.price_rules.watch(trigger, by, now(), limit, money, source, product)
    out.print(f"rule {made.id}: {made.says}", markup=False, highlight=False)
    fired = home.price_rules.evaluate(now()).fired
    for alert in fired:
        out.print(f"- {alert.subject}", markup=False, highlight=False)
    out.print(f"{len(fired)} alerts now" if fired else "nothing to tell now")


def _trigger(
    numbers: Mapping[Trigger, str | None], new_low: bool
) -> tuple[Trigger, Decimal | None]:
    asked: list[tuple[Trigger, Decimal | None]] = [
        (trigger, _number(trigger, text)) for trigger, text in numbers.items() if text is not None
    ]
    asked += [(Trigger.NEW_LOW, None)] if new_low else []
    if len(asked) != 1:
        raise BadConfig("give one of --below, --drop-pct and --new-low")
    return asked[0]


def _number(trigger: Trigger, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise BadConfig(f"{text!r} is no number for `{trigger}`, such as 12.50") from None


def _currency(text: str | None) -> str | None:
    if text is None:
        return None
    if len(text) != 3 or not (text.isascii() and text.isalpha()):
        raise BadConfig(f"{text!r} is no currency, such as EUR")
    return text.upper()


@app.command("rules")
@explained
def list_rules(
    every: Annotated[
        bool, typer.Option("--all", help="Those that sources bring themselves too")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the price rules."""
    rules = Home.locate().price_rules
    rows = [_rule(rule) for rule in (*rules.rules(), *(rules.of_sources() if every else ()))]
    if as_json:
        print_json(rows)
    else:
        print_table(f"{len(rows)} rules", rows, RULE_COLUMNS)


def _rule(rule: Rule) -> dict[str, Any]:
    return {**vars(rule), "says": rule.says}


@app.command("unwatch")
@explained
def unwatch(
    number: Annotated[int, typer.Argument(help="Id of the rule; `scout alerts rules` shows them")],
    by: By = "",
) -> None:
    """End a price rule."""
    ended = Home.locate().price_rules.unwatch(number, by, now())
    out.print(f"ended rule {ended.id}: {ended.says}", markup=False, highlight=False)
