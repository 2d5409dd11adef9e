"""The outside world, one deep module per thing. Imports domain, never Dagster."""
