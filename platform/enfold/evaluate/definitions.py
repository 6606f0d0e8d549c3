"""What plugins bring as data, read from the files of installed distributions and of folders beside the study file."""

from collections.abc import Iterable
from pathlib import Path

from enfold import schema
from enfold.errors import EnfoldError
from enfold.evaluate import discover, trust
from enfold.evaluate.discover import Failure
from enfold.land.definitions import Brought, merged, read
from enfold.study import StudyFile


def of(name: str, study_folder: Path | None = None) -> Brought | None:
    """Return the definitions of one plugin as it is now, trusted or not; nothing if it is not there.

    Raises:
        UsageError, ConflictError: one of its files is not what it should be.
    """
    found = discover.contents_of(name, study_folder)
    if found is None:
        return None
    identity, contents = found
    return read(trust.normal(name), identity.version, identity.sha256, contents)


def brought(study: StudyFile, study_folder: Path) -> dict[str, Brought]:
    """Return, by plugin, what those bring that the study trusts and that are installed as it trusts them.

    Raises:
        UsageError, ConflictError: a definition is not what it should be.
    """
    pins = {trust.normal(n): t for n, t in study.trusted.items()}
    out = {}
    for name in sorted({trust.normal(n) for n in study.plugins}):
        found = discover.contents_of(name, study_folder)
        if found is None:
            continue
        identity, contents = found
        if name in trust.FIRST_PARTY or pins.get(name) == identity:
            one = read(name, identity.version, identity.sha256, contents)
            if one.files:
                out[name] = one
    return out


def in_force(names: Iterable[str], study_folder: Path | None = None) -> tuple[schema.Added, list[Failure]]:
    """Return what these plugins add as they are now, and what is wrong with it: for trying them out."""
    found, failures = dict[str, Brought](), []
    for name in names:
        try:
            one = of(name, study_folder)
        except EnfoldError as error:
            failures.append(Failure(trust.normal(name), "declare", str(error)))
            continue
        if one and one.files:
            found[name] = one
    return merged(schema.NOTHING, found), failures
