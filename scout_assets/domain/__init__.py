"""Rules and models. Pure: no Dagster, clock, environment, file or socket."""
