"""Look, before a file is written, for what a format or the specification has no place for.

Offenders are named by file, variable, count and first row, never by their values.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from enfold.errors import UsageError
from enfold.serve.files import File, plain
from enfold.serve.specification import ARROW, Variable, codelists

NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,7}")
LABEL, TEXT, DIGITS = 40, 200, 15  # what a version 5 transport file can hold; digits that SAS warrants
REMEDY = "Nothing was written. Parquet, CSV and Dataset-JSON hold what SAS transport files cannot."
FIRST_YEAR = 1582  # before it SAS has no dates


def check(files: Sequence[File], form: str) -> None:
    """Refuse tables that would not come back the same.

    Raises:
        UsageError: lists every offending variable of every file.
    """
    found = [f"{file.name}{what}" for file in files for what in _offenders(file, form)]
    if found:
        msg = f"{len(found)} variables do not fit {form}:\n  " + "\n  ".join(found)
        raise UsageError(msg, remedy=REMEDY if form == "xpt" else "Nothing was written. See docs/reference/adam.md.")


def _offenders(file: File, form: str) -> Iterator[str]:
    if file.rows.column_names != [v.name for v in file.variables]:
        yield ": its columns are not those that are declared"
        return
    if form == "xpt" and (not NAME.fullmatch(file.name) or len(file.label) > LABEL or not file.label.isascii()):
        yield f": a name has at most 8 letters and digits, a label {LABEL} ASCII characters"
    for variable in file.variables:
        column = file.rows.column(variable.name)
        for what, bad in chain(_of_specification(variable, column), _of_transport(variable, column, form)):
            if isinstance(bad, int):
                yield f".{variable.name}: {what}"
            elif pc.any(bad).as_py():
                rows = [place for place, is_bad in enumerate(bad.to_pylist()) if is_bad]
                yield f".{variable.name}: {len(rows):,} values {what}; first in row {rows[0] + 1:,}"


Found = Iterator[tuple[str, pa.ChunkedArray | int]]


def _of_specification(variable: Variable, column: pa.ChunkedArray) -> Found:
    """Yield what is wrong and where, as a mask; 1 for what is wrong with the variable itself."""
    if column.type != ARROW[variable.kind]:
        yield f"is {column.type}, not {variable.kind}", 1
        return
    if variable.length:
        yield f"are longer than {variable.length} characters", pc.greater(pc.utf8_length(column), variable.length)
    if variable.digits is not None:
        kept = pc.round(column, variable.digits, round_mode="towards_zero")  # rounding up may need another digit
        yield f"have more than {variable.digits} decimals", pc.not_equal(column, kept)
    if variable.codes and not codelists()[variable.codes].open:
        terms = pa.array(list(codelists()[variable.codes].terms))
        known = pc.is_in(column.cast(pa.string()), value_set=terms)
        yield f"are no term of {variable.codes}", pc.and_(pc.is_valid(column), pc.invert(known))


def _of_transport(variable: Variable, column: pa.ChunkedArray, form: str) -> Found:
    if form != "xpt":
        return
    if not NAME.fullmatch(variable.name):
        yield "its name is not 1 to 8 capital letters, digits and underscores", 1
    if len(variable.label) > LABEL or not variable.label.isascii():
        yield f"its label is not at most {LABEL} ASCII characters", 1
    if variable.kind == "text":
        yield "are not ASCII", pc.invert(pc.string_is_ascii(column))
        yield f"are longer than {TEXT} characters", pc.greater(pc.utf8_length(column), TEXT)
        yield "are empty, which it cannot tell from missing", pc.equal(column, "")
        yield "end in blanks, which it does not keep", pc.match_substring_regex(column, r"[ \x00]$")
    elif variable.kind == "date":
        yield f"are before {FIRST_YEAR}", pc.less(pc.year(column), FIRST_YEAR)
    else:
        yield f"have more than {DIGITS} significant digits", pa.chunked_array([_mask(column)])


def _mask(column: pa.ChunkedArray) -> pa.Array:
    distinct = pc.unique(column).drop_null()
    long = [v for v in distinct.to_pylist() if len(plain(v).lstrip("-").replace(".", "").strip("0")) > DIGITS]
    return pc.is_in(column, value_set=pa.array(long, column.type)).combine_chunks()
