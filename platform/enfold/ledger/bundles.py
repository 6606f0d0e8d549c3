"""Bundles: the schemas in force as one JSON document, which every commit names by its digest."""

import json
from functools import cache, lru_cache
from pathlib import Path

from enfold import schema
from enfold.ledger import commits, storage
from enfold.shipped import shipped


@cache
def shipped_bundle() -> bytes:
    """Return the event and instrument schemas that ship with enfold as one JSON document."""
    root = shipped("schemas")
    texts = {"envelope.toml": (root / "envelope.toml").read_text("utf-8")}
    for folder in ("events", "instruments"):
        for path in (root / folder).iterdir():
            if path.name.endswith(".toml"):
                texts[f"{folder}/{path.name}"] = path.read_text("utf-8")
    return commits.sorted_json(texts)


@lru_cache(maxsize=16)
def schema_bundle(added: schema.Added = schema.NOTHING) -> bytes:
    """Return the schemas in force as one JSON document: those that ship, and what plugins add."""
    if not added.files:
        return shipped_bundle()
    return commits.sorted_json({**json.loads(shipped_bundle()), **dict(added.files)})


@lru_cache(maxsize=16)
def added_of(bundle: bytes) -> schema.Added:
    """Return what plugins added to the schemas of a bundle."""
    texts: dict[str, str] = json.loads(bundle)
    owners = json.loads(texts.get("plugins.json", "{}"))
    names = {"plugins.json", *(n for own in owners.values() for n in own["files"])}
    return schema.Added(tuple(sorted((n, t) for n, t in texts.items() if n in names)))


def added_in(folder: Path, position: int | None = None) -> schema.Added:
    """Return what plugins add to the schemas of a study, as its newest commit has it or the one at a position.

    Reads one commit and one bundle; nothing where there is no ledger.
    """
    path = folder / "ledger"
    names = storage.listing(path / "commits", ".json")
    if not names:
        return schema.NOTHING
    name = commits.commit_name(position) if position else max(names)
    digest = commits.parse(storage.read(path / "commits" / name), name).commit.schemas
    if digest == storage.sha256(shipped_bundle()):
        return schema.NOTHING
    return added_of(storage.read_verified(path / "schemas" / f"{digest[:16]}.json", digest))
