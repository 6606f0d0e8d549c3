"""The plugins against an independent second implementation, on 10,000 adversarial synthetic patients."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from enfold import schema, study
from enfold.evaluate.call import evaluate
from enfold.evaluate.discover import discover
from enfold.evaluate.graph import plan
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from enfold.testing.examples import PROTOCOL
from oracle import response, toxicity
from oracle.generate import patient

CHUNKS, SIZE = 5, 2000
PLUGINS = ("lupus-activity", "sri", "lldas", "doris", "crs", "icans")
ASKED = ("sri", "lldas", "clldas", "doris", "ccr", "crs", "icans", "crs_episode", "icans_episode")
TABLES = ("subjects", "periods", "visits", "occasions", "findings", "exposures", "occurrences", "coverage")
UNUSED = {"study_id", "event_ids", "study_day", "label", "missing_items", "value_text", "comparator", "range_low", "range_high",
          "method", "evaluator", "baseline_number", "baseline_code", "change_number", "previous_number", "previous_code"}  # fmt: skip


def judged(seeds: range) -> tuple[dict[str, dict[str, list[dict[str, Any]]]], list[dict[str, Any]]]:
    """Return state rows by patient and table, and the platform's verdicts."""
    rows: dict[str, list[dict[str, Any]]] = {t: [] for t in schema.events()}
    for seed in seeds:
        for event_type, events in patient(seed).items():
            rows[event_type] += events
    tables = {}
    for event_type, events in rows.items():
        table = pa.Table.from_pylist(events, schema=schema.event_arrow(event_type))
        tables[event_type] = table.append_column("position", pa.array([1] * len(events), pa.int64()))
    asked = "".join(f'[[endpoints]]\nendpoint = "{e}"\n' for e in ASKED)
    parsed = study.parse("plugins = []\n" + PROTOCOL + asked)
    found = discover(f"enfold-{p}" for p in PLUGINS)
    state = fold(tables, parsed, Cut(1))
    out = evaluate(plan(parsed, found), state, parsed)
    assert not [*found.failures, *out.failures]
    patients: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in TABLES:
        table = state[name].select([c for c in state[name].column_names if c not in UNUSED])
        for row in table.to_pylist():
            patients.setdefault(row["subject_id"], {}).setdefault(name, []).append(row)
    wanted = [
        "subject_id",
        "id",
        "visit_id",
        "period",
        "criterion",
        "status",
        "grade",
        "grade_upper",
        "from_at",
        "until_at",
    ]
    verdicts = [r for t in out.verdicts for r in t.select(wanted).to_pylist()]
    return patients, verdicts


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_both_implementations_agree(chunk: int) -> None:
    patients, verdicts = judged(range(chunk * SIZE, (chunk + 1) * SIZE))
    mine: dict[Any, Any] = {}
    episodes: dict[Any, list[Any]] = {}
    for v in verdicts:
        if v["visit_id"]:
            mine[v["subject_id"], v["id"], v["visit_id"], v["criterion"]] = v["status"]
        elif v["id"] in ("crs", "icans") and v["criterion"] == "overall":
            mine[v["subject_id"], v["id"], v["period"], "overall"] = (v["grade"], v["grade_upper"])
        elif v["criterion"] == "overall":
            key = (v["subject_id"], v["id"].partition("_")[0], v["period"])
            episodes.setdefault(key, []).append((v["from_at"], v["until_at"], v["grade"]))
    wrong, seen = [], Counter()
    for subject, rows in patients.items():
        for (endpoint, visit, criterion), status in response.judge(rows).items():
            seen[endpoint, criterion, status] += 1
            if mine.pop((subject, endpoint, visit, criterion), None) != status:
                wrong.append((subject, endpoint, visit, criterion, status))
        for name, answers in (("crs", toxicity.crs(rows)), ("icans", toxicity.icans(rows))):
            for period, answer in answers.items():
                seen[name, "overall", answer["grade"]] += 1
                grade, upper = mine.pop((subject, name, period, "overall"))
                if grade != answer["grade"] or upper != answer.get("upper", upper):
                    wrong.append((subject, name, period, (grade, upper), answer["grade"], answer.get("upper")))
                theirs = [(e["onset"], e["end"], e["grade"]) for e in answer["episodes"]]
                if sorted(episodes.get((subject, name, period), [])) != theirs:
                    wrong.append((subject, name, period, "episodes"))
    assert wrong[:10] == [], len(wrong)
    assert not mine  # nothing that only the platform says
    for endpoint, criteria in response.CRITERIA.items():  # each answer occurs often enough to mean something
        for criterion in criteria:
            for status in ("met", "not_met", "not_evaluable"):
                assert seen[endpoint, criterion, status] >= 20, (endpoint, criterion, status)
    for grade in (None, 0, 1, 2, 3, 4, 5):
        assert seen["crs", "overall", grade] >= 3, grade
        assert seen["icans", "overall", grade] >= 3, grade
