"""ODM-XML: who, when and why of each change become corrections and retractions; unsafe XML is refused."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enfold.cli.main import main as enfold
from enfold.errors import UsageError
from enfold.land import mapping, refused, retry, sources
from enfold.ledger.ledger import Ledger
from enfold.ledger.versions import standing_facts
from land.exports import EXPORTS, bring, events, staged
from tests_support import STUDY

TEXT = (EXPORTS / "odm.xml").read_text("utf-8")
MAPPING = (EXPORTS / "odm.toml").read_text("utf-8")
WHY = ("author", "recorded_at", "reason")


def written(folder: Path, text: str, name: str = "odm.xml") -> Path:
    (folder / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return folder / name


def told(study: Path, event_type: str, *columns: str) -> list[tuple[Any, ...]]:
    return [(*row[:-3], row[-3], row[-2] and row[-2].isoformat(), row[-1])
            for row in events(study, event_type, *columns, *WHY)]  # fmt: skip


def stands(study: Path, event_type: str, *columns: str) -> list[tuple[Any, ...]]:
    """What stands after all changes, by the ledger's own rules."""
    from enfold import schema
    from enfold.ledger import engine

    ledger, con = Ledger(study / "ledger"), engine.connect()
    for kind in schema.events():
        con.register(f"ev_{kind}", ledger.read(kind))
    standing_facts(con)
    return con.execute(f"SELECT {', '.join(columns)} FROM facts_{event_type} ORDER BY ALL").fetchall()


def test_changes_keep_who_when_and_why(tmp_path: Path) -> None:
    report = bring(tmp_path / "S", EXPORTS / "odm.xml", MAPPING)
    assert (report.rows, report.mapped, report.refused, report.landed) == (14, 12, 0, 12)
    nurse, investigator = "Nurse A (synthetic) (U.NURSE)", "Investigator B (U.INV)"
    entered = (nurse, "2026-01-12T08:40:00+00:00", None)
    assert told(tmp_path / "S", "enrolment", "birth_date", "site") == [
        ("1988", "L.1", *entered),
        ("1988-07", "L.1", nurse, "2026-01-13T10:00:00+00:00", "passport seen"),
    ]
    assert [str(v) for v in told(tmp_path / "S", "assessment", "item", "value_number")[1]] == [
        "SYSBP", "118.000000000", nurse, "2026-01-15T13:02:11+00:00", "digits swapped",
    ]  # fmt: skip
    assert told(tmp_path / "S", "adverse_event", "term", "grade") == [
        ("Übelkeit", 1, *entered),
        ("Übelkeit", 2, investigator, "2026-01-21T15:30:00+00:00", "graded again after the visit"),
        ("Fever", None, *entered),
    ]
    assert told(tmp_path / "S", "retraction", "source_row") == [
        (9, investigator, "2026-01-20T09:00:00+00:00", "not assessed, entered by mistake"),
        (14, "U.DM", "2026-02-01T11:00:00+00:00", "of another subject"),
    ]
    assert stands(tmp_path / "S", "assessment", "item") == [("ARTHR",), ("SYSBP",), ("WEIGHT",)]


def test_a_longer_history_lands_only_what_is_new(tmp_path: Path) -> None:
    later = TEXT.replace(
        '<ItemData ItemOID="I.ARTHR" Value="Y"/>',
        """<ItemData ItemOID="I.ARTHR" Value="Y"/>
        <ItemData ItemOID="I.ARTHR" Value="U" TransactionType="Update"><AuditRecord><UserRef UserOID="U.INV"/>
        <LocationRef LocationOID="L.1"/><DateTimeStamp>2026-02-11T09:00:00+01:00</DateTimeStamp>
        <ReasonForChange>joint was not examined</ReasonForChange></AuditRecord></ItemData>""",
    )
    bring(tmp_path / "S", EXPORTS / "odm.xml", MAPPING)
    again = bring(tmp_path / "S", written(tmp_path, TEXT, "renamed.xml.gz"), MAPPING)
    assert (again.landed, again.already) == (0, 12)
    report = bring(tmp_path / "S", written(tmp_path, later), MAPPING)
    assert (report.landed, report.already, report.conflicting) == (1, 12, 0)
    other = bring(tmp_path / "T", written(tmp_path, later), MAPPING)
    assert other.landed == 13
    both = [stands(tmp_path / s, "assessment", "item", "value_code", "event_ids") for s in "ST"]
    assert both[0] == both[1]


def test_a_transactional_document_is_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tells its changes itself"):
        bring(tmp_path / "S", EXPORTS / "odm.xml", MAPPING, snapshot=True)


def test_a_snapshot_lands_what_is_there_and_a_later_one_corrects_with_its_audit_record(tmp_path: Path) -> None:
    def value(text: str, audit: str = "") -> str:
        kept = re.sub(r'(?s)<ItemData[^>]*TransactionType="Update"[^>]*>.*?</ItemData\w*>', "", TEXT)
        kept = re.sub(r'(?s)<ItemGroupData [^>]*"Remove">.*?</ItemGroupData>', "", kept)
        kept = kept.replace('"Transactional"', '"Snapshot"').replace(' TransactionType="Insert"', "")
        return kept.replace(
            '<ItemData ItemOID="I.SYSBP" Value="181"/>', f'<ItemData ItemOID="I.SYSBP" {text}>{audit}</ItemData>'
        )

    first = bring(tmp_path / "S", written(tmp_path, value('Value="181"')), MAPPING, snapshot=True)
    assert (first.rows, first.landed, first.ignored) == (9, 7, {"dates_of_forms": 2})
    audit = """<AuditRecord><UserRef UserOID="U.INV"/><LocationRef LocationOID="L.1"/>
        <DateTimeStamp>2026-01-15T14:02:11+01:00</DateTimeStamp><ReasonForChange>digits swapped</ReasonForChange></AuditRecord>"""
    report = bring(tmp_path / "S", written(tmp_path, value('Value="118"', audit)), MAPPING, snapshot=True)
    assert (report.landed, report.corrected, report.already) == (0, 1, 6)
    assert [str(v) for v in told(tmp_path / "S", "assessment", "value_number")[-1]] == [
        "118.000000000", "Investigator B (U.INV)", "2026-01-15T13:02:11+00:00", "digits swapped",
    ]  # fmt: skip
    report = bring(tmp_path / "S", written(tmp_path, value('IsNull="Yes"')), MAPPING, snapshot=True)
    assert (report.retracted, report.ignored["never_had_a_value"]) == (1, 1)


ODM2 = """<ODM xmlns="http://www.cdisc.org/ns/odm/v2.0" FileType="Transactional" FileOID="F" ODMVersion="2.0"
 CreationDateTime="2026-03-01T08:00:00Z">
 <Study OID="ST" StudyName="S" ProtocolName="S"><MetaDataVersion OID="M" Name="M">
  <ItemDef OID="TEMP" Name="T" DataType="decimal"/>
 </MetaDataVersion></Study>
 <AdminData><User OID="U"><GivenName>Gül</GivenName><FamilyName>Öz</FamilyName></User></AdminData>
 <ClinicalData StudyOID="ST" MetaDataVersionOID="M"><SubjectData SubjectKey="SYN-1">
  <StudyEventData StudyEventOID="V1"><ItemGroupData ItemGroupOID="FORM"><ItemGroupData ItemGroupOID="VITALS">
   <ItemData ItemOID="TEMP" TransactionType="Insert"><Value>36.60</Value></ItemData>
   {changes}
  </ItemGroupData></ItemGroupData></StudyEventData></SubjectData></ClinicalData></ODM>"""
MAPPING2 = """
version = 1
[source]
format = "odm"
offset = "+01:00"
[[rules]]
name = "vitals"
emits = "assessment"
equals = { ItemOID = ["TEMP"] }
key = ["StudyEventOID", "FormOID", "ItemGroupOID", "ItemOID"]
[rules.fields]
subject_id = "SubjectKey"
visit_id = "StudyEventOID"
instrument = { constant = "VITAL_SIGNS" }
item = "ItemOID"
value_number = "Value"
[[ignore_columns]]
name = "keys"
columns = ["StudyOID", "*RepeatKey", "MetaDataVersionOID", "Unit", "AuditRecord*"]
"""


def change(value: str | None, at: str, why: str | None = "because", kind: str = "Update") -> str:
    said = f"<Value>{value}</Value>" if value is not None else ""
    reason = f"<ReasonForChange>{why}</ReasonForChange>" if why else ""
    return f"""<ItemData ItemOID="TEMP" TransactionType="{kind}">{said}<AuditRecord><UserRef UserOID="U"/>
        <LocationRef LocationOID="L"/><DateTimeStamp>{at}</DateTimeStamp>{reason}</AuditRecord></ItemData>"""


def test_odm_2_with_nested_groups_and_a_time_without_offset(tmp_path: Path) -> None:
    text = ODM2.format(
        changes=change("36.6", "2026-01-02T10:00:00", None) + change("38.2", "2026-01-03T10:00:00", None)
    )
    report = bring(tmp_path / "S", written(tmp_path, text), MAPPING2)
    assert (report.rows, report.mapped, report.landed) == (3, 3, 2)  # 36.60 and 36.6 say the same
    assert [str(v) for v in told(tmp_path / "S", "assessment", "value_number")[-1]] == [
        "38.200000000", "Gül Öz (U)", "2026-01-03T09:00:00+00:00", "no reason given by the source",
    ]  # fmt: skip
    zone = MAPPING2.replace('offset = "+01:00"', "")
    found = staged(written(tmp_path, text), zone)
    assert {r["code"] for r in found.refused} == {"not_an_instant", "other_version"}


def test_an_outer_group_of_odm_2_is_removed_with_what_is_in_it(tmp_path: Path) -> None:
    gone = """<ItemGroupData ItemGroupOID="FORM" TransactionType="Remove"><AuditRecord><UserRef UserOID="U"/>
        <LocationRef LocationOID="L"/><DateTimeStamp>2026-01-03T10:00:00Z</DateTimeStamp></AuditRecord></ItemGroupData></StudyEventData>"""
    text = ODM2.format(changes="").replace("</StudyEventData>", gone)
    report = bring(tmp_path / "S", written(tmp_path, text), MAPPING2)
    assert (report.rows, report.landed) == (2, 2)
    assert stands(tmp_path / "S", "assessment", "item") == []


def test_an_entry_that_slips_in_before_another_leaves_what_was_said_last(tmp_path: Path) -> None:
    first = change("36.6", "2026-01-01T10:00:00Z", None, "Insert")
    start = ODM2.replace('<ItemData ItemOID="TEMP" TransactionType="Insert"><Value>36.60</Value></ItemData>', first)
    last, between = change("37.0", "2026-01-05T10:00:00Z"), change("36.9", "2026-01-03T10:00:00Z")
    bring(tmp_path / "S", written(tmp_path, start.format(changes=last)), MAPPING2)
    report = bring(tmp_path / "S", written(tmp_path, start.format(changes=between + last)), MAPPING2)
    assert (report.landed, report.already, report.conflicting) == (2, 1, 0)
    ((number, contested),) = stands(tmp_path / "S", "assessment", "value_number", "contested")
    assert (f"{number:.1f}", contested) == ("37.0", False)


def test_a_removal_of_what_is_gone_is_not_passed_over(tmp_path: Path) -> None:
    twice = change(None, "2026-01-02T10:00:00Z", kind="Remove") + change(None, "2026-01-03T10:00:00Z", kind="Remove")
    found = staged(written(tmp_path, ODM2.format(changes=twice)), MAPPING2)
    assert {(r["source_row"], r["code"]) for r in found.refused} == {(1, "other_version"), (2, "no_insert")}


def test_a_carried_date_goes_with_its_item_group(tmp_path: Path) -> None:
    gone = """<ItemGroupData ItemGroupOID="DATES" TransactionType="Remove"><AuditRecord><UserRef UserOID="U"/>
        <LocationRef LocationOID="L"/><DateTimeStamp>2026-01-03T10:00:00Z</DateTimeStamp></AuditRecord></ItemGroupData>"""
    day = '<ItemGroupData ItemGroupOID="DATES"><ItemData ItemOID="DAY"><Value>2026-01-01</Value></ItemData></ItemGroupData>'
    text = ODM2.format(changes="").replace(
        "</MetaDataVersion>", '<ItemDef OID="DAY" Name="D" DataType="date"/></MetaDataVersion>'
    )
    using = MAPPING2.replace('format = "odm"', 'format = "odm"\ncarry = { Day = "DAY" }').replace(
        'value_number = "Value"', 'value_number = "Value"\noccurred = "Day"'
    )
    using += '[[ignore]]\nname = "days"\nequals = { ItemOID = ["DAY"] }\n'
    found = staged(written(tmp_path, text.replace("</StudyEventData>", day + gone + "</StudyEventData>")), using)
    assert not found.refused
    rows = sorted(
        found.events["assessment"].select(["source_row", "occurred", "author"]).to_pylist(),
        key=lambda r: r["source_row"],
    )
    assert [(r["occurred"], r["author"]) for r in rows] == [("2026-01-01", None), (None, "Gül Öz (U)")]
    with pytest.raises(UsageError, match="fills a column that every row has"):
        staged(written(tmp_path, text), using.replace("Day = ", "Value = "))
    named = text.replace('"TEMP"', '"Version"')
    with pytest.raises(UsageError, match="is called as a column of every row is: Version"):
        staged(written(tmp_path, named), using.replace("carry", 'records = ["VITALS"]\ncarry'))


@settings(max_examples=1, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.sampled_from(["36.6", "37.0", "38.5"])), min_size=1, max_size=6), st.integers(0, 6)
)
@example(values=["36.6", None, "36.6", None, "37.0"], cut=2)
@example(values=["36.6", "37.0", "36.6", None], cut=3)
def test_what_stands_is_what_the_source_said_last(tmp_path_factory: Any, values: list[str | None], cut: int) -> None:
    """A history of any changes, landed in two exports or in one, ends as its last change says."""
    lines, before = [], True
    for n, value in enumerate(values):
        kind = "Remove" if value is None else "Update" if before else "Insert"
        if value is not None or before:
            lines.append(change(value, f"2026-01-{n + 2:02d}T10:00:00Z", f"reason {n}", kind))
        before = value is not None
    folder = tmp_path_factory.mktemp("odm")
    for part in (lines[:cut], lines):
        bring(folder / "S", written(folder, ODM2.format(changes="".join(part))), MAPPING2)
    bring(folder / "T", written(folder, ODM2.format(changes="".join(lines))), MAPPING2)
    wanted = [] if values[-1] is None else [values[-1]]
    for study in "ST":
        assert [f"{v:.1f}" for (v,) in stands(folder / study, "assessment", "value_number")] == wanted


FAULTS = {
    "a code that is not in the list": ('ItemOID="I.ARTHR" Value="Y"', 'ItemOID="I.ARTHR" Value="yes"', {("Value", "not_in_code_list")}),
    "not of its type": ('ItemOID="I.WEIGHT" Value="61.25"', 'ItemOID="I.WEIGHT" Value="heavy"', {("Value", "not_of_type"), ("value_number", "not_a_number")}),
    "another unit": ('<MeasurementUnitRef MeasurementUnitOID="MU.KG"/></ItemData>', '<MeasurementUnitRef MeasurementUnitOID="MU.LB"/></ItemData>', {("Value", "other_unit")}),
    "an item of another group": ('<ItemData ItemOID="I.ARTHR" Value="Y"/>', '<ItemData ItemOID="I.SYSBP" Value="120"/>', {("Value", "other_group")}),
    "an update of nothing": ('ItemOID="I.ARTHR" Value="Y"', 'ItemOID="I.ARTHR" Value="Y" TransactionType="Update"', {("Value", "no_insert")}),
    "a value told again without one": ('<ItemData ItemOID="I.ARTHR" Value="Y"/>', '<ItemData ItemOID="I.ARTHR" Value="Y"/><ItemData ItemOID="I.ARTHR" TransactionType="Update"/>', {("Value", "no_value"), (None, "other_version")}),
    "times that run back": ("2026-01-15T14:02:11", "2025-01-15T14:02:11", {("AuditTime", "out_of_order"), ("Value", "no_insert"), (None, "other_version")}),
    "a formula as a reason": ("not assessed, entered", "=HYPERLINK(A1)", {("reason", "formula"), (None, "other_version")}),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(FAULTS))
def test_what_is_wrong_with_a_value_refuses_all_its_versions(case: str, tmp_path: Path) -> None:
    good, bad, wanted = FAULTS[case]
    assert TEXT.count(good) == 1
    found = staged(written(tmp_path, TEXT.replace(good, bad)), MAPPING)
    assert {(r["column_name"], r["code"]) for r in found.refused} == wanted
    assert found.mapped_rows + 2 + len({r["source_row"] for r in found.refused}) == found.source.rows.num_rows


def test_a_mended_record_lands_with_its_whole_history(tmp_path: Path) -> None:
    study = tmp_path / "S"
    assert enfold(["init", str(study), str(written(tmp_path, STUDY.replace('"S"', '"SYN"'), "study.toml"))]) == 0
    bad = written(tmp_path, TEXT.replace('ItemOID="I.SYSBP" Value="118"', 'ItemOID="I.SYSBP" Value="low"'))
    assert bring(study, bad, MAPPING).refused == 2
    (found,) = refused.refusals(study)
    mended = written(tmp_path, refused.export(found).decode().replace("low", "118"), "mended.csv")
    report = retry.retry(study, mended, author="dm", reason="asked the site")
    assert (report.refused, report.landed) == (0, 2)
    assert [f"{v:.0f}" for (v,) in stands(study, "assessment", "value_number") if v and v > 100] == ["118"]
    assert bring(study, EXPORTS / "odm.xml", MAPPING).already == 12


DOCUMENTS = {
    "billion laughs": (TEXT.replace("<ODM ", '<!DOCTYPE lolz [<!ENTITY a "SECRET"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><ODM ', 1)
                       .replace("Übelkeit", "&b;"), "has a DOCTYPE"),
    "a file of this machine": (TEXT.replace("<ODM ", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><ODM ', 1)
                               .replace("Übelkeit", "&e;"), "has a DOCTYPE"),
    "a document elsewhere": (TEXT.replace("<ODM ", '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><ODM ', 1), "has a DOCTYPE"),
    "an entity that is not declared": (TEXT.replace("Übelkeit", "&SECRET;"), "not well-formed XML, near line"),
    "cut": (TEXT[: len(TEXT) // 2], "not well-formed XML, near line"),
    "deep": (TEXT.replace("Übelkeit\"/>", 'x">' + "<a>" * 200 + "</a>" * 200 + "</ItemData>"), "nested too deep"),
    "deeper than the library goes": ('<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" FileType="Snapshot">' + "<a>" * 5000, "nested too deep"),
    "empty": ("", "not well-formed"),
    "JSON": ('{"ODM": 1}', "not well-formed"),
    "another document": ("<html/>", "its root is not ODM"),
    "another version": (TEXT.replace("odm/v1.3", "odm/v1.2"), "its root is not ODM of version"),
    "no kind of file": (TEXT.replace('FileType="Transactional"', ""), "`FileType` is neither"),
    "no metadata": (TEXT.replace('MetaDataVersion OID="MDV.1"', 'MetaDataVersion OID="MDV.0"'), "metadata version of its clinical data"),
    "an audit record that is not there": (TEXT.replace('ID="AR.2"', 'ID="AR.9"', 1), "names no audit record"),
    "an element that nothing reads": (TEXT.replace("</ClinicalData>", "</ClinicalData><Association/>"), "holds Association, which"),
    "a stray element": (TEXT.replace("</StudyEventData>", "<ItemGroupData/></StudyEventData>"), "has no ItemGroupOID"),
    "an attribute that nobody names": (TEXT.replace('IsNull="Yes"', 'IsNull="Yes" xmlns:v="urn:v" v:seen="1"'), "column ItemData@v:seen"),
    "a comment on a value": (TEXT.replace('MeasurementUnitOID="MU.KG"/></ItemData>', 'MeasurementUnitOID="MU.KG"/><Annotation SeqNum="1"><Comment>SECRET</Comment></Annotation></ItemData>'), "column ItemData/Annotation@SeqNum, ItemData/Annotation/Comment"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(DOCUMENTS))
def test_a_document_that_is_unsafe_or_not_read_whole_is_refused(case: str, tmp_path: Path) -> None:
    text, message = DOCUMENTS[case]
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        staged(written(tmp_path, text), MAPPING)
    assert caught.value.remedy
    assert "SECRET" not in str(caught.value)


def test_other_encodings_are_read_and_wrong_ones_refused(tmp_path: Path) -> None:
    (tmp_path / "odm.xml").write_bytes(TEXT.replace("UTF-8", "UTF-16").encode("utf-16"))
    assert sources.read(tmp_path / "odm.xml", mapping.parse(MAPPING, "mine")).rows.num_rows == 14
    for data in (TEXT.encode("latin-1"), TEXT.replace("UTF-8", "KLINGON").encode()):
        (tmp_path / "odm.xml").write_bytes(data)
        with pytest.raises(UsageError):
            staged(tmp_path / "odm.xml", MAPPING)


def test_metadata_of_another_document(tmp_path: Path) -> None:
    study = re.search(r"(?s)<Study .*?</Study>", TEXT)
    assert study
    data = written(tmp_path, TEXT.replace(study[0], ""), "data.xml")
    with pytest.raises(UsageError, match="Give the document that has it with --dictionary"):
        staged(data, MAPPING)
    found = staged(data, MAPPING, EXPORTS / "odm.xml")
    assert found.source.joined[0][0] == "odm.xml"
    assert not found.refused


def test_two_item_groups_that_both_have_a_carried_item_are_not_guessed_between(tmp_path: Path) -> None:
    twice = TEXT.replace(
        '<ItemGroupData ItemGroupOID="IG.SLE">',
        '<ItemGroupData ItemGroupOID="IG.X"><ItemData ItemOID="I.VSDTC" Value="2026-01-12T09:30"/></ItemGroupData><ItemGroupData ItemGroupOID="IG.SLE">',
    )
    with pytest.raises(UsageError, match="`VisitDate` stands in several places of one study event"):
        staged(written(tmp_path, twice), MAPPING)


QUERY = """<ItemData xmlns:v="urn:v" ItemOID="I.WEIGHT" TransactionType="Upsert"><AuditRecord><UserRef UserOID="U.DM"/>
    <LocationRef LocationOID="L.1"/><DateTimeStamp>2026-01-30T09:00:00Z</DateTimeStamp></AuditRecord>
    <v:Query Status="Open" Value="Measured without shoes?"/></ItemData>"""


def test_a_query_on_an_item_leaves_its_value_as_it_stands(tmp_path: Path) -> None:
    """Audit feeds tell queries, verifications and locks as items that say neither a value nor that there is none."""
    weight = re.search('<ItemData ItemOID="I.WEIGHT" Value="61.25">.*?</ItemData>', TEXT)
    assert weight
    text = written(tmp_path, TEXT.replace(weight[0], weight[0] + QUERY))
    with pytest.raises(UsageError, match=r"column ItemData/v:Query@Status, ItemData/v:Query@Value"):
        staged(text, MAPPING)
    queries = '\n[[ignore_columns]]\nname = "queries"\ncolumns = ["ItemData/v:Query*"]\n'
    report = bring(tmp_path / "S", text, MAPPING + queries)
    assert (report.rows, report.refused, report.landed) == (15, 0, 12)  # one version more, of which nothing follows
    assert stands(tmp_path / "S", "assessment", "item") == [("ARTHR",), ("SYSBP",), ("WEIGHT",)]
    early = QUERY.replace("2026-01-30", "2026-01-11")  # of an item that is empty yet
    before = TEXT.replace(weight[0], early + weight[0])
    assert bring(tmp_path / "T", written(tmp_path, before), MAPPING + queries).refused == 0
    assert stands(tmp_path / "T", "assessment", "item") == [("ARTHR",), ("SYSBP",), ("WEIGHT",)]


def test_what_stands_beside_the_subjects_is_a_column(tmp_path: Path) -> None:
    text = TEXT.replace("<ClinicalData ", '<ClinicalData xmlns:v="urn:v" v:Kind="Entered" ')
    with pytest.raises(UsageError, match=r"column ClinicalData@v:Kind"):
        staged(written(tmp_path, text), MAPPING)


def test_the_date_of_other_visits_is_not_carried_to_a_row(tmp_path: Path) -> None:
    """Vital signs have a date at each of two visits; a third visit has none, and its rows get none of the others'."""
    second = """<StudyEventData StudyEventOID="SE.{n}"><FormData FormOID="F.VS"><ItemGroupData ItemGroupOID="IG.VS">
        {date}<ItemData ItemOID="I.SYSBP" Value="12{n}"/></ItemGroupData></FormData></StudyEventData>"""
    date = '<ItemData ItemOID="I.VSDTC" Value="2026-02-12T09:30"/>'
    end = TEXT.index("</StudyEventData>") + len("</StudyEventData>")
    more = second.format(n=1, date=date) + second.format(n=2, date="")
    bring(tmp_path / "S", written(tmp_path, TEXT[:end] + more + TEXT[end:]), MAPPING)
    found = stands(tmp_path / "S", "assessment", "item", "visit_id", "occurred")
    assert [row[1:] for row in found if row[0] == "SYSBP"] == [
        ("SE.1", "2026-02-12T09:30"), ("SE.2", None), ("SE.BL", "2026-01-12T09:30"),
    ]  # fmt: skip
