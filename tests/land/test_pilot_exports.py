"""Vital signs of the CDISC pilot as FHIR, ODM and MEDS: values that nobody here made, in documents that the standards'
own libraries write. They land as what the pilot's SDTM lands as.
"""

import datetime as dt
import importlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import meds
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from odmlib.odm_1_3_2 import model as odm

from enfold.land import mapping, readers, sources
from enfold.land.stage import Staged, stage
from enfold.testing.cdisc.main import source

LOINC = {"SYSBP": "8480-6", "DIABP": "8462-4", "PULSE": "8867-4", "TEMP": "8310-5"}
UCUM = {"mmHg": "mm[Hg]", "beats/min": "/min", "C": "Cel"}
MADE = "2026-01-01T00:00:00+00:00"
ODM = """
version = 1
[source]
format = "odm"
carry = { When = "DTC" }
[[rules]]
name = "vital_sign"
emits = "assessment"
equals = { ItemOID = ["SYSBP", "DIABP", "PULSE", "TEMP"] }
key = ["ItemOID", "ItemGroupRepeatKey"]
occasion_key = ["ItemGroupRepeatKey"]
[rules.fields]
subject_id = "SubjectKey"
occurred = "When"
instrument = { constant = "VITAL_SIGNS" }
item = { column = "ItemOID", codes = { PULSE = "HR" } }
value_number = "Value"
unit = { column = "Unit", codes = { "mmHg" = "mm[Hg]", "beats/min" = "/min", "C" = "Cel" } }
[[ignore]]
name = "carried"
equals = { ItemOID = ["DTC"] }
[[ignore_columns]]
name = "keys"
columns = ["*OID", "*RepeatKey"]
"""


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Results of three subjects, with their screening, treatment and unscheduled visits."""
    every = pq.read_table(source("vs")).to_pylist()
    subjects = sorted({r["USUBJID"] for r in every})[:3]
    found = [r for r in every if r["USUBJID"] in subjects and r["VSTESTCD"] in LOINC and r["VSSTRESC"]]
    assert len(found) > 300
    return found


def facts(found: Staged) -> list[tuple[Any, ...]]:
    assert found.refused == []
    columns = ("subject_id", "occurred", "item", "value_number", "unit")
    return sorted(tuple(r[c] for c in columns) for r in found.events["assessment"].to_pylist())


@pytest.fixture(scope="module")
def wanted(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    path = tmp_path_factory.mktemp("sdtm") / "vs.parquet"
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(source("vs"))), path)
    return facts(stage(readers.read(path), mapping.load("sdtm/vs"), "CDISCPILOT01", None))


@pytest.mark.parametrize(("release", "module"), [("r4", "fhir.resources.R4B"), ("r5", "fhir.resources")])
@pytest.mark.parametrize("form", ["bundle.json", "bulk.ndjson"])
def test_fhir(
    release: str, module: str, form: str, rows: list[dict[str, Any]], wanted: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    model = importlib.import_module(module).get_fhir_model_class
    observations = [
        model("Observation").model_validate(
            {
                "resourceType": "Observation",
                "id": f"vs-{n}",
                "status": "final",
                "subject": {"reference": f"Patient/{r['USUBJID']}"},
                "effectiveDateTime": r["VSDTC"],
                "code": {
                    "coding": [{"system": "http://loinc.org", "code": LOINC[r["VSTESTCD"]], "display": r["VSTEST"]}]
                },
                "valueQuantity": {
                    "value": Decimal(r["VSSTRESC"]),
                    "unit": r["VSSTRESU"],
                    "code": UCUM[r["VSSTRESU"]],
                    "system": "http://unitsofmeasure.org",
                },
            }
        )
        for n, r in enumerate(rows)
    ]
    bundle = model("Bundle")(type="collection", entry=[{"resource": o} for o in observations])
    lines = "\n".join(o.model_dump_json() for o in observations)
    (tmp_path / form).write_text(bundle.model_dump_json() if form.endswith(".json") else lines)
    chosen = mapping.load(f"fhir/{release}")
    assert facts(stage(sources.read(tmp_path / form, chosen), chosen, "S", None)) == wanted


def test_odm(rows: list[dict[str, Any]], wanted: list[tuple[Any, ...]], tmp_path: Path) -> None:
    root = odm.ODM(FileOID="F", FileType="Snapshot", CreationDateTime=MADE, ODMVersion="1.3.2")
    study = odm.Study(OID="CDISCPILOT01")
    study.GlobalVariables = odm.GlobalVariables()
    study.GlobalVariables.StudyName = odm.StudyName(_content="pilot")
    study.GlobalVariables.StudyDescription = odm.StudyDescription(_content="pilot")
    study.GlobalVariables.ProtocolName = odm.ProtocolName(_content="pilot")
    about = odm.MetaDataVersion(OID="M", Name="M")
    about.ItemDef = [odm.ItemDef(OID=i, Name=i, DataType="float") for i in LOINC]
    about.ItemDef += [odm.ItemDef(OID="DTC", Name="Date", DataType="partialDate")]
    units = {u: f"MU.{n}" for n, u in enumerate(sorted(UCUM))}
    study.BasicDefinitions = odm.BasicDefinitions()
    study.BasicDefinitions.MeasurementUnit = [odm.MeasurementUnit(OID=oid, Name=u) for u, oid in units.items()]
    for unit in study.BasicDefinitions.MeasurementUnit:
        unit.Symbol = odm.Symbol()
        unit.Symbol.TranslatedText = [odm.TranslatedText(_content=unit.Name, lang="en")]
    study.MetaDataVersion = [about]
    root.Study = [study]
    clinical = odm.ClinicalData(StudyOID="CDISCPILOT01", MetaDataVersionOID="M")
    clinical.SubjectData = []
    for subject in sorted({r["USUBJID"] for r in rows}):
        groups = []
        for n, r in enumerate(rows):
            if r["USUBJID"] == subject:
                value = odm.ItemData(ItemOID=r["VSTESTCD"], Value=r["VSSTRESC"])
                value.MeasurementUnitRef = odm.MeasurementUnitRef(MeasurementUnitOID=units[r["VSSTRESU"]])
                group = odm.ItemGroupData(ItemGroupOID="VS", ItemGroupRepeatKey=str(n))
                group.ItemData = [odm.ItemData(ItemOID="DTC", Value=r["VSDTC"]), value]
                groups.append(group)
        form, event = odm.FormData(FormOID="VS"), odm.StudyEventData(StudyEventOID="ANY")
        form.ItemGroupData, event.FormData = groups, [form]
        found = odm.SubjectData(SubjectKey=subject)
        found.StudyEventData = [event]
        clinical.SubjectData.append(found)
    root.ClinicalData = [clinical]
    root.write_xml(str(tmp_path / "pilot.xml"))
    text = ODM.replace('"mmHg"', f'"{units["mmHg"]}"').replace('"beats/min"', f'"{units["beats/min"]}"')
    chosen = mapping.parse(text.replace('"C" = "Cel"', f'"{units["C"]}" = "Cel"'), "pilot")
    assert facts(stage(sources.read(tmp_path / "pilot.xml", chosen), chosen, "S", None)) == wanted


def test_meds(rows: list[dict[str, Any]], wanted: list[tuple[Any, ...]], tmp_path: Path) -> None:
    numbers = {s: n for n, s in enumerate(sorted({r["USUBJID"] for r in rows}))}
    table = meds.DataSchema.align(
        pa.Table.from_pylist(
            [
                {
                    "subject_id": numbers[r["USUBJID"]],
                    "time": dt.datetime.fromisoformat(r["VSDTC"]),
                    "code": f"LOINC//{LOINC[r['VSTESTCD']]}",
                    "numeric_value": float(r["VSSTRESC"]),
                    "text_value": None,
                }
                for r in sorted(rows, key=lambda r: (r["USUBJID"], r["VSDTC"]))
            ]
        )
    )
    codes = [{"code": f"LOINC//{c}", "description": "", "parent_codes": []} for c in LOINC.values()]
    for name, content in (
        (meds.data_subdirectory + "/0.parquet", table),
        (meds.code_metadata_filepath, pa.Table.from_pylist(codes, meds.CodeMetadataSchema.schema())),
    ):
        (tmp_path / "pilot" / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(content, tmp_path / "pilot" / name)
    (tmp_path / "pilot" / meds.dataset_metadata_filepath).write_text(json.dumps({"meds_version": meds.__version__}))
    chosen = mapping.load("meds/any")
    found = facts(stage(sources.read(tmp_path / "pilot", chosen), chosen, "S", None))
    names = {f"LOINC//{c}": {"PULSE": "HR"}.get(item, item) for item, c in LOINC.items()}
    people = {str(n): s for s, n in numbers.items()}
    ours = {(people[s], when[:10], names[item], value) for s, when, item, value, _ in found}
    assert ours == {row[:4] for row in wanted}
