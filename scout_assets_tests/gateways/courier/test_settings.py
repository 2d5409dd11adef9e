"""Whether the service is well, what the environment says of the courier, where jobs are kept."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from scout_assets.domain.failures import BadConfig
from scout_assets.gateways.courier import CourierSettings, uses_ml
from scout_assets.gateways.ledger import Base, Ledger
from scout_assets_tests.loopback import Reply


def test_health(office, service, dead_url):
    health = asyncio.run(office.courier().health())
    assert (health.healthy, health.detail) == (True, '{"status": "healthy"}')
    service.store.route("/health", Reply.text("loading", status=503))
    sick = asyncio.run(office.courier().health())
    assert not sick.healthy
    assert "answered 503: loading" in sick.detail
    office.url = dead_url
    assert not asyncio.run(office.courier().health()).healthy


def test_settings_have_defaults(tmp_path):
    settings = CourierSettings.from_environment({"ML_ANALYZE_URL": " ", "HOME": "x"}, tmp_path)
    assert settings.model_dump() == {
        "use_ml_processing": False,
        "url": "http://ml-analyze:8001",
        "poll_interval_seconds": 5,
        "max_file_size_mb": 50,
        "cleanup_ttl_hours": 24,
        "shared": tmp_path / "shared",
    }
    assert settings.max_bytes == 50_000_000


def test_settings_come_from_the_environment(tmp_path):
    given = {
        "USE_ML_PROCESSING": "yes",
        "ML_ANALYZE_URL": "https://ml.example/api/",
        "ML_POLL_INTERVAL_SECONDS": "0.5",
        "SCOUT_SHARED": str(tmp_path / "x"),
    }
    settings = CourierSettings.from_environment(given, Path("unused"))
    assert settings.use_ml_processing
    assert settings.url == "https://ml.example/api"
    assert settings.shared == tmp_path / "x"


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("USE_ML_PROCESSING", "perhaps", "USE_ML_PROCESSING is 'perhaps'"),
        ("ML_ANALYZE_URL", "ml-analyze:8001", "ML_ANALYZE_URL is .*write http://host:port"),
        ("ML_ANALYZE_URL", "http://", "write http://host:port"),
        ("ML_POLL_INTERVAL_SECONDS", "0", "ML_POLL_INTERVAL_SECONDS is '0'"),
        ("MAX_FILE_SIZE_MB", "-1", "MAX_FILE_SIZE_MB is '-1'.*unset it"),
        ("FILE_CLEANUP_TTL_HOURS", "day", "FILE_CLEANUP_TTL_HOURS is 'day'"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, variable, text, said):
    with pytest.raises(BadConfig, match=said):
        CourierSettings.from_environment({variable: text}, tmp_path)


@pytest.mark.parametrize(
    ("own", "overall", "used"),
    [
        (None, False, False),
        (None, True, True),
        (True, False, True),
        (False, True, False),
    ],
)
def test_a_supplier_overrides_the_global_flag(tmp_path, own, overall, used):
    given = {"USE_ML_PROCESSING": str(overall)}
    assert uses_ml(own, CourierSettings.from_environment(given, tmp_path)) is used


def test_the_migration_makes_the_table_of_jobs(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    wanted = sa.MetaData()
    Base.metadata.tables["jobs"].to_metadata(wanted)

    def only_jobs(thing: Any, name: str, kind: str, *_: object) -> bool:
        return kind != "table" or name == "jobs"

    with sa.create_engine(f"sqlite:///{ledger.path}").connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": only_jobs})
        assert compare_metadata(context, wanted) == []
