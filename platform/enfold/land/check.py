"""The structural check: does each record have the shape that its schema asks for?

Works on staged text, all rows of one rule at once; each failing field of each row gives one
refusal with row, column, code, reason and remedy. Reasons never quote the value.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from enfold import schema
from enfold.land import shapes
from enfold.land.values import Values
from enfold.ledger import canonical, engine
from enfold.quoting import literal, quote
from enfold.schema import Field

WHEN = (
    r"^[12]\d{3}(-\d{2}(-\d{2}(T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?"
    r"(Z|[+-](0\d|1[0-4]):[0-5]\d)?(\[[A-Za-z0-9_+/-]+\])?)?)?)?$"
)
# Ids are compared, typed and read aloud: printable ASCII leaves no two that look the same, as a Latin
# and a Cyrillic A do.
ID = r"[!-~]{1,200}"
# In a code nothing may be invisible: it would be another code that looks the same.
INVISIBLE = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]"
# Free text may hold tabs and line breaks, and the joiners that some scripts need. Other control
# characters drive terminals and break exports; direction overrides show another text than is there.
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}]"
# What a spreadsheet runs when somebody opens an export. After + or - only a call, a link to a program
# or to another sheet does harm: a range such as -5 (baseline), or a list with dashes, is text.
# The signs count in full width too, as some keyboards give them (U+FF0B, U+FF0D, U+FF1D, U+FF20).
FORMULA = (
    r"(?s)^\s*[=@\x{ff1d}\x{ff20}]|^[\t\r]"
    r"|^\s*[+\x{ff0b}\x{ff0d}-].*(\||![\pL$#]|[\pL_][\pL\pN_.]*\()"
)
INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$"


ALIKE = "regexp_replace(lower(subject_id), '(^|[^0-9])0+([0-9])', '\\1\\2', 'g')"  # without case and leading zeros


@dataclass(frozen=True)
class Check:
    """One thing that may be wrong with a field: SQL that is true for bad rows, and the words."""

    column: str
    code: str
    bad: str
    reason: str
    remedy: str
    reads: tuple[str, ...] = ()  # the columns of whose distinct values it can be asked, if several
    alike: bytes | None = None  # if a text passes when these are not told apart (land/shapes.py), so it does itself
    suspect: str = ""  # SQL that is true for every bad row and costs little: if for none, `bad` need not be asked

    @property
    def alone(self) -> bool:
        """Whether the check asks nothing but the values of its column that are there."""
        return self.bad.startswith(f"{quote(self.column)} IS NOT NULL AND")


def checks(event_type: str) -> list[Check]:
    """Return every structural check of an event type, envelope first."""
    fields = [f for f in schema.envelope().fields if f.name not in {"source_file", "source_row"}]
    out = [c for f in [*fields, *schema.events()[event_type].fields] for c in _field_checks(f)]
    out.remove(_missing("event_id"))  # corrections get theirs later
    if event_type == "retraction":
        out.append(_missing("retracts"))
    change = "(supersedes IS NOT NULL OR retracts IS NOT NULL) AND reason IS NULL"
    out.append(Check("reason", "no_reason", change, "a change needs a reason", "Fill the column `reason`."))
    if event_type == "assessment":
        out += _instrument_checks()
    return out


def failures(con: duckdb.DuckDBPyConnection, event_type: str, staged: str, rows: pa.Table) -> list[Check]:
    """Return the structural checks that at least one row fails.

    A check is asked of distinct values alone where those suffice.

    Args:
        con: holds the rows as `staged`.
        event_type: what they are to become.
        staged: their name there.
        rows: themselves; text columns of few distinct values are dictionaries.
    """
    full = canonical.filled(rows)
    asked: dict[str, list[Check]] = {}
    values = Values(con, staged, rows)
    for c in checks(event_type):
        if c.alone and c.column not in full:
            continue
        if c.bad == _missing(c.column).bad and not rows.column(c.column).null_count:
            continue
        asked.setdefault(values.least(c), []).append(c)
    failed = _hold(con, {table: [(c, c.suspect or c.bad) for c in own] for table, own in asked.items()})
    unsure = {table: [(c, c.bad) for c in own if c.suspect and c in failed] for table, own in asked.items()}
    bad = _hold(con, {table: own for table, own in unsure.items() if own})
    failed = [c for c in failed if not c.suspect or c in bad]
    alike = _look_alike(staged)
    subjects = values.least(alike)
    if engine.one_row(
        con, f"SELECT count(*) > count(DISTINCT {ALIKE}) FROM (SELECT DISTINCT subject_id FROM {subjects})"
    )[0]:
        failed.append(alike)
    return failed


def _hold(con: duckdb.DuckDBPyConnection, asked: dict[str, list[tuple[Check, str]]]) -> list[Check]:
    """Return the checks whose question, asked of a table, is true for one of its rows at least."""
    if not asked:
        return []
    pieces = (", ".join(f"coalesce(bool_or({sql}), false)" for _, sql in own) for own in asked.values())
    query = ", ".join(f"(SELECT {p} FROM {table})" for p, table in zip(pieces, asked, strict=True))
    found = engine.one_row(con, f"SELECT * FROM {query}")
    return [c for c, holds in zip((c for own in asked.values() for c, _ in own), found, strict=True) if holds]


def listing(failed: Iterable[Check], staged: str) -> str:
    """Return the SQL query that lists what fails the checks: row, column, code, reason, remedy."""
    return " UNION ALL ".join(
        f"SELECT source_row, {literal(c.column)} AS column_name, {literal(c.code)} AS code, "
        f"{literal(c.reason)} AS reason, {literal(c.remedy)} AS remedy FROM {staged} WHERE {c.bad}"
        for c in failed
    )


def _missing(name: str) -> Check:
    return Check(name, "missing", f"{quote(name)} IS NULL", f"`{name}` is missing", f"Fill the column `{name}`.")


def _look_alike(staged: str) -> Check:
    """Subjects of one file whose ids differ in case or in leading zeros only: one person, or a slip.

    Which of them is meant nobody can tell from the file, so the rows of all are refused.
    """
    return Check(
        "subject_id",
        "look_alike_subject",
        f"subject_id IN (SELECT unnest(ids) FROM (SELECT list(subject_id) AS ids FROM"
        f" (SELECT DISTINCT subject_id FROM {staged}) GROUP BY {ALIKE} HAVING count(*) > 1))",
        "`subject_id` differs from another one of the file in case or leading zeros only",
        "Write each subject's id in one way.",
    )


def _field_checks(field: Field) -> list[Check]:
    name = quote(field.name)
    out = [] if field.optional or field.name == "schema_version" else [_missing(field.name)]

    def add(code: str, bad: str, reason: str, remedy: str, *, alike: bytes | None = None, suspect: str = "") -> None:
        bad = f"{name} IS NOT NULL AND ({bad})"
        out.append(Check(field.name, code, bad, reason, remedy, alike=alike, suspect=suspect))

    match field.kind:
        case "number":
            add(
                "not_a_number",
                f"NOT regexp_full_match({name}, '[+-]?[0-9]{{1,29}}(\\.[0-9]*)?')",
                f"`{field.name}` is not a plain decimal number",
                "Write digits with a decimal point; comparators go to `comparator`.",
            )
            add(
                "excess_scale",
                f"regexp_full_match({name}, '[+-]?[0-9]+\\.[0-9]{{9}}0*[1-9][0-9]*')",
                f"`{field.name}` has more than 9 decimal places",
                "Round at the source, where the instrument's precision is known.",
            )
        case "count":
            add(
                "not_a_count",
                f"TRY_CAST({name} AS BIGINT) IS NULL OR NOT regexp_full_match({name}, '-?[0-9]+')",
                f"`{field.name}` is not a whole number",
                "Write digits only.",
            )
        case "flag":
            add(
                "not_a_flag",
                f"lower({name}) NOT IN ('true', 'false')",
                f"`{field.name}` is neither true nor false",
                "Write true, false, or leave it empty for unknown.",
            )
        case "when":
            day = f"substr({name}, 1, 10)"
            zone = f"regexp_extract({name}, '\\[(.+)\\]', 1)"
            valid = (
                f"CASE length({day}) WHEN 4 THEN true WHEN 7 THEN TRY_CAST({day} || '-01' AS DATE) "
                f"IS NOT NULL ELSE TRY_CAST({day} AS DATE) IS NOT NULL END"
                f" AND ({zone} = '' OR {zone} IN (SELECT name FROM pg_timezone_names()))"
            )
            add(
                "not_a_time",
                f"NOT regexp_matches({name}, {literal(WHEN)}) OR NOT ({valid})",
                f"`{field.name}` is not an ISO 8601 date or date-time",
                "Write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss] with optional offset.",
            )
        case "instant":
            written, exists = f"regexp_matches({name}, {literal(INSTANT)})", f"TRY_CAST({name} AS TIMESTAMPTZ)"
            for bad in (f"NOT {written}", f"CASE WHEN {exists} IS NULL THEN {written} ELSE false END"):
                add(
                    "not_an_instant",
                    bad,
                    f"`{field.name}` is not a date-time with offset",
                    "Write YYYY-MM-DDThh:mm:ssZ or with an offset such as +01:00.",
                    alike=None if exists in bad else shapes.DIGITS,
                )
        case "id" | "ids":
            shape = ID if field.kind == "id" else f"{ID}( {ID})*"
            add(
                "not_an_id",
                f"NOT regexp_full_match({name}, {literal(shape)})",
                f"`{field.name}` holds blanks, control characters or letters beyond ASCII, which can look the same"
                " and differ, or is longer than 200 characters",
                "Write it with plain letters, digits and signs; several ids stand with one blank between.",
                alike=shapes.WORDS,
            )
        case "code" | "text":
            if not field.codes:
                add(
                    "control_character",
                    f"regexp_matches({name}, {literal(CONTROL if field.kind == 'text' else INVISIBLE)})",
                    f"`{field.name}` holds control characters or others that are not seen",
                    "Remove them at the source; free text may hold tabs and line breaks.",
                    alike=shapes.WORDS,
                )
        case _:
            pass
    if field.kind in {"id", "ids", "code", "text"} and not field.codes:
        # A comparison spares nearly all values, which begin with a letter or a digit, the pattern; and where it spares
        # all, the pattern need not be made, which takes 20 ms for each column.
        suspect = f"({name} < '0' OR ({name} >= '=' AND {name} < 'A') OR {name} >= '\uff0b')"
        add(
            "formula",
            f"{suspect} AND regexp_matches({name}, {literal(FORMULA)})",
            f"`{field.name}` begins as a formula that a spreadsheet would run",
            "Begin it with a letter or a digit.",
            alike=shapes.WORDS,
            suspect=suspect,
        )
    if field.codes:
        allowed = ", ".join(literal(c) for c in field.codes)
        add(
            "not_in_codes",
            f"{name} NOT IN ({allowed})",
            f"`{field.name}` is not one of its codes",
            f"Use one of: {', '.join(field.codes)}.",
        )
    if field.range:
        low, high = field.range
        add(
            "out_of_range",
            f"TRY_CAST({name} AS DECIMAL(38, 9)) NOT BETWEEN {low} AND {high}",
            f"`{field.name}` is outside {low} to {high}",
            "Correct it at the source.",
        )
    return out


def _instrument_checks() -> list[Check]:
    names = ", ".join(literal(n) for n in schema.instruments())
    closed = ", ".join(literal(i.name) for i in schema.instruments().values() if not i.open)
    pairs = ", ".join(literal(f"{i.name}/{code}") for i in schema.instruments().values() for code in i.codes)
    return [
        Check(
            "instrument",
            "unknown_instrument",
            f'"instrument" IS NOT NULL AND instrument NOT IN ({names})',
            "`instrument` is not one of schemas/instruments",
            f"Use one of: {', '.join(schema.instruments())}.",
        ),
        Check(
            "item",
            "unknown_item",
            f"instrument IN ({closed}) AND instrument || '/' || item NOT IN ({pairs})",
            "`item` is not an item of its instrument",
            "See docs/reference/instruments.md.",
            reads=("instrument", "item"),
        ),
        Check(
            "value_number",
            "no_value",
            "value_number IS NULL AND value_code IS NULL AND value_text IS NULL"
            " AND coalesce(lower(not_done), 'false') <> 'true' AND supersedes IS NULL",
            "no value, and not stated as not done",
            "Fill value_number, value_code or value_text, or set not_done to true.",
        ),
    ]
