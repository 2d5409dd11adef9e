"""Reading stored snapshots anew, of suppliers and of stores."""

import pytest

from scout_assets.domain.failures import BadConfig
from scout_assets.gateways.replay import replay
from scout_assets_tests.supplies import ACME, Installation, csv_list

TABLES = ("supplier_items", "list_sheets", "quarantine", "parents", "products", "offers")


@pytest.mark.parametrize("key", ["acme", "berg"])
def test_a_replay_restores_what_was_lost_from_what_is_stored(tmp_path, key):
    place = Installation(tmp_path)
    unnamed = ("A-5", "", "Berg Kaffe", "250 g", 6, "9,10", None)
    for rows in ([*ACME[:2], unnamed], [*ACME[1:], unnamed]):
        place.supplier("acme", csv_list(rows))
        place.fetch("acme")
    place.fetch("berg")
    place.read()
    before = {table: place.rows(table) for table in TABLES}
    assert all(before.values())
    with place.home.warehouse.writing() as db:
        for table in TABLES:
            db.execute(f"DELETE FROM {table} WHERE source = ?", [key])
    (tmp_path / "acme.csv").unlink()
    (tmp_path / "berg.json").unlink()
    replay(place.home, key)
    assert {table: place.rows(table) for table in TABLES} == before
    replay(place.home, key)
    assert {table: place.rows(table) for table in TABLES} == before


def test_a_source_that_nobody_knows_is_told(tmp_path):
    with pytest.raises(BadConfig, match="no source 'nobody'"):
        replay(Installation(tmp_path).home, "nobody")


def test_a_source_that_never_landed_has_nothing_to_replay(tmp_path):
    place = Installation(tmp_path)
    place.supplier("acme", csv_list())
    replay(place.home, "acme")
    assert place.rows("supplier_items") == []
