"""The fold: events of a shard at a cut become state tables; pure, set-based, SQL in files."""
