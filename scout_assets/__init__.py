"""Product intelligence as a Dagster asset graph."""
