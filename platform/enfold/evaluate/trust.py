"""Trust: which distributions a study allows, by name, version and SHA-256 over every file.

First-party are the distributions that this repository releases together with the host, named below. They run in
the host's process, because they are released, reviewed and tested with it, and whoever can install a distribution
under one of these names can replace enfold itself just as well. Their code hash is stamped on every row all the same.
"""

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

GROUP = "enfold"
FOLDERS = "enfold.folders"  # entry points that name a package of endpoint folders; it is found, never imported
FIRST_PARTY = frozenset(
    f"enfold-{name}"
    for name in (
        "cell-therapy", "conduct", "crs", "disease-course", "doris", "icans", "lldas", "lupus-activity", "sri",
    )
)  # fmt: skip
_NOT_CODE = {"__pycache__", "INSTALLER", "RECORD", "REQUESTED", "direct_url.json"}


def normal(name: str) -> str:
    """Return the distribution's name as package indexes compare it."""
    return name.lower().replace("_", "-").replace(".", "-")


def installed() -> dict[str, Distribution]:
    """Return every distribution with an entry point of ours, by normal name; the first on the path counts."""
    found: dict[str, Distribution] = {}
    for dist in distributions():
        if any(e.group in (GROUP, FOLDERS) for e in dist.entry_points):
            found.setdefault(normal(dist.name), dist)
    return dict(sorted(found.items()))


def packages(dist: Distribution, group: str) -> list[Path]:
    """Return where the packages lie that the distribution's entry points of `group` name; nothing is imported."""
    out = []
    for top in sorted({e.module.split(".")[0] for e in dist.entry_points if e.group == group}):
        spec = importlib.util.find_spec(top)
        if spec is None:
            continue
        out += [Path(p) for p in sorted(spec.submodule_search_locations or [])] or [Path(str(spec.origin))]
    return out


def files(dist: Distribution) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file that the distribution brings, metadata included, bytecode not.

    An editable installation records no package files, so the package folders are read as well.
    """
    found: dict[str, Path] = {}
    for place in [*packages(dist, GROUP), *packages(dist, FOLDERS)]:
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        found |= {p.relative_to(place.parent).as_posix(): p for p in inside if p.is_file()}
    for entry in dist.files or []:
        path = Path(str(dist.locate_file(entry)))
        if path.is_file() and ".." not in entry.parts:
            found.setdefault(entry.as_posix(), path)
    for name, path in sorted(found.items(), key=lambda entry: entry[0].split("/")):
        if not _NOT_CODE & set(name.split("/")) and not name.endswith((".pyc", ".pth")):
            yield name, path.read_bytes()


def file_hash(contents: Iterable[tuple[str, bytes]]) -> str:
    """Return the SHA-256 over names and contents of files, each with its length before it."""
    digest = hashlib.sha256()
    for name, data in contents:
        digest.update(f"{len(name.encode())}:{name}{len(data)}:".encode() + data)
    return digest.hexdigest()


def code_hash(contents: Iterable[tuple[str, bytes]]) -> str:
    """Return the first 16 hex digits that every row is stamped with; a parcel's verifier computes the same."""
    digest = hashlib.sha256()
    for name, data in code(contents):
        digest.update(name.encode() + b"\0" + data + b"\0")
    return digest.hexdigest()[:16]


def code(contents: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield the files that can decide a result: pages of prose and metadata of the installation cannot."""
    return ((n, data) for n, data in contents if not n.endswith(".md") and ".dist-info" not in n.split("/")[0])


def folder_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file of an endpoint folder beside the study file."""
    inside = (p for p in folder.rglob("*") if p.is_file())
    for path in sorted(inside, key=lambda p: p.relative_to(folder).parts):
        yield path.relative_to(folder).as_posix(), path.read_bytes()
