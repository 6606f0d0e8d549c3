"""Retry: mended records land through the mapping that refused them, linked to their refusal."""

from pathlib import Path

from enfold import study
from enfold.errors import UsageError
from enfold.land import mapping, readers, refused
from enfold.land.landing import Report, land
from enfold.land.readers import Source
from enfold.ledger.ledger import Ledger


def retry(folder: Path, path: Path, *, author: str, reason: str) -> Report:
    """Land a mended export of refused records; what is refused again stays open.

    Raises:
        UsageError: the file is no such export, or names rows that are not open.
    """
    source = readers.read(path)
    id_, places, rows = refused.links(source.rows)
    found = refused.refusal(folder, id_)
    closed = sorted(set(places.values()) - set(found.open))
    if closed:
        msg = f"{path.name}: rows {', '.join(map(str, closed[:5]))} of {id_} are mended already, or were never refused"
        raise UsageError(msg, remedy="Export the refusal again; the export holds what is open.")
    text = refused.mapping_of(folder, found)
    if text is None:
        chosen = mapping.native(found.mapping.removeprefix("native/"), rows.column_names)
    else:
        chosen = mapping.parse(text, found.mapping)
    return land(
        folder,
        Source(source.name, source.digest, rows),
        chosen,
        study_id=study.parse(Ledger(folder / "ledger").study_text()).id,
        author=author,
        reason=reason,
        system=found.system,
        mends={"refusal": id_, "rows": places},
    )
