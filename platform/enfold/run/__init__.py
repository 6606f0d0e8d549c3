"""The run: plan shards, read and verify, resolve, fold, derive, evaluate, write."""
