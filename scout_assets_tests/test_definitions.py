"""The graph as a whole: what is recorded, how it is dressed, and what may be replaced."""

import json
import warnings

import dagster as dg
import pytest

from scout_assets.definitions import build_defs, defs
from scout_assets.domain.tables import TABLES
from scout_assets.orchestration.resources import ScoutHome
from scout_assets_tests import recorded


def specs() -> list[dg.AssetSpec]:
    found = [spec for spec in defs.resolve_all_asset_specs() if spec.group_name]
    return sorted(found, key=lambda spec: spec.key)


def test_definitions_are_as_recorded():
    """Changed on purpose? `python -m scout_assets_tests.recorded`, and read the diff."""
    assert recorded.definitions() == json.loads(recorded.DEFINITIONS.read_text())


def test_loading_the_definitions_is_quiet():
    with warnings.catch_warnings(record=True) as noise:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Asset job .* with varying BackfillPolicies")
        build_defs().get_repository_def()
    assert [str(warning.message) for warning in noise] == []


def test_every_job_can_be_resolved():
    """A daemon does so only when a tick asks for one, and then the sensor fails for ever."""
    jobs = {job.name for job in defs.get_repository_def().get_all_jobs()}
    assert {"roasters", "roasters_prices", "ask_roasters", "ask_suppliers", "maintenance"} <= jobs


@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.key.to_user_string())
def test_every_asset_is_dressed(spec: dg.AssetSpec):
    assert spec.description
    assert spec.group_name == spec.key.path[0]
    assert spec.kinds
    assert spec.owners
    assert "scout/layer" in spec.tags
    assert spec.code_version
    if "table" in spec.metadata:
        schema = spec.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert [c.name for c in schema.columns] == TABLES[spec.metadata["table"]].schema.names


def test_every_table_is_an_asset_once_for_each_kind_of_source():
    found = [s.metadata for s in specs() if "table" in s.metadata]
    slices = [(about["kind"], about["table"]) for about in found]
    assert len(set(slices)) == len(slices)
    assert {table for _, table in slices} == set(TABLES)


def test_resources_are_replaced_by_name_and_the_io_manager_moves_with_its_home(tmp_path):
    moved = build_defs(home=ScoutHome(root=str(tmp_path)))
    assert moved.resources["home"].root == str(tmp_path)
    assert moved.resources["warehouse"].home.root == str(tmp_path)
    with pytest.raises(TypeError):
        build_defs(nonsense=1)  # type: ignore[call-arg]


def test_a_price_only_refresh_is_snapshots_and_offers():
    job = defs.resolve_job_def("roasters_prices")
    assert {key.path[-1] for key in job.asset_layer.executable_asset_keys} == {
        "snapshots",
        "offers",
    }
