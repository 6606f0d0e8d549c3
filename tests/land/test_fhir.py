"""FHIR: resources in bundles and NDJSON, validated; digits and precision kept; order says nothing; nothing unread."""

import gzip
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold.errors import UsageError
from enfold.land import mapping, sources
from enfold.land.from_fhir import READ
from land.exports import EXPORTS, bring, events, staged

BUNDLE = (EXPORTS / "fhir-bundle.json").read_text("utf-8")
R4, R5 = (str(mapping.load(f"fhir/{r}").text) for r in ("r4", "r5"))
UCUM = "http://unitsofmeasure.org"


def written(folder: Path, text: str, name: str = "bundle.json") -> Path:
    data = text.encode("utf-8", "surrogatepass")
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / name


def bundle(*resources: dict[str, Any]) -> str:
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]})


def observation(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "o1", "status": "final", "subject": {"reference": "Patient/p1"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "1988-5"}]}, **more}  # fmt: skip


def test_resources_become_events(tmp_path: Path) -> None:
    report = bring(tmp_path / "S", EXPORTS / "fhir-bundle.json", R4)
    assert (report.rows, report.mapped, report.refused, report.landed) == (10, 8, 0, 8)
    assert report.ignored == {"said_in_error": 1, "stands_with_the_research_subject": 1}
    found = events(tmp_path / "S", "assessment", "instrument", "item", "occurred", "comparator", "value_number",
                   "value_code", "not_done")  # fmt: skip
    morning = "2026-01-12T09:30:00+01:00"
    assert found == [
        ("VITAL_SIGNS", "SYSBP", morning, None, Decimal(118), None, None),
        ("VITAL_SIGNS", "DIABP", morning, None, None, None, True),
        ("LABORATORY", "CRP", "2026-01", "<", Decimal("0.30"), None, None),
        ("OTHER_SOURCE", "72166-2", "2026", None, None, "266919005", None),
    ]
    assert events(tmp_path / "S", "medication", "substance", "dose", "route", "ended") == [
        ("tocilizumab", Decimal("480.123456789"), "intravenous", "2026-01-20T15:00:00+01:00"),
    ]
    assert events(tmp_path / "S", "enrolment", "subject_id", "sex", "birth_date", "arm") == [
        ("p301", "F", "1988-07", "single arm")
    ]
    assert events(tmp_path / "S", "adverse_event", "term", "severity", "serious", "outcome") == [
        ("Übelkeit", "mild", False, "recovered")
    ]
    assert events(tmp_path / "S", "procedure", "occurred", "detail") == [("2025-12-18", "Leukapheresis")]


def test_race_and_ethnicity_of_us_core(tmp_path: Path) -> None:
    def patient(n: int, race: list[str], ethnicity: list[str]) -> list[dict[str, Any]]:
        said = [
            {
                "url": f"http://hl7.org/fhir/us/core/StructureDefinition/us-core-{what}",
                "extension": [
                    *(
                        {"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": c}}
                        for c in codes
                    ),
                    {"url": "text", "valueString": "as told"},
                ],
            }
            for what, codes in (("race", race), ("ethnicity", ethnicity))
        ]
        who = {"reference": f"Patient/p{n}"}
        about = {"resourceType": "Patient", "id": f"p{n}", "extension": [*said, {"url": "https://example.org/x"}]}
        if n > 3:
            about["extension"] = [{"url": said[0]["url"], "extension": 7}, "x"]
        subject = {
            "resourceType": "ResearchSubject",
            "id": f"rs{n}",
            "status": "on-study",
            "individual": who,
            "study": {"reference": "ResearchStudy/S"},
        }
        return [about, subject]

    given = [
        patient(1, ["2106-3"], ["2186-5"]),
        patient(2, ["2106-3", "2028-9"], ["UNK"]),
        patient(3, [], ["2135-2", "2186-5"]),
        patient(4, [], []),
    ]
    report = bring(tmp_path / "S", written(tmp_path, bundle(*(r for both in given for r in both))), R4)
    assert events(tmp_path / "S", "enrolment", "subject_id", "race", "ethnicity") == [
        ("p1", "WHITE", "NOT HISPANIC OR LATINO"),
        ("p2", "MULTIPLE", "UNKNOWN"),
    ]
    assert {(r["source_row"], r["column_name"], r["code"]) for r in report.refusals if r["code"] != "not_fhir"} == {
        (6, "ethnicity", "not_in_codes")
    }
    assert {r["source_row"] for r in report.refusals} == {6, 8}  # a subject takes from a Patient that is not valid


def test_another_order_packing_or_bulk_lands_nothing_twice(tmp_path: Path) -> None:
    bring(tmp_path / "S", EXPORTS / "fhir-bundle.json", R4)
    document = json.loads(BUNDLE, parse_float=Decimal)
    document["entry"].reverse()
    for entry in document["entry"]:
        entry["resource"].get("component", []).reverse()
        entry["resource"]["code" if "code" in entry["resource"] else "study"].get(
            "coding", []
        ).reverse() if "code" in entry["resource"] else None
    turned = json.dumps(document, default=lambda d: f"@{d}@")
    turned = re.sub(r'"@([0-9.]+)@"', r"\1", turned)
    report = bring(tmp_path / "S", written(tmp_path, turned, "other.json.gz"), R4)
    assert (report.landed, report.already) == (0, 8)
    lines = [
        json.dumps(e["resource"], default=lambda d: f"@{d}@") for e in json.loads(turned, parse_float=Decimal)["entry"]
    ]
    bulk = re.sub(r'"@([0-9.]+)@"', r"\1", "\n".join(lines)).replace(
        "urn:uuid:7d2a1c0e-0000-4000-8000-000000000301", "Patient/p301"
    )
    report = bring(tmp_path / "S", written(tmp_path, bulk, "all.ndjson"), R4)
    assert (report.landed, report.already) == (0, 8)


def test_a_later_bundle_as_a_snapshot_corrects_and_withdraws(tmp_path: Path) -> None:
    bring(tmp_path / "S", EXPORTS / "fhir-bundle.json", R4)
    later = BUNDLE.replace('"value": 118', '"value": 119').replace(
        '"id": "crp1", "status": "final"', '"id": "crp1", "status": "entered-in-error"'
    )
    report = bring(tmp_path / "S", written(tmp_path, later), R4, snapshot=True)
    assert (report.landed, report.corrected, report.retracted, report.already) == (0, 1, 1, 6)


def test_subjects_by_an_identifier(tmp_path: Path) -> None:
    using = R4.replace('format = "fhir-r4"', 'format = "fhir-r4"\nsubject_system = "https://example.org/subjects"')
    found = staged(EXPORTS / "fhir-bundle.json", using)
    assert {s for rows in found.events.values() for s in rows.column("subject_id").to_pylist()} == {"SYN-301"}
    stranger = staged(written(tmp_path, BUNDLE.replace("example.org/subjects", "example.org/others")), using)
    assert {(r["column_name"], r["code"]) for r in stranger.refused} == {("subject_id", "missing")}


@settings(max_examples=40, deadline=None)
@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**8), max_value=10**8, places=9),
    st.integers(-6, 6),
)
def test_numbers_keep_every_digit(number: Decimal, power: int) -> None:
    from enfold.land import from_fhir, from_json

    text = f'{{"valueQuantity": {{"value": {number:f}e{power}}}}}'
    flat = from_fhir._flat(from_json.document(text.encode(), "x"))
    assert Decimal(str(flat["valueQuantity.value"])) == number.scaleb(power)


def test_seventeen_digits_pass_through_no_float(tmp_path: Path) -> None:
    text = bundle(observation(valueQuantity={"value": 1, "system": UCUM, "code": "mg/L"}))
    path = written(tmp_path, text.replace('"value": 1', '"value": 12345678.123456789'))
    rows = sources.read(path, mapping.load("fhir/r4")).rows
    assert rows.column("valueQuantity.value").to_pylist() == ["12345678.123456789"]
    assert staged(path, R4).events["assessment"].column("value_number").to_pylist()[-1] == Decimal("12345678.123456789")


def test_release_5_has_a_mapping_of_its_own(tmp_path: Path) -> None:
    text = bundle(
        observation(valueInteger=3, effectiveDateTime="2026-02"),
        {"resourceType": "AdverseEvent", "id": "a1", "status": "completed", "actuality": "actual", "code": {"text": "Fever"},
         "subject": {"reference": "https://ehr.example.org/fhir/Patient/p1/_history/3"}, "occurrenceDateTime": "2026",
         "outcome": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/adverse-event-outcome", "code": "ongoing"}]}]},
        {"resourceType": "MedicationAdministration", "id": "m1", "status": "completed", "medication": {"concept": {"text": "A"}},
         "subject": {"reference": "Patient/p1"}, "occurenceDateTime": "2026-03-01"},
        {"resourceType": "Procedure", "id": "r1", "status": "completed", "code": {"text": "B"},
         "subject": {"reference": "Patient/p1"}, "occurrencePeriod": {"start": "2026-03", "end": "2026-04"}},
        {"resourceType": "ResearchSubject", "id": "s1", "status": "active", "study": {"reference": "ResearchStudy/1"},
         "subject": {"reference": "Patient/p1"}, "period": {"start": "2026-01-01"}, "actualComparisonGroup": "A"},
    )  # fmt: skip
    found = staged(written(tmp_path, text), R5)
    assert not found.refused
    assert {t: rows.num_rows for t, rows in found.events.items() if rows.num_rows} == {
        "assessment": 1, "adverse_event": 1, "medication": 1, "procedure": 1, "enrolment": 1,
    }  # fmt: skip
    assert found.events["adverse_event"].column("outcome").to_pylist() == ["not_recovered"]
    other = staged(
        written(tmp_path, text),
        R4.replace("[[ignore]]", '[[ignore_columns]]\nname = "r5"\ncolumns = ["*"]\n\n[[ignore]]', 1),
    )
    assert {r["code"] for r in other.refused} >= {"not_fhir"}


INVALID = {
    "no code": ({"code": None}, {"code"}),
    "two values": ({"valueInteger": 1, "valueString": "SECRET"}, {None}),
    "an element that is not one": ({"valueInteger": 1, "secret": "SECRET"}, {"secret"}),
    "not a date": ({"valueInteger": 1, "effectiveDateTime": "SECRET"}, {"effectiveDateTime"}),
    "text for a number": ({"valueQuantity": {"value": "SECRET"}}, {"valueQuantity.value"}),
}


@pytest.mark.parametrize("case", sorted(INVALID))
def test_an_invalid_resource_is_refused_by_its_element(case: str, tmp_path: Path) -> None:
    more, columns = INVALID[case]
    good = observation(id="o2", valueInteger=2)
    text = bundle(good, {k: v for k, v in observation(**more).items() if v is not None})
    using = R4.replace('"note*"', '"note*", "secret", "o*"')
    found = staged(written(tmp_path, text), using)
    wrong = [r for r in found.refused if r["code"] == "not_fhir"]
    assert {r["column_name"] for r in wrong} == columns
    assert {r["source_row"] for r in wrong} == {2}
    assert "SECRET" not in json.dumps(found.refused)
    assert found.events["assessment"].num_rows == 1


def test_other_resources_are_ignored_by_name_or_refused(tmp_path: Path) -> None:
    text = bundle(
        observation(valueInteger=2), {"resourceType": "Encounter", "id": "e1", "status": "finished", "class": {}}
    )
    found = staged(written(tmp_path, text), R4)
    assert [(r["source_row"], r["code"]) for r in found.refused] == [(2, "unmapped")]
    named = R4 + '\n[[ignore]]\nname = "stays"\nequals = { resourceType = ["Encounter"] }\n'
    found = staged(written(tmp_path, text), named)
    assert (found.refused, found.ignored) == ([], {"stays": 1})
    assert "Encounter" not in READ


FILES = {
    "an element that nothing reads": (bundle(observation(valueInteger=1, bodySite={"text": "SECRET"})), "column bodySite.text"),
    "a modifier": (bundle(observation(valueInteger=1, modifierExtension=[{"url": "urn:x", "valueBoolean": True}])),
                   "column modifierExtension[urn:x].valueBoolean"),
    "Dataset-JSON": ('{"datasetJSONVersion": "1.1.0", "rows": []}', "no `resourceType`: not FHIR"),
    "a history": (bundle().replace("collection", "history"), "a Bundle of another type"),
    "a deletion": (bundle(observation()).replace('{"resource"', '{"request": {"method": "DELETE", "url": "x"}, "resource"'), "than PUT or POST"),
    "an entry without a resource": ('{"resourceType": "Bundle", "type": "collection", "entry": [{}]}', "entry 1 has no resource"),
    "cut": (BUNDLE[: len(BUNDLE) // 2], "not valid JSON"),
    "a key twice": ('{"resourceType": "Bundle", "resourceType": "SECRET"}', "repeats a key"),
    "deep": (bundle(observation(valueInteger=1, extension="@")).replace('"@"', "[" * 150 + "]" * 150), "entry 1 is nested too deep"),
    "deeper": ("[" * 100_000, "nested too deep"),
    "half a character": (bundle(observation(valueString="@")).replace("@", "\\ud800"), "half a character"),
    "empty": ("", "not valid JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(FILES))
def test_a_file_that_is_not_read_whole_is_refused(case: str, tmp_path: Path) -> None:
    text, message = FILES[case]
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        staged(written(tmp_path, text), R4)
    assert caught.value.remedy
    assert "SECRET" not in str(caught.value)


def test_what_is_not_utf_8_or_has_no_resource_on_a_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_bytes(BUNDLE.encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8"):
        staged(tmp_path / "bundle.json", R4)
    with pytest.raises(UsageError, match="line 2 is no FHIR resource"):
        staged(written(tmp_path, json.dumps(observation(valueInteger=1)) + "\n\n[]", "x.ndjson"), R4)
