"""An installation: what the environment says of it."""

from pathlib import Path

from scout_assets.domain.sources import Source
from scout_assets.gateways.home import Home


def supplier(location: object, **fields: object) -> Source:
    declared = {"key": "acme", "platform": "price-list", "location": str(location), **fields}
    return Source.read(declared, "test")


def home(root: Path, **environment: str) -> Home:
    return Home.locate({"SCOUT_HOME": str(root / "home"), **environment})


def test_a_supplier_without_a_word_of_its_own_follows_the_installation(tmp_path, monkeypatch):
    monkeypatch.setenv("USE_ML_PROCESSING", "true")
    here = home(tmp_path)
    assert here.resolved(supplier("https://acme.example/a.csv")).use_ml_processing is True
    said = supplier("https://acme.example/a.csv", use_ml_processing=False)
    assert here.resolved(said).use_ml_processing is False
