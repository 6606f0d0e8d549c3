"""Discover plugins: what the study allows is loaded, ours in this process, others' in a guest; the rest is named."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution
from pathlib import Path

from enfold import schema
from enfold.contract import Declaration
from enfold.errors import ConflictError
from enfold.evaluate import describe, folder, trust
from enfold.evaluate.isolation import GuestError, Limits, Source, guest
from enfold.evaluate.load import load
from enfold.study import StudyFile, Trusted


@dataclass(frozen=True)
class Offered:
    """One declaration and the distribution that offers it; `source` is how a guest loads it, if it is not ours."""

    declaration: Declaration
    plugin: str
    plugin_version: str
    code_hash: str
    source: Source | None = None
    given_up: list[str] = field(default_factory=list, compare=False)  # why it is not called again in this worker


@dataclass(frozen=True)
class Failure:
    """Something of a plugin that did not work: where, and what it said."""

    plugin: str
    stage: str  # trust, load, register, declare, compute, return
    message: str
    declaration: str | None = None
    alias: str | None = None  # of the study file, where it is one of a run's tasks that failed


@dataclass
class Discovery:
    """What the allowed plugins offer, and what failed."""

    offered: dict[str, Offered] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    installed: list[str] = field(default_factory=list)  # every distribution and folder that offers something
    unlocked: list[str] = field(default_factory=list)  # loaded although edited or unknown: development only


@dataclass(frozen=True)
class _Candidate:
    """A plugin that could be loaded: where it is from, and its version and digest as they are now."""

    name: str
    version: str
    sha256: str
    code: str
    source: Source


def discover(
    allowed: Iterable[str],
    trusted: Mapping[str, Trusted] | None = None,
    *,
    study_folder: Path | None = None,
    dev: bool = False,
    limits: Limits | None = None,
    verbose: bool = False,
) -> Discovery:
    """Load the allowed plugins and collect their declarations.

    A plugin that fails to import, register or declare costs only its own results.

    Args:
        allowed: names that the study file allows.
        trusted: version and SHA-256 that it states for each; needed for what is not ours.
        study_folder: where `endpoints/*` may lie.
        dev: load what is edited or unpinned too, and say so in `unlocked`.
        limits: what a guest may use.
        verbose: tell the text of a rule's errors; only where no patient's data are.

    Raises:
        ConflictError: two plugins offer one id.
    """
    wanted = {trust.normal(n) for n in allowed}
    pins = {trust.normal(n): t for n, t in (trusted or {}).items()}
    found = Discovery()
    here = trust.installed()
    local = _local(study_folder)
    found.installed = sorted({*here, *local})
    for name in found.installed:
        if name not in wanted:
            continue
        if name in trust.FIRST_PARTY:
            _load_ours(found, here[name], name)
            continue
        one = _local_candidate(name, local[name]) if name in local else _candidate(name, here[name])
        edited = _edited(one, pins.get(name))
        if edited and not dev:
            found.failures.append(Failure(name, "trust", edited))
            continue
        if edited:
            found.unlocked.append(name)
        source = Source(name, one.source.entries, one.source.folders, limits or Limits(), verbose, one.sha256)
        _load_guest(found, one, source, unlocked=bool(edited))
    for name in sorted(wanted - set(found.installed)):
        found.failures.append(Failure(name, "load", "the distribution is not installed"))
    return found


def discover_for(study: StudyFile, study_folder: Path, *, dev: bool = False) -> Discovery:
    """Return what the plugins that a study allows offer, under its trust and limits."""
    limits = Limits(**study.isolation)
    return discover(study.plugins, study.trusted, study_folder=study_folder, dev=dev, limits=limits)


def _load_ours(found: Discovery, dist: Distribution, name: str) -> None:
    code = trust.code_hash(trust.files(dist))
    declared, problems = load(name, [e for e in dist.entry_points if e.group == trust.GROUP])
    found.failures += [Failure(name, stage, message) for stage, message in problems]
    for declaration in declared:
        _offer(found, Offered(declaration, name, dist.version, code))


def _load_guest(found: Discovery, one: _Candidate, source: Source, *, unlocked: bool) -> None:
    try:
        with guest(source) as lent:
            answer = lent.loaded
    except GuestError as error:
        found.failures.append(Failure(one.name, "load", str(error)))
        return
    found.failures += [Failure(one.name, str(stage), str(message)) for stage, message in answer["problems"]]
    version = f"{one.version} (unlocked)" if unlocked else one.version
    for doc in answer["declared"]:
        try:
            declaration = describe.declared(doc)
        except (ValueError, TypeError, KeyError) as error:
            found.failures.append(Failure(one.name, "declare", f"{type(error).__name__}: {error}"))
            continue
        _offer(found, Offered(declaration, one.name, version, one.code, source))


def _offer(found: Discovery, new: Offered) -> None:
    name = new.declaration.id
    other = found.offered.get(name)
    if other:
        msg = f"`{name}` is offered by {other.plugin} and by {new.plugin}"
        raise ConflictError(msg, remedy="Allow only one of them in study.toml.")
    if name in schema.state():
        owner = "enfold" if name in schema.shipped_tables("state") else "an event type"
        msg = f"`{name}` is offered by {new.plugin}, and is a state table of {owner}"
        raise ConflictError(msg, remedy="A rule reads both by that name; give the declaration another id.")
    found.offered[new.declaration.id] = new


def _edited(one: _Candidate, pin: Trusted | None) -> str | None:
    """Return why a plugin is not the one that the study file trusts, or nothing if it is."""
    if pin is None:
        why = "study.toml allows it without version and SHA-256"
    elif pin.version != one.version:
        why = f"study.toml trusts version {pin.version}, installed is {one.version}"
    elif pin.sha256 != one.sha256:
        why = "its files are not those that study.toml trusts"
    else:
        return None
    return f"{why}; not loaded. Look at it, then: enfold plugin trust STUDY {one.name}"


def _local(study_folder: Path | None) -> dict[str, Path]:
    root = (study_folder or Path()) / "endpoints"
    if study_folder is None or not root.is_dir():
        return {}
    return {trust.normal("local-" + "-".join(p.relative_to(root).parts)): p for p in folder.folders(root)}


def _candidate(name: str, dist: Distribution) -> _Candidate:
    entries = tuple(sorted((e.name, e.value) for e in dist.entry_points if e.group == trust.GROUP))
    inside = tuple(t for place in trust.packages(dist, trust.FOLDERS) for t in folder.texts(place))
    contents = list(trust.files(dist))
    whole, code = trust.file_hash(contents), trust.code_hash(contents)
    return _Candidate(name, dist.version, whole, code, Source(name, entries, inside))


def _local_candidate(name: str, place: Path) -> _Candidate:
    contents = list(trust.folder_files(place))
    whole, code = trust.file_hash(contents), trust.code_hash(contents)
    return _Candidate(name, folder.version(place), whole, code, Source(name, (), tuple(folder.texts(place))))


def contents_of(name: str, study_folder: Path | None = None) -> tuple[Trusted, list[tuple[str, bytes]]] | None:
    """Return version and SHA-256 of a plugin as it is now, and its files; nothing if it is not there."""
    here, local = trust.installed(), _local(study_folder)
    key = trust.normal(name)
    if key in local:
        contents, version = list(trust.folder_files(local[key])), folder.version(local[key])
    elif key in here:
        contents, version = list(trust.files(here[key])), here[key].version
    else:
        return None
    return Trusted(version, trust.file_hash(contents)), contents


def files_of(name: str, study_folder: Path) -> list[tuple[str, bytes]]:
    """Return name and content of the code of an installed plugin, or of a folder beside the study file."""
    local, here = _local(study_folder), trust.installed()
    if name not in local and name not in here:
        msg = f"plugin {name} is no longer installed"
        raise ConflictError(msg, remedy="Install the version that the run used, or run the cut again.")
    return list(trust.code(trust.folder_files(local[name]) if name in local else trust.files(here[name])))


def pages_of(name: str, study_folder: Path | None) -> list[tuple[str, str]]:
    """Return name and text of the Markdown pages that a plugin ships: its worked examples are among them."""
    local, here = _local(study_folder), trust.installed()
    if name not in local and name not in here:
        return []
    contents = trust.folder_files(local[name]) if name in local else trust.files(here[name])
    return [(n, data.decode("utf-8", "replace")) for n, data in contents if n.endswith(".md") and ".dist-info" not in n]


def identity(name: str, study_folder: Path | None = None) -> Trusted | None:
    """Return version and SHA-256 of a plugin as it is now, or nothing if it is not there; nothing is loaded."""
    found = contents_of(name, study_folder)
    return found[0] if found else None
