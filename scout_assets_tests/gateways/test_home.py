"""An installation: what the environment says of it."""

from pathlib import Path

import pytest

from scout_assets.domain.failures import Refused
from scout_assets.domain.sources import Source
from scout_assets.gateways.home import Home


def supplier(location: object, **fields: object) -> Source:
    declared = {"key": "acme", "platform": "price-list", "location": str(location), **fields}
    return Source.read(declared, "test")


def home(root: Path, **environment: str) -> Home:
    return Home.locate({"SCOUT_HOME": str(root / "home"), **environment})


def test_local_lists_lie_below_the_watched_roots_where_there_are_any(tmp_path: Path):
    allowed, elsewhere = tmp_path / "lists", tmp_path / "lists_evil"
    for folder in (allowed, elsewhere):
        folder.mkdir()
        (folder / "a.csv").write_text("x")
    (allowed / "link.csv").symlink_to(elsewhere / "a.csv")
    guarded = home(tmp_path, SCOUT_WATCH_ROOTS=str(allowed))
    guarded.resolved(supplier(allowed / "a.csv"))
    guarded.resolved(supplier("https://acme.example/a.csv"))
    for place in (elsewhere / "a.csv", allowed / "link.csv", f"{allowed}/../lists_evil/a.csv"):
        with pytest.raises(Refused, match=r"refused|not below"):
            guarded.resolved(supplier(place))
    home(tmp_path).resolved(supplier(elsewhere / "a.csv"))


def test_a_supplier_without_a_word_of_its_own_follows_the_installation(tmp_path, monkeypatch):
    monkeypatch.setenv("USE_ML_PROCESSING", "true")
    here = home(tmp_path)
    assert here.resolved(supplier("https://acme.example/a.csv")).use_ml_processing is True
    said = supplier("https://acme.example/a.csv", use_ml_processing=False)
    assert here.resolved(said).use_ml_processing is False
