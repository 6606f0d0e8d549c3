"""Landing the study file: it is a commit, so the protocol has a history."""

from pathlib import Path

from enfold import schema, study
from enfold.errors import UsageError
from enfold.land import limits
from enfold.ledger.commits import Commit
from enfold.ledger.ledger import Draft, Ledger
from enfold.ledger.storage import sha256


def land_study(folder: Path, path: Path, *, author: str, reason: str) -> Commit | None:
    """Check and land a study file; nothing happens if it is the newest one already.

    Raises:
        UsageError: the file is not valid, or is of another study than the ledger's.
    """
    text = limits.text_file(path)
    parsed = study.parse(text)
    unknown = sorted(set(parsed.cut_rules.types) - set(schema.events()))
    if unknown:
        msg = f"study.toml: [cut_rules] `types` names {', '.join(unknown)}, which are no event types"
        raise UsageError(msg, remedy=f"Use {', '.join(schema.events())}.")

    def admission(ledger: Ledger) -> Draft:
        landed = next((c.details["record"] for c in ledger.commits.of_kind("study")), None)
        if landed and landed["study_id"] != parsed.id:
            msg = f"study.toml: [study] `id` is not that of this ledger ({landed['study_id']})"
            raise UsageError(msg, remedy="One study, one ledger: create another study folder.")
        if landed and landed["text"] == text:
            return Draft()
        return Draft(details={"record": {"study_id": parsed.id, "text": text}})

    return Ledger(folder / "ledger").append(
        admission,
        kind="study",
        author=author,
        reason=reason,
        sources=[{"name": path.name, "sha256": sha256(text.encode())}],
    )
