"""The Dagster shell: names, wiring, metadata. No rule, no SQL, no HTTP."""
