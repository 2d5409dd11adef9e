"""What a source is and how a declared list of sources meets the known one.

Belongs here: the source's fields with their bounds, readable errors for wrong ones, the plan
of a sync. Does not belong here: reading the list (`gateways.files`), keeping it
(`gateways.ledger`), deciding when a source is due.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from scout_assets.domain.cadence import is_cron
from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig


class Platform(StrEnum):
    """The software a store runs on, or the form of a list; decides how a source is read."""

    SHOPIFY = "shopify"
    WOOCOMMERCE = "woocommerce"
    PRICE_LIST = "price-list"


PLATFORMS: Mapping[Kind, frozenset[Platform]] = {
    Kind.ROASTER: frozenset({Platform.SHOPIFY, Platform.WOOCOMMERCE}),
    Kind.SUPPLIER: frozenset({Platform.PRICE_LIST}),
}
"""How each kind of source can be read."""


class State(StrEnum):
    """Active sources are partitions; retired ones keep their rows and can come back."""

    ACTIVE = "active"
    RETIRED = "retired"


def _cron(expression: str) -> str:
    if not is_cron(expression):
        raise ValueError("not a cron expression of five fields, such as '0 4 * * 0', or '@weekly'")
    return expression


Cron = Annotated[str, AfterValidator(_cron)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("no time zone, such as 'UTC' or 'Europe/Berlin'") from None
    return name


Zone = Annotated[str, AfterValidator(_zone)]


def _encoding(name: str) -> str:
    try:
        "a".encode(name)
    except (LookupError, ValueError):
        raise ValueError("no character set, such as 'utf-8', 'cp1250' or 'koi8-r'") from None
    return name


Encoding = Annotated[str, AfterValidator(_encoding)]
DELIMITERS: Mapping[str, str] = {
    "tab": "\t",
    "\\t": "\t",
    "comma": ",",
    "semicolon": ";",
    "pipe": "|",
    "blank": " ",
}


def _delimiter(text: str) -> str:
    sign = DELIMITERS.get(text, text)
    if len(sign) != 1 or sign in '"\r\n\0':
        raise ValueError(f"not one sign, nor one of {', '.join(DELIMITERS)}")
    return sign


Delimiter = Annotated[str, AfterValidator(_delimiter)]


class Source(BaseModel):
    """One place we watch, as a person declares it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(
        pattern=r"^[a-z0-9_-]+$", max_length=64, description="Immutable slug; the partition key"
    )
    kind: Kind = Field(default=Kind.ROASTER, description="What it is; its partition set")
    platform: Platform = Field(description="shopify, woocommerce or price-list")
    location: str = Field(
        min_length=1,
        pattern=r"^[^\x00-\x1f]*$",
        description="Store address, or path of a capture or a folder of dated captures",
    )
    name: str | None = Field(default=None, description="What people call it")
    currency: str | None = Field(
        default=None,
        pattern=r"^[A-Z]{3}$",
        description="ISO 4217 code for stores that do not say it themselves",
    )
    full_cadence: Cron = Field(default="0 3 1 * *", description="When to refresh everything")
    price_cadence: Cron = Field(default="0 4 * * 0", description="When to refresh prices only")
    timezone: Zone = Field(default="UTC", description="Time zone of the cadences")
    priority: int = Field(
        default=0, ge=-10, le=10, description="Automated runs of a higher one leave the queue first"
    )
    check_for_changes: bool = Field(
        default=False, description="Look for changes between the slots, by conditional requests"
    )
    default_concurrency: int = Field(default=3, ge=1, le=10, description="Requests at once")
    use_firecrawl_fallback: bool = Field(default=False, description="Allow the paid crawler")
    firecrawl_budget_limit: int = Field(default=0, ge=0, description="Paid requests at most")
    use_llm: bool = Field(default=False, description="Allow enrichment by a language model")
    alert_price_delta_pct: float = Field(
        default=10.0, gt=0, description="Warn when a price moves by more than this, in percent"
    )
    allow_private: bool = Field(
        default=False, description="Allow private and loopback addresses; otherwise refused"
    )
    sheet_name: str | None = Field(default=None, description="The one sheet of a list to read")
    column_mapping: dict[str, str] = Field(
        default_factory=dict,
        description="Price lists: field to header or column letter, where the reader errs",
    )
    encoding: Encoding | None = Field(
        default=None, description="Text lists: the character set, such as cp1250 or utf-16-le"
    )
    delimiter: Delimiter | None = Field(
        default=None, description="Text lists: the sign between fields, or its name, such as tab"
    )
    use_ml_processing: bool | None = Field(
        default=None, description="Price lists: hand them to the ML service; null as for all"
    )

    @model_validator(mode="before")
    @classmethod
    def _kind_of_platform(cls, declared: Any) -> Any:  # noqa: ANN401 (not validated yet)
        """A platform belongs to one kind, so `kind` need not be written."""
        if isinstance(declared, dict) and "kind" not in declared:
            for kind, platforms in PLATFORMS.items():
                if declared.get("platform") in platforms:
                    return {**declared, "kind": kind}
        return declared

    @model_validator(mode="after")
    def _platform_of_kind(self) -> Self:
        if self.platform not in PLATFORMS[self.kind]:
            those = ", ".join(sorted(PLATFORMS[self.kind]))
            raise ValueError(f"a {self.kind} is read as {those}, not as {self.platform}")
        return self

    @classmethod
    def read(cls, declared: Mapping[str, Any], place: str) -> Self:
        """Validate one declaration.

        Raises BadConfig naming `place`, the source and each wrong field.
        """
        try:
            return cls.model_validate(dict(declared))
        except ValidationError as error:
            raise BadConfig("\n".join(_explain(error, declared, place))) from None


def _explain(error: ValidationError, declared: Mapping[str, Any], place: str) -> Iterable[str]:
    name = declared.get("key", "without a key")
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"])
        mend = problem["msg"].removeprefix("Value error, ")
        given = "" if problem["type"] == "missing" else f" (got {problem['input']!r})"
        yield f"{place}: source {name!r}, field {field!r}: {mend}{given}"


def read_sources(document: object, place: str) -> tuple[Source, ...]:
    """All sources of a parsed `sources.yaml`: `{"sources": [{...}, ...]}`.

    Raises BadConfig with every problem found, not just the first.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("sources"), list):
        raise BadConfig(
            f"{place}: expected a list under 'sources:'; see README, 'Add your own source'"
        )
    sources: dict[str, Source] = {}
    problems: list[str] = []
    for number, declared in enumerate(document["sources"], start=1):
        if not isinstance(declared, Mapping):
            problems.append(f"{place}: source number {number} is not a mapping of fields")
            continue
        try:
            source = Source.read(declared, place)
        except BadConfig as problem:
            problems.append(str(problem))
            continue
        if source.key in sources:
            problems.append(f"{place}: source {source.key!r} is declared twice; rename one")
        sources[source.key] = source
    if problems:
        raise BadConfig("\n".join(problems))
    return tuple(sources.values())


@dataclass(frozen=True)
class SyncPlan:
    """What a declared list changes about the known sources."""

    added: tuple[Source, ...]
    changed: tuple[Source, ...]
    revived: tuple[Source, ...]
    retired: tuple[str, ...]
    unchanged: tuple[str, ...]

    @property
    def empty(self) -> bool:
        return not (self.added or self.changed or self.revived or self.retired)


def plan_sync(declared: Iterable[Source], known: Mapping[str, tuple[Source, State]]) -> SyncPlan:
    """Compare a declared list with the sources known from the same list.

    Raises BadConfig when a source changes its kind: its rows would be orphaned.
    """
    wanted = {source.key: source for source in declared}
    for key, source in wanted.items():
        if key in known and known[key][0].kind != source.kind:
            raise BadConfig(
                f"source {key!r} was a {known[key][0].kind}, now a {source.kind}: "
                "a key keeps its kind; take a new key"
            )
    both = [key for key in wanted if key in known]
    active = [key for key in both if known[key][1] is State.ACTIVE]
    return SyncPlan(
        added=tuple(source for key, source in wanted.items() if key not in known),
        changed=tuple(wanted[key] for key in active if wanted[key] != known[key][0]),
        revived=tuple(wanted[key] for key in both if known[key][1] is State.RETIRED),
        retired=tuple(
            key for key, (_, state) in known.items() if key not in wanted and state is State.ACTIVE
        ),
        unchanged=tuple(key for key in active if wanted[key] == known[key][0]),
    )
