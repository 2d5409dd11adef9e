"""Declaring sources: defaults, bounds, readable errors, and what a sync changes."""

import pytest

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.sources import Source, State, plan_sync, read_sources


def declared(key: str = "berg", **fields: object) -> dict:
    return {"key": key, "platform": "shopify", "location": "https://berg.example"} | fields


def source(key: str = "berg", **fields: object) -> Source:
    return Source.read(declared(key, **fields), "test")


def test_defaults_are_those_of_the_old_worker():
    berg = source()
    assert (berg.full_cadence, berg.price_cadence) == ("0 3 1 * *", "0 4 * * 0")
    assert berg.default_concurrency == 3
    assert not any((berg.use_firecrawl_fallback, berg.use_llm, berg.allow_private))
    assert berg.firecrawl_budget_limit == 0


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"key": "Berg Kaffee"}, "key", "pattern"),
        ({"key": "a,b"}, "key", "pattern"),
        ({"key": "a|b"}, "key", "pattern"),
        ({"default_concurrency": 0}, "default_concurrency", "greater than or equal to 1"),
        ({"default_concurrency": 11}, "default_concurrency", "less than or equal to 10"),
        ({"full_cadence": "every day"}, "full_cadence", "cron"),
        ({"price_cadence": "0 25 * * *"}, "price_cadence", "cron"),
        ({"platform": "magento"}, "platform", "shopify"),
        ({"currency": "euro"}, "currency", "pattern"),
        ({"alert_price_delta_pct": 0}, "alert_price_delta_pct", "greater than 0"),
        ({"firecrawl_budget_limit": -1}, "firecrawl_budget_limit", "greater than or equal to 0"),
        ({"location": ""}, "location", "at least 1 character"),
        ({"location": "/lists/\0.csv"}, "location", "pattern"),
        ({"colour": "red"}, "colour", "not permitted"),
    ],
)
def test_an_error_names_place_source_and_field(fields, field, said):
    with pytest.raises(BadConfig) as error:
        Source.read(declared(**fields), "sources.yaml")
    message = str(error.value)
    assert message.startswith("sources.yaml: source ")
    assert f"field {field!r}" in message
    assert said in message


@pytest.mark.parametrize("cron", ["*/5 * * * *", "0 3 1,15 * 1-5", "@weekly", "0 4 * * sun"])
def test_all_legal_cron_is_accepted(cron):
    assert source(full_cadence=cron).full_cadence == cron


def test_all_problems_of_a_list_are_told_at_once():
    document = {
        "sources": [
            declared("a", default_concurrency=99),
            declared("b"),
            declared("b"),
            "nonsense",
            declared("c", platform="x"),
        ]
    }
    with pytest.raises(BadConfig) as error:
        read_sources(document, "sources.yaml")
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert any("'b' is declared twice" in line for line in lines)
    assert any("number 4 is not a mapping" in line for line in lines)


@pytest.mark.parametrize("document", [None, [], {}, {"sources": {}}, {"sources": "x"}, "text"])
def test_a_file_of_another_shape_is_refused(document):
    with pytest.raises(BadConfig, match="expected a list under 'sources:'"):
        read_sources(document, "sources.yaml")


def test_an_empty_list_is_a_list():
    assert read_sources({"sources": []}, "sources.yaml") == ()


def test_a_sync_adds_changes_revives_and_retires():
    known = {
        "same": (source("same"), State.ACTIVE),
        "moved": (source("moved"), State.ACTIVE),
        "asleep": (source("asleep"), State.RETIRED),
        "left": (source("left"), State.ACTIVE),
        "long-gone": (source("long-gone"), State.RETIRED),
    }
    plan = plan_sync(
        [
            source("same"),
            source("moved", location="https://new.example"),
            source("asleep"),
            source("new"),
        ],
        known,
    )
    assert [s.key for s in plan.added] == ["new"]
    assert [s.key for s in plan.changed] == ["moved"]
    assert [s.key for s in plan.revived] == ["asleep"]
    assert plan.retired == ("left",)
    assert plan.unchanged == ("same",)
    assert not plan.empty
