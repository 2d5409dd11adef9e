"""What Vega-Lite's own JSON schema says of a chart; Altair brings the schema."""

from typing import Any

from altair.utils.schemapi import validate_jsonschema
from altair.vegalite.v6.schema.core import load_schema

SCHEMA = load_schema()


def complaint(chart: dict[str, Any]) -> str | None:
    """What the schema finds wrong with `chart`, the most telling first; None when it is valid."""
    error = validate_jsonschema(chart, SCHEMA, raise_error=False)
    return None if error is None else f"{error.json_path}: {error.message}"
