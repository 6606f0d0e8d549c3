"""The same findings in a REDCap export, in ODM 1.3 and 2.0 and in FHIR land as the same values, awkward ones too."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from hypothesis import given, settings
from hypothesis import strategies as st

from land.exports import staged

FACT = st.fixed_dictionaries(
    {
        "when": st.sampled_from(["2026", "2026-02", "2026-02-28", "2026-02-28T23:59:00+05:45", ""]),
        "comparator": st.sampled_from(["", "<", "<=", ">", ">="]),
        "number": st.decimals(-(10**8), 10**8, places=9).map(lambda d: f"{d:f}"),
        "note": st.text(st.characters(codec="utf-8", categories=["L", "N", "Zs"]), max_size=20).map(str.strip)
        | st.sampled_from(["Zoë & <Übelkeit>", "日本", "a|b, \"c\"", "-5 (baseline)", ""]),
    }
)  # fmt: skip
MAPPING = """
version = 1
[source]
format = "{form}"
{source}
[[rules]]
name = "crp"
emits = "assessment"
present = ["{number}"]
key = ["{key}"]
[rules.fields]
subject_id = "{subject}"
occurred = "{occurred}"
instrument = {{ constant = "LABORATORY" }}
item = {{ constant = "CRP" }}
value_number = {{ column = "{number}", part = "number" }}
comparator = {comparator}
value_text = "{text}"
[[ignore_columns]]
name = "others"
columns = {others}
"""
BESIDE = '{{ column = "{0}", part = "comparator" }}'  # the comparator stands before the number
REDCAP = MAPPING.format(
    form="redcap", source="", number="crp", key="redcap_repeat_instance", subject="record_id", occurred="day",
    comparator=BESIDE.format("crp"), text="note", others=["redcap_repeat_instrument"],
)  # fmt: skip
ODM = MAPPING.format(
    form="odm", source='records = ["IG"]', number="CRP", key="ItemGroupRepeatKey", subject="SubjectKey", occurred="DAY",
    comparator=BESIDE.format("CRP"), text="NOTE", others=["*OID", "*RepeatKey"],
)  # fmt: skip
FHIR = MAPPING.format(
    form="fhir-r4", source="", number="valueQuantity.value", key="id", subject="patient", occurred="effectiveDateTime",
    comparator='"valueQuantity.comparator"', text="note[1].text", others=["resourceType", "status", "code.text"],
)  # fmt: skip


def redcap(folder: Path, facts: list[dict[str, str]]) -> tuple[Path, Path]:
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(["record_id", "redcap_repeat_instrument", "redcap_repeat_instance", "day", "crp", "note"])
    for n, f in enumerate(facts, 1):
        writer.writerow(["S1", "lab", n, f["when"], f["comparator"] + f["number"], f["note"]])
    (folder / "export.csv").write_text(sink.getvalue(), "utf-8")
    head = "field_name,form_name,field_type,select_choices_or_calculations,text_validation_type_or_show_slider_number"
    lines = [f"{name},lab,text,," for name in ("record_id", "day", "crp", "note")]
    (folder / "book.csv").write_text("\n".join([head, *lines]))
    return folder / "export.csv", folder / "book.csv"


def odm(folder: Path, facts: list[dict[str, str]], version: str) -> Path:
    def item(oid: str, value: str) -> str:
        if not value:
            return f'<ItemData ItemOID="{oid}" IsNull="Yes"/>'
        if version == "2.0":
            return f'<ItemData ItemOID="{oid}"><Value>{escape(value)}</Value></ItemData>'
        return f'<ItemData ItemOID="{oid}" Value={quoteattr(value)}/>'

    groups = [
        f'<ItemGroupData ItemGroupOID="IG" ItemGroupRepeatKey="{n}">{item("DAY", f["when"])}'
        f'{item("CRP", f["comparator"] + f["number"])}{item("NOTE", f["note"])}</ItemGroupData>'
        for n, f in enumerate(facts, 1)
    ]  # fmt: skip
    form = "".join(groups) if version == "2.0" else f'<FormData FormOID="F">{"".join(groups)}</FormData>'
    defined = "".join(f'<ItemDef OID="{o}" Name="{o}" DataType="text"/>' for o in ("DAY", "CRP", "NOTE"))
    (folder / f"{version}.xml").write_text(
        f'<ODM xmlns="http://www.cdisc.org/ns/odm/v{version}" FileType="Snapshot" FileOID="F"><Study OID="ST">'
        f'<MetaDataVersion OID="M" Name="M">{defined}</MetaDataVersion></Study><ClinicalData StudyOID="ST"'
        f' MetaDataVersionOID="M"><SubjectData SubjectKey="S1"><StudyEventData StudyEventOID="V">{form}</StudyEventData>'
        "</SubjectData></ClinicalData></ODM>",
        "utf-8",
    )
    return folder / f"{version}.xml"


def fhir(folder: Path, facts: list[dict[str, str]]) -> Path:
    lines = []
    for n, f in enumerate(facts, 1):
        found: dict[str, Any] = {"resourceType": "Observation", "id": str(n), "status": "final", "code": {"text": "CRP"},
                                 "subject": {"reference": "Patient/S1"}, "valueQuantity": {"value": "@"}}  # fmt: skip
        if f["comparator"]:
            found["valueQuantity"]["comparator"] = f["comparator"]
        if f["when"]:
            found["effectiveDateTime"] = f["when"]
        if f["note"]:
            found["note"] = [{"text": f["note"]}]
        lines.append(json.dumps(found).replace('"@"', f["number"]))
    (folder / "o.ndjson").write_text("\n".join(lines))
    return folder / "o.ndjson"


@settings(max_examples=4, deadline=None)
@given(st.lists(FACT, min_size=1, max_size=6))
def test_the_same_findings_in_every_export(tmp_path_factory: Any, facts: list[dict[str, str]]) -> None:
    folder = tmp_path_factory.mktemp("agree")
    export, book = redcap(folder, facts)
    all_of = {
        "redcap": staged(export, REDCAP, book),
        "odm 1.3": staged(odm(folder, facts, "1.3"), ODM),
        "odm 2.0": staged(odm(folder, facts, "2.0"), ODM),
        "fhir": staged(fhir(folder, facts), FHIR),
    }
    wanted = sorted(
        (f["when"] or "", f["comparator"] or "", Decimal(f["number"]), " ".join(f["note"].split(" ")).strip(" "))
        for f in facts
    )
    for name, found in all_of.items():
        assert not found.refused, name
        rows = found.events["assessment"].select(["occurred", "comparator", "value_number", "value_text"]).to_pylist()
        assert (
            sorted((r["occurred"] or "", r["comparator"] or "", r["value_number"], r["value_text"] or "") for r in rows)
            == wanted
        ), name
