"""The roasters lane over the sample world: what lands, what is shown, what the checks say."""

import base64
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from scout_assets.domain.search import Filters
from scout_assets.domain.tables import EMBEDDINGS, SEARCH_DOCUMENTS, STATS, TABLES
from scout_assets.gateways.catchup import CATALOGUE_TABLES
from scout_assets.gateways.embedders import WordLlama
from scout_assets.gateways.vectors import SearchIndex
from scout_assets.gateways.warehouse import Slices
from scout_assets_tests.orchestration.commands import PROJECT
from scout_assets_tests.orchestration.lanes import World, checks, materialized
from scout_assets_tests.stores import shopify_page, shopify_product, shopify_variant

SAMPLES = yaml.safe_load((PROJECT / "sources.yaml").read_text())["sources"]
FIRST, LAST = "casa-tostada", "molino-verde"


@pytest.fixture
def sampled(world: World) -> World:
    """The sample sources, declared."""
    world.declare(*(s | {"location": str(PROJECT / s["location"])} for s in SAMPLES))
    return world


def test_one_run_over_a_range_lands_the_whole_lane(sampled: World):
    result = sampled.run("roasters", FIRST, LAST)
    assert result.success
    for asset in ("snapshots", "offers", "quarantine", "vector_index", "stats"):
        assert set(sampled.statuses("roasters", asset).values()) == {"MATERIALIZED"}, asset
    warehouse = sampled.home.warehouse
    filled = {name for name in TABLES if warehouse.read(name).num_rows > 0}
    assert filled == {
        table.name for table in (*CATALOGUE_TABLES, EMBEDDINGS, SEARCH_DOCUMENTS, STATS)
    }
    summary = {row["source"]: row for row in warehouse.read("source_summary").to_pylist()}
    assert summary["fjordlys"]["price_changes"] == 34
    assert summary["casa-tostada"]["quarantined"] == 3
    assert {row["currency"] for row in warehouse.read("current_offers").to_pylist()} == {
        "EUR",
        "USD",
        "JPY",
    }
    shown = materialized(result, "parents")["fjordlys"]
    assert shown["dagster/row_count"] == warehouse.read("parents").num_rows
    assert "| external_id | title |" in shown["preview"]


def test_checks_warn_with_the_rows_and_block_nothing_that_is_sound(sampled: World):
    found = checks(sampled.run("roasters", FIRST, LAST))
    failed = {name for name, check in found.items() if not check.passed}
    assert failed == {"offers: price_change", "quarantine: empty"}
    assert len(found) == 13
    moves = found["offers: price_change"]
    assert moves.severity is dg.AssetCheckSeverity.WARN
    table = str(moves.metadata["findings"].value)
    assert "35.0" in table
    assert "Tres Nieblas" in table
    assert moves.metadata["failing sources"].value == "casa-tostada, fjordlys, molino-verde"


def test_a_second_run_changes_nothing(sampled: World):
    def tables() -> dict[str, list[dict]]:
        return {name: sampled.home.warehouse.read(name).to_pylist() for name in TABLES}

    sampled.run("roasters", FIRST, LAST)
    before = tables()
    again = sampled.run("roasters", FIRST, LAST, minutes=5)
    assert again.success
    assert tables() == before
    for asset in ("parents", "offers", "embeddings", "vector_index", "stats"):
        assert materialized(again, asset)[FIRST]["slices/written"] == 0, asset
    assert materialized(again, "snapshots")[FIRST]["outcome"] == "unchanged"


def test_stats_show_a_picture_per_partition(sampled: World):
    result = sampled.run("roasters", "fjordlys")
    shown = materialized(result, "stats")["fjordlys"]
    head, picture = shown["plot"].split("base64,")
    assert head == "![fjordlys](data:image/png;"
    assert base64.b64decode(picture.rstrip(")\n"))[:4] == b"\x89PNG"
    assert shown["coffees"] == 16


def test_a_large_run_shows_one_overview(world: World):
    (world.root / "store.json").write_bytes(shopify_page([shopify_product(1)]))
    keys = [f"s{number:02}" for number in range(13)]
    world.declare(
        *(
            {"key": key, "platform": "shopify", "location": "store.json", "currency": "EUR"}
            for key in keys
        )
    )
    shown = materialized(world.run("roasters", keys[0], keys[-1]), "stats")
    assert all("overview" in metadata and "plot" not in metadata for metadata in shown.values())


def test_a_price_only_refresh_leaves_the_catalogue_alone(world: World):
    store = world.root / "store.json"
    store.write_bytes(shopify_page([shopify_product(1, [shopify_variant(11, "10.00")])]))
    world.declare({"key": "berg", "platform": "shopify", "location": "store.json"})
    assert world.run("roasters", "berg").success
    store.write_bytes(
        shopify_page([shopify_product(1, [shopify_variant(11, "12.00")], title="Renamed")])
    )
    assert world.run("roasters_prices", "berg", minutes=1).success
    warehouse = world.home.warehouse
    assert [float(row["price"]) for row in warehouse.read("offers").to_pylist()] == [10.0, 12.0]
    assert warehouse.read("parents")["title"].to_pylist() == ["Coffee number 1"]
    assert world.run("roasters", "berg", minutes=2).success
    assert warehouse.read("parents")["title"].to_pylist() == ["Renamed"]


def test_a_broken_schema_stops_what_follows(sampled: World):
    sampled.run("roasters", "fjordlys")
    with sampled.home.warehouse.writing() as db:
        db.execute("ALTER TABLE quarantine ADD COLUMN mystery VARCHAR")
    result = sampled.run("roasters", "fjordlys", minutes=1)
    assert not result.success
    assert not checks(result)["quarantine: schema"].passed
    assert "embeddings" not in {
        event.asset_key.path[-1] for event in result.get_asset_materialization_events()
    }


def test_a_rewrite_folds_all_stored_snapshots_anew(sampled: World):
    sampled.run("roasters", "fjordlys")
    warehouse = sampled.home.warehouse
    before = warehouse.read("offers").sort_by("offer_id")
    with warehouse.writing() as db:
        db.execute("DELETE FROM offers WHERE change = 'price'")
    config = {"ops": {"roasters_catalogue": {"config": {"rewrite": True}}}}
    assert sampled.run("roasters", "fjordlys", minutes=1, run_config=config).success
    assert warehouse.read("offers").sort_by("offer_id").equals(before)


def test_sources_become_partitions_and_retired_ones_leave(sampled: World):
    assert sampled.instance.get_dynamic_partitions("roaster") == [FIRST, "fjordlys", LAST]
    sampled.declare(*(s | {"location": "x"} for s in SAMPLES[:2]))
    assert set(sampled.instance.get_dynamic_partitions("roaster")) == {FIRST, "fjordlys"}


def test_a_list_that_cannot_be_read_fails_and_retires_nothing(sampled: World):
    sampled.sources_file.write_text("sources: [")
    result = sampled.run("__ASSET_JOB", selection=["catalogue/sources"])
    assert not result.success
    assert len(sampled.instance.get_dynamic_partitions("roaster")) == 3


def test_the_sensor_runs_the_same_asset_once_per_change(sampled: World):
    definitions = sampled.defs()
    sensor = definitions.get_sensor_def("sources_changed")

    def tick(cursor: str | None) -> tuple[Any, str | None]:
        with dg.build_sensor_context(
            instance=sampled.instance, cursor=cursor, resources=definitions.resources
        ) as context:
            return sensor(context), context.cursor

    request, cursor = tick(None)
    assert request.asset_selection == [dg.AssetKey(["catalogue", "sources"])]
    assert isinstance(tick(cursor)[0], dg.SkipReason)
    sampled.sources_file.write_text("sources: []")
    assert isinstance(tick(cursor)[0], dg.RunRequest)
    sampled.sources_file.unlink()
    skipped, _ = tick(cursor)
    assert "nothing is retired" in str(skipped.skip_message)


def test_a_missing_source_folder_is_a_clear_failure(world: World, tmp_path: Path):
    world.declare({"key": "berg", "platform": "shopify", "location": "nowhere"})
    result = world.run("roasters", "berg")
    assert not result.success
    said = result.failure_data_for_node("roasters_snapshots").user_failure_data.description
    assert f"there is nothing at {tmp_path / 'nowhere'}" in said


def test_search_answers_from_what_landed(sampled: World):
    sampled.run("roasters", FIRST, LAST)
    home = sampled.home
    index = SearchIndex(home.warehouse, WordLlama(), home.search_cache)
    wanted = Filters(max_price=Decimal(20), currency="EUR", in_stock=True)
    hits = index.search("washed ethiopian for filter", wanted, k=5)
    assert {hit.process for hit in hits[:2]} == {"washed"}
    assert {hit.origin_country for hit in hits[:2]} == {"ET"}
    assert all(hit.price is not None and hit.price <= 20 and hit.available for hit in hits)


def test_search_leaves_out_what_it_is_told_to(sampled: World):
    sampled.run("roasters", FIRST, LAST)
    home = sampled.home
    index = SearchIndex(home.warehouse, WordLlama(), home.search_cache)
    hits = index.search("washed ethiopian", Filters(without=("fjordlys",)), k=10)
    assert hits
    assert "fjordlys" not in {hit.source for hit in hits}


def test_an_asset_of_yours_takes_slices_as_input(sampled: World):
    """The IO manager loads rows and watermarks of exactly the run's partitions."""
    sampled.run("roasters", FIRST, LAST)

    @dg.asset(
        ins={
            "offers": dg.AssetIn(["roasters", "offers"], input_manager_key="warehouse"),
        },
        partitions_def=dg.DynamicPartitionsDefinition(name="roaster"),
    )
    def cheapest(offers: Slices) -> dg.MaterializeResult[None]:
        sources = set(offers.rows["source"].to_pylist())
        return dg.MaterializeResult(
            metadata={"sources": ", ".join(sources), "marks": len(offers.watermarks)}
        )

    definitions = dg.Definitions.merge(sampled.defs(), dg.Definitions(assets=[cheapest]))
    job = definitions.resolve_implicit_job_def_def_for_assets([dg.AssetKey("cheapest")])
    assert job is not None
    result = job.execute_in_process(
        instance=sampled.instance,
        partition_key="fjordlys",
        asset_selection=[dg.AssetKey("cheapest")],
    )
    shown = materialized(result, "cheapest")["fjordlys"]
    assert (shown["sources"], shown["marks"]) == ("fjordlys", 1)


def test_a_partition_without_a_source_fails_and_names_the_mend(sampled: World):
    sampled.instance.add_dynamic_partitions("roaster", ["stray"])
    result = sampled.run("roasters", "stray", selection=["roasters/snapshots"])
    said = result.failure_data_for_node("roasters_snapshots").user_failure_data.description
    assert "no source 'stray': declare it in sources.yaml" in said
