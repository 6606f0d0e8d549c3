"""Landing the study file: it is a commit, so the protocol has a history."""

from collections.abc import Mapping
from pathlib import Path

from enfold import schema, study
from enfold.errors import UsageError
from enfold.land import limits
from enfold.land.definitions import Brought, merged
from enfold.ledger.commits import Commit
from enfold.ledger.ledger import Draft, Ledger
from enfold.ledger.storage import sha256


def land_study(
    folder: Path, path: Path, *, author: str, reason: str, brought: Mapping[str, Brought] | None = None
) -> Commit | None:
    """Check and land a study file; nothing happens if it is the newest one already.

    Args:
        folder: the study folder.
        path: the study file.
        author: who lands it.
        reason: why.
        brought: by plugin, the definitions that the trusted plugins which are installed bring; the ledger keeps
            them, and those of plugins that are not among these.

    Raises:
        UsageError: the file is not valid, or is of another study than the ledger's.
        ConflictError: a plugin's definitions do not fit what was landed under those before.
    """
    ledger = Ledger(folder / "ledger")
    text = limits.text_file(path)
    parsed = study.parse(text)
    with schema.using(merged(ledger.added, brought or {})):
        _check_types(parsed)

    def admission(ledger: Ledger) -> Draft:
        landed = next((c.details["record"] for c in ledger.commits.of_kind("study")), None)
        if landed and landed["study_id"] != parsed.id:
            msg = f"study.toml: [study] `id` is not that of this ledger ({landed['study_id']})"
            raise UsageError(msg, remedy="One study, one ledger: create another study folder.")
        added = merged(ledger.added, brought or {})
        if landed and landed["text"] == text and added == ledger.added:
            return Draft()
        return Draft(details={"record": {"study_id": parsed.id, "text": text}}, added=added)

    return ledger.append(
        admission,
        kind="study",
        author=author,
        reason=reason,
        sources=[{"name": path.name, "sha256": sha256(text.encode())}],
    )


def _check_types(parsed: study.StudyFile) -> None:
    unknown = sorted(set(parsed.cut_rules.types) - set(schema.events()))
    if unknown:
        msg = f"study.toml: [cut_rules] `types` names {', '.join(unknown)}, which are no event types"
        raise UsageError(msg, remedy=f"Use {', '.join(schema.events())}.")
