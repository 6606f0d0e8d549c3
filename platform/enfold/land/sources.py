"""Read a file as its mapping says: by `[source]`, else by the ending of its name."""

from pathlib import Path

from enfold.errors import UsageError
from enfold.land import readers
from enfold.land.mapping import Mapping
from enfold.land.readers import Source


def read(path: Path, mapping: Mapping | None = None, dictionary: Path | None = None) -> Source:
    """Return the rows of a file, or of a folder where the format is one.

    Args:
        path: the file.
        mapping: what it will be landed with.
        dictionary: a REDCap project's data dictionary, or an ODM document with the metadata.

    Raises:
        UsageError: not readable as what the mapping says it is.
    """
    form = mapping.source.get("format") if mapping else None
    if dictionary and form not in ("redcap", "odm"):
        msg = "a dictionary goes with a mapping whose [source] has the format redcap or odm"
        raise UsageError(msg, remedy="Leave --dictionary out, or choose such a mapping.")
    try:
        return _read(form, path, mapping, dictionary)
    except UnicodeDecodeError:
        raise UsageError(f"{path.name}: not UTF-8", remedy="Export the file again; text must be UTF-8.") from None


def _read(form: str | None, path: Path, mapping: Mapping | None, dictionary: Path | None) -> Source:
    match form:
        case "redcap":
            from enfold.land import from_redcap

            assert mapping
            return from_redcap.read(path, mapping, dictionary)
        case "odm":
            from enfold.land import from_odm

            assert mapping
            return from_odm.read(path, mapping, dictionary)
        case "fhir-r4" | "fhir-r5":
            from enfold.land import from_fhir

            assert mapping
            return from_fhir.read(path, mapping)
        case "meds":
            from enfold.land import from_meds

            return from_meds.read(path)
        case _:
            return readers.read(path)
