"""What the study set out to estimate, and which tables estimate it."""

from enfold.report.cells import words
from enfold.report.question import NOT_ESTIMATED, Source
from enfold.report.sheet import Line, Sheet

SQL = "SELECT study_file FROM served"


def estimands(source: Source, made: list[Sheet]) -> list[Sheet]:
    """Return every estimand of the study file with the tables that name it."""
    lines = []
    for e in source.study.estimands:
        keys = [s.key for s in made if e.id in {s.estimand, *(line.estimand for line in s.lines)}]
        events = ", ".join(f"{name}: {s}" for name, s in e.intercurrent) or "none declared"
        cells = (e.population, e.variable, e.at or "-", events, e.summary, ", ".join(keys) or "no table")
        lines.append(Line(e.id, "true", tuple(words(c.replace("_", " ")) for c in cells)))
    header = ("Estimand", "Population", "Variable", "At", "Intercurrent events", "Summary", "Estimated by")
    notes = [
        "Attributes by ICH E9(R1); treatment: the study product. Composite: the endpoint itself counts the event.",
        f"No table estimates what no verdict holds: {', '.join(NOT_ESTIMATED).replace('_', ' ')}.",
    ]
    return (
        [source.sheet("estimand-tables", "Estimands and their tables", SQL, header, lines, notes, population="all")]
        if lines
        else []
    )
