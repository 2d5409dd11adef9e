"""Listings made for tests of what they say as coffee."""

from collections.abc import Mapping, Sequence
from itertools import product

from scout_assets.domain.coffee.facts import CoffeeFacts, VariantFacts, normalise
from scout_assets.domain.markup import plain_text
from scout_assets.domain.storefront import Listing, Variant


def listing(
    title: str = "Hill Farm",
    body: str = "",
    *,
    kind: str | None = "Coffee",
    tags: Sequence[str] = (),
    options: Mapping[str, Sequence[str]] | None = None,
    grams: float | None = None,
    barcode: str | None = None,
    handle: str = "item",
) -> Listing:
    """A listing with one variant for each combination of option values."""
    names = tuple(options or ())
    combinations = list(product(*(options or {}).values()))
    variants = tuple(
        Variant(
            str(number),
            " / ".join(values) or None,
            dict(zip(names, values, strict=True)),
            None,
            barcode,
            grams,
            None,
            None,
            None,
            None,
            True,
        )
        for number, values in enumerate(combinations)
    )
    printed = {name: tuple(values) for name, values in (options or {}).items()}
    return Listing(
        "1",
        title,
        handle,
        None,
        kind,
        tuple(tags),
        plain_text(body),
        printed,
        variants,
        (),
        "active",
        None,
    )


def facts(*args: str, **kwargs: object) -> CoffeeFacts:
    return normalise(listing(*args, **kwargs))[0]  # type: ignore[arg-type]


def variants(*args: str, **kwargs: object) -> tuple[VariantFacts, ...]:
    return normalise(listing(*args, **kwargs))[1]  # type: ignore[arg-type]


def weights(*args: str, **kwargs: object) -> list[tuple[float | None, str | None, int]]:
    return [(v.net_weight_g, v.net_weight_source, v.pack_count) for v in variants(*args, **kwargs)]
