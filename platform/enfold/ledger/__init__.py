"""The append-only, hash-chained ledger of clinical events."""
