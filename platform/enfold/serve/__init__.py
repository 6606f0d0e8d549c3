"""Serving: one disposable DuckDB file per run, read-only for everybody."""
