"""Worked examples: Markdown tables that a clinician can check by hand, run as tests.

A page names its endpoint in a heading (``## `sri` ``), describes one patient in a fenced block
called `course`, and lists cases in tables. Each row changes that patient and states what must follow:

    | case | PGA `W4 PGA.PGA_0_3={}` | also `{}` | expected |
    |---|---|---|---|
    | a rise of exactly 0.30 | 2.30 |  | pga not_met; overall not_met |

A header with a template in backticks turns its cells into steps; an empty cell changes nothing.
docs/reference/worked-examples.md gives the grammar of steps and expectations.
"""

import datetime as dt
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema, study
from enfold.evaluate.call import evaluate
from enfold.evaluate.discover import Discovery
from enfold.evaluate.graph import plan
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from enfold.testing.course import Course

PROTOCOL = """
[study]
id = "EXAMPLES"
title = "worked examples: synthetic"
time_zone = "UTC"
synthetic = true
[[visits]]
id = "BL"
day = -7
window = [-60, -4]
baseline = true
[[visits]]
id = "W4"
day = 28
[[visits]]
id = "W8"
day = 56
[[visits]]
id = "W12"
day = 84
[[visits]]
id = "W24"
day = 168
"""


def protocol(own: str) -> str:
    """Return the study file of a page: keys before the first table of its own text belong to `[study]`."""
    first = re.search(r"^\[", own, re.M)
    keys, tables = (own[: first.start()], own[first.start() :]) if first else (own, "")
    return PROTOCOL.replace("synthetic = true\n", "synthetic = true\n" + keys) + tables


NUMERIC = {"value", "lower", "upper"}


@dataclass(frozen=True)
class Expected:
    """One thing that must follow: where, what, which column, which value."""

    place: str | None  # visit, `P2` for a period, `E2` for the second episode in time
    criterion: str
    column: str
    value: str


@dataclass(frozen=True)
class Example:
    """One row of a table."""

    page: str
    line: int
    case: str
    endpoint: str
    course: tuple[str, ...]
    steps: tuple[str, ...]
    protocol: str
    parameters: str
    expected: tuple[Expected, ...]


@dataclass
class _Page:
    name: str
    endpoint: str = ""
    course: tuple[str, ...] = ()
    protocol: str = ""
    visit: str | None = None
    found: list[Example] = field(default_factory=list)


def examples(name: str, text: str) -> list[Example]:
    """Return every example of a page.

    Raises:
        ValueError: a row that cannot be read, with page and line.
    """
    page = _Page(name)
    lines = text.splitlines()
    header: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        if line.startswith("#"):
            named = re.search(r"`([a-z0-9_]+)`(?: at `([^`]+)`)?", line)
            if named:
                page.endpoint, page.visit = named[1], named[2]
        elif line.startswith("```"):
            end = next(i for i in range(at + 1, len(lines)) if lines[i].strip() == "```")
            block = [b for b in lines[at + 1 : end] if b.strip() and not b.startswith("#")]
            if line == "```course":
                page.course = tuple(block)
            elif line == "```toml":
                page.protocol = "\n".join(block) + "\n"
            at = end
        elif line.startswith("|"):
            cells = [c.strip() for c in line.strip("|").replace("\\|", "\0").split("|")]
            if not header:
                header = cells
            elif not set(line) <= set("|-: "):
                page.found.append(_example(page, at + 1, header, [c.replace("\0", "|") for c in cells]))
        if not line.startswith("|"):
            header = []
        at += 1
    return [e for e in page.found if e.expected]


def _example(page: _Page, line: int, header: list[str], cells: list[str]) -> Example:
    steps: list[str] = []
    case, parameters, expected = "", "", ""
    where = f"{page.name}:{line}"
    if len(cells) != len(header):
        msg = f"{where}: {len(cells)} cells under {len(header)} headings"
        raise ValueError(msg)
    for title, cell in zip(header, cells, strict=True):
        template = re.search(r"`([^`]*\{\}[^`]*)`", title)
        if template and cell:
            text = template[1].replace("{}", cell.replace("`", ""))
            steps += [s.strip() for s in text.split(";") if s.strip()]
        elif title == "case":
            case = cell
        elif title == "parameters":
            parameters = cell.replace("`", "")
        elif title == "expected":
            expected = cell.replace("`", "")
    wanted = tuple(_expected(where, page.visit, e.strip()) for e in expected.split(";") if e.strip())
    return Example(page.name, line, case, page.endpoint, page.course, tuple(steps), page.protocol, parameters, wanted)


def _expected(where: str, visit: str | None, text: str) -> Expected:
    found = re.fullmatch(
        r"(?:(?P<place>[\w/-]+): *)?(?:(?P<criterion>\w+)(?:\.(?P<column>\w+))?[ =])?(?P<value>[^ ]+)", text
    )
    if not found:
        msg = f"{where}: cannot read the expectation `{text}`"
        raise ValueError(msg)
    return Expected(
        found["place"] or visit, found["criterion"] or "overall", found["column"] or "status", found["value"]
    )


@dataclass(frozen=True)
class Outcome:
    """What an example gave: empty `wrong` means that everything expected followed."""

    example: Example
    wrong: tuple[str, ...]


def run(cases: Iterable[Example], found: Discovery) -> list[Outcome]:
    """Evaluate the cases, each as a patient of its own, one fold for all that share a protocol."""
    cases = list(cases)
    out: dict[Example, Outcome] = {}
    for text in dict.fromkeys(c.protocol for c in cases):
        group = [c for c in cases if c.protocol == text]
        state = folded(group)
        for settings in dict.fromkeys((c.endpoint, c.parameters) for c in group):
            members = [(n, c) for n, c in enumerate(group) if (c.endpoint, c.parameters) == settings]
            out |= _judged(members, state, found)
    return [out[c] for c in cases]


def folded(group: list[Example]) -> dict[str, pa.Table]:
    """Return the state tables of examples that share a protocol; subjects are their places."""
    rows: dict[str, list[dict[str, Any]]] = {t: [] for t in schema.events()}
    for n, example in enumerate(group):
        course = Course(f"{n:05d}")
        try:
            for step in (*example.course, *example.steps):
                course.step(step)
        except (ValueError, KeyError) as error:
            msg = f"{example.page}:{example.line}: {error}"
            raise ValueError(msg) from None
        for event_type, events in course.events.items():
            rows[event_type] += events
    parsed = study.parse(protocol(group[0].protocol))
    tables = {}
    for event_type, events in rows.items():
        table = pa.Table.from_pylist(events, schema=schema.event_arrow(event_type))
        tables[event_type] = table.append_column("position", pa.array([1] * len(events), pa.int64()))
    return fold(tables, parsed, Cut(1))


def _judged(
    members: list[tuple[int, Example]], state: Mapping[str, pa.Table], found: Discovery
) -> dict[Example, Outcome]:
    example = members[0][1]
    names = pa.array([f"{n:05d}" for n, _ in members])
    own = {k: t.filter(pc.is_in(t.column("subject_id"), names)) for k, t in state.items()}
    rows = results(example, own, found)
    out = {}
    for n, case in members:
        mine = [r for r in rows if r["subject_id"] == f"{n:05d}"]
        wrong = tuple(w for e in case.expected for w in _compare(e, mine))
        out[case] = Outcome(case, wrong)
    return out


def results(example: Example, state: Mapping[str, pa.Table], found: Discovery) -> list[dict[str, Any]]:
    """Return the rows of the example's endpoint, or derivation, over `state` with its parameters."""
    parsed = study.parse(protocol(example.protocol))
    settings = tomllib.loads("\n".join(example.parameters.split("; ")), parse_float=Decimal)
    derivations = {k: v for k, v in settings.items() if isinstance(v, dict)}
    own = {k: v for k, v in settings.items() if not isinstance(v, dict)}
    asked = study.Asked(example.endpoint, example.endpoint, None, own)
    parsed = replace(parsed, derivations={**parsed.derivations, **derivations})
    derived = found.offered[example.endpoint].declaration.__class__.__name__ == "Derivation"
    if derived:
        parsed = replace(parsed, derivations={**parsed.derivations, example.endpoint: own})
    else:
        parsed = replace(parsed, endpoints=(asked,))
    before = len(found.failures)
    tasks = plan(parsed, found, also=(example.endpoint,) if derived else ())
    evaluated = evaluate(tasks, state, parsed)
    failures = [*found.failures[before:], *evaluated.failures]
    del found.failures[before:]
    if failures:
        raise ValueError("; ".join(f"{f.declaration}: {f.message}" for f in failures))
    tables = evaluated.derived if derived else evaluated.verdicts
    return [r for t in tables for r in t.to_pylist() if r["alias"] == example.endpoint]


def _compare(expected: Expected, rows: list[dict[str, Any]]) -> Iterable[str]:
    column = {"value": "value_number", "code": "value_code", "flag": "value_flag"}.get(expected.column, expected.column)
    name = "measure" if rows and "measure" in rows[0] else "criterion"
    if name == "measure" and column == "status":
        column = "value_number"
    here = [r for r in rows if r[name] == expected.criterion and _at(expected.place, r, rows)]
    if expected.value == "absent" and expected.column == "status":
        if here:
            yield f"{expected.place or ''} {expected.criterion} is there"
        return
    if len(here) != 1:
        yield f"{expected.place or ''} {expected.criterion}: {len(here)} rows"
        return
    got = here[0][column]
    if column == "flags":
        good = expected.value in (got or []) if expected.value != "-" else not got
        good = good or (expected.value.startswith("!") and expected.value[1:] not in (got or []))
    else:
        good = _same(got, expected.value)
    if not good:
        yield f"{expected.place or ''} {expected.criterion}.{column}: expected {expected.value}, got {got}".strip()


def _at(place: str | None, row: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    if place is None:
        return True
    numbered = re.fullmatch(r"([PE])([0-9]+)", place)
    if numbered and numbered[1] == "P":
        return bool(row["period"] == int(numbered[2]))
    if numbered:
        starts = sorted({r["from_at"] for r in rows if r["from_at"] is not None})
        return len(starts) >= int(numbered[2]) and row["from_at"] == starts[int(numbered[2]) - 1]
    return place in (row["visit_id"], row["occasion_id"])


def _same(got: Any, wanted: str) -> bool:
    if got is None or wanted == "-":
        return got is None and wanted == "-"
    if isinstance(got, bool):
        return str(got).lower() == wanted
    if isinstance(got, int | Decimal):
        return Decimal(got) == Decimal(wanted)
    if isinstance(got, dt.datetime):
        return got.strftime("%Y-%m-%dT%H:%M") == wanted
    return str(got) == wanted
