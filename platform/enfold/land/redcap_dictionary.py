"""REDCap's data dictionary: which columns an export may have, and what their values may be."""

import re
from dataclasses import dataclass

from enfold.errors import UsageError
from enfold.land.readers import ROW, Source

NAMES = {
    "field_name": "Variable / Field Name",
    "form_name": "Form Name",
    "field_type": "Field Type",
    "select_choices_or_calculations": "Choices, Calculations, OR Slider Labels",
    "text_validation_type_or_show_slider_number": "Text Validation Type OR Show Slider Number",
}
STRUCTURE = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance", "redcap_data_access_group",
             "redcap_survey_identifier")  # fmt: skip
YES_NO = {"yesno": {"1": "Yes", "0": "No"}, "truefalse": {"1": "True", "0": "False"}}
BOX = {"0": "Unchecked", "1": "Checked"}
COMPLETE = {"0": "Incomplete", "1": "Unverified", "2": "Complete"}
SHAPES = {  # what a validated text looks like in a raw export, by the beginning of its validation type
    "integer": r"-?[0-9]+",
    "number": r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)",
    "datetime_seconds": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}",
    "datetime": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}",
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "time": r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?",
}
MOMENT = (r"^(\d{4}-\d\d-\d\d) (\d)", r"\1T\2")
COMMA = (r"^([+-]?\d*),(\d+)$", r"\1.\2")
RAW = "Export raw data (codes, not labels), all of whose columns are named by variable, and the dictionary of that day."


@dataclass(frozen=True)
class Field:
    """A column of the export, as the dictionary has it."""

    form: str | None  # none: not part of a form
    choices: dict[str, str] | None = None  # label by code
    shape: str | None = None
    rewrite: tuple[tuple[str, str], ...] = ()  # pattern and replacement: how ISO 8601 and decimals are written here


def choices(text: str) -> dict[str, str] | None:
    """Return label by code of `1, Yes | 0, No`; None if it is not written so, or has a code twice."""
    pairs = [part.partition(",") for part in text.split("|")]
    found = {code.strip(): label.strip() for code, _, label in pairs}
    return found if len(found) == len(pairs) and all(c and comma for c, comma, _ in pairs) and "" not in found else None


def columns_of_export(book: Source, given: str | None, missing: tuple[str, ...]) -> tuple[dict[str, Field], str]:
    """Return every column that an export may have, and which of them is the record's id.

    Args:
        book: the data dictionary.
        given: the record's id, if not the dictionary's first field.
        missing: the project's missing-data codes; checkboxes have a box for each.

    Raises:
        UsageError: not a data dictionary, a row without what it needs, or choices that cannot be read.
    """
    have = set(book.rows.column_names)
    names = [api if api in have else label for api, label in NAMES.items()]
    lacking = [n for n in names if n not in have]
    if lacking or book.rows.num_rows == 0:
        msg = f"{book.name}: not a REDCap data dictionary: no column {', '.join(lacking)}, or no row"
        raise UsageError(msg, remedy=RAW)
    fields = {name: Field(None) for name in STRUCTURE}
    rows = book.rows.to_pylist()
    for row in rows:
        name, form, kind, listed, validation = (row[n] for n in names)
        at = f"{book.name}: row {row[ROW]:,}"
        if not name or not form or not kind or name in fields:
            raise UsageError(f"{at} has no field, form or type, or its field stands twice", remedy=RAW)
        fields |= _columns(name, form, kind, listed or "", validation or "", missing, at)
    for form in dict.fromkeys(row[names[1]] for row in rows):
        fields |= {f"{form}_complete": Field(form, COMPLETE), f"{form}_timestamp": Field(form)}
    record_id = given or rows[0][names[0]]
    if record_id not in fields:
        msg = f"[source]: `id` names `{record_id}`, which {book.name} does not know"
        raise UsageError(msg, remedy="Leave it out: the first field of the dictionary is the record's id.")
    return {**fields, record_id: Field(None)}, record_id


def _columns(
    name: str, form: str, kind: str, listed: str, validation: str, missing: tuple[str, ...], at: str
) -> dict[str, Field]:
    """Return the columns of one field; a text between two fields has none."""
    codes = YES_NO.get(kind)
    if kind in ("dropdown", "radio", "checkbox"):
        codes = choices(listed)
        if codes is None:
            raise UsageError(f"{at}: the choices of `{name}` are not written as `1, Yes | 0, No`", remedy=RAW)
    match kind:
        case "descriptive":
            return {}
        case "checkbox":
            boxes = [re.sub("[^a-z0-9_]", "_", c.lower()) for c in (*(codes or ()), *missing)]
            return {f"{name}___{box}": Field(form, BOX) for box in boxes}
        case "slider":
            return {name: Field(form, shape=SHAPES["integer"])}
        case "text":
            shape = next((s for k, s in SHAPES.items() if validation.startswith(k)), None)
            rewrite = [MOMENT] if validation.startswith("datetime") else [COMMA] if "comma" in validation else []
            return {name: Field(form, shape=shape, rewrite=tuple(rewrite))}
        case _:
            return {name: Field(form, codes)}
