"""Define-XML 2.1 of the analysis datasets, made with odmlib from the specification and the files that are written."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pyarrow.compute as pc

from enfold import __version__, extras
from enfold.serve.files import File
from enfold.serve.specification import Codelist, Variable, adam, codelists

TYPES = {"text": "text", "integer": "integer", "number": "float", "date": "date"}
NUMBER_LENGTH = 39  # of a decimal with 38 digits, its point included
STANDARD = ("ADaMIG", "1.3")


def libraries() -> tuple[Any, Any]:
    """Return odmlib's model of Define-XML 2.1, and lxml.

    Raises:
        UsageError: one is not installed.
    """
    model, etree = extras.load("writing Define-XML", "odmlib.define_2_1.model", "lxml.etree")
    return model, etree


def encoded(study: str, title: str, files: Sequence[File], suffix: str, made: dt.datetime) -> bytes:
    """Return define.xml.

    Args:
        study: identifier of the study.
        title: its title.
        files: the datasets that are written.
        suffix: of their file names.
        made: what the file states as its time of creation, in UTC.

    Raises:
        UsageError: odmlib is not installed.
    """
    model, etree = libraries()
    parts = _Parts(model)
    for file in files:
        parts.add(file, suffix)
    version = model.MetaDataVersion(
        OID=f"MDV.{study}", Name=f"{study}, ADaM", Description=f"Analysis datasets of {study}", DefineVersion="2.1.0"
    )
    name, number = STANDARD
    version.Standards = model.Standards(
        Standard=[model.Standard(OID="STD.1", Name=name, Type="IG", Version=number, Status="Final")]
    )
    version.ItemGroupDef, version.ItemDef = parts.groups, parts.items
    version.CodeList = [parts.codelist(codelists()[c], used) for c, used in sorted(parts.lists.items())]
    version.MethodDef = parts.methods
    whole = model.ODM(
        FileType="Snapshot", FileOID=f"define.{study}", CreationDateTime=made.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ODMVersion="1.3.2", Context="Other",
        Originator="enfold", SourceSystem="enfold", SourceSystemVersion=__version__,
    )  # fmt: skip
    whole.Study = model.Study(OID=f"ODM.{study}")
    whole.Study.GlobalVariables = model.GlobalVariables(
        StudyName=model.StudyName(_content=study),
        StudyDescription=model.StudyDescription(_content=title),
        ProtocolName=model.ProtocolName(_content=study),
    )
    whole.Study.MetaDataVersion = version
    plain = etree.fromstring(whole.to_xml_string().encode(), etree.XMLParser(resolve_entities=False))
    etree.indent(plain)
    return bytes(etree.tostring(plain, xml_declaration=True, encoding="UTF-8")) + b"\n"


class _Parts:
    """What accumulates while datasets are described."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.groups: list[Any] = []
        self.items: list[Any] = []
        self.methods: list[Any] = []
        self.lists: dict[str, set[str]] = {}  # the terms that occur, by list

    def words(self, text: str) -> Any:
        """Return a description in English."""
        return self.model.Description(TranslatedText=[self.model.TranslatedText(_content=text, lang="en")])

    def add(self, file: File, suffix: str) -> None:
        """Describe one dataset and its variables."""
        model, spec = self.model, adam()[file.name]
        refs = []
        for order, variable in enumerate(file.variables, 1):
            oid = f"IT.{file.name}.{variable.name}"
            whole = variable.name in file.key and not file.rows.column(variable.name).null_count
            ref = {"ItemOID": oid, "OrderNumber": order, "Mandatory": "Yes" if whole else "No"}
            if variable.name in file.key:
                ref["KeySequence"] = file.key.index(variable.name) + 1
            if variable.origin == "derivation":
                ref["MethodOID"] = f"MT.{file.name}.{variable.name}"
                about = self.words(variable.origin_text)
                name = f"Algorithm of {file.name}.{variable.name}"
                self.methods.append(
                    model.MethodDef(OID=ref["MethodOID"], Name=name, Type="Computation", Description=about)
                )
            refs.append(model.ItemRef(**ref))
            self.items.append(self.item(oid, variable, file))
        leaf = f"LF.{file.name}"
        group = model.ItemGroupDef(
            OID=f"IG.{file.name}", Name=file.name, SASDatasetName=file.name, Purpose="Analysis", IsReferenceData="No",
            Repeating="No" if file.name == "ADSL" else "Yes",
            Structure=spec.structure, ArchiveLocationID=leaf, StandardOID="STD.1",
        )  # fmt: skip
        group.Description, group.ItemRef = self.words(file.label), refs
        group.Class = model.Class(Name=spec.class_)
        if spec.subclass:
            group.Class.SubClass = [model.SubClass(Name=spec.subclass)]
        name = f"{file.name.lower()}{suffix}"
        group.leaf = model.leaf(ID=leaf, href=name, title=model.title(_content=name))
        self.groups.append(group)

    def item(self, oid: str, variable: Variable, file: File) -> Any:
        """Describe one variable; the length of a text is that of its longest value, within the specification's."""
        model = self.model
        what: dict[str, Any] = {"OID": oid, "Name": variable.name, "SASFieldName": variable.name}
        what["DataType"] = TYPES[variable.kind]
        if variable.kind == "text":
            what["Length"] = pc.max(pc.utf8_length(file.rows.column(variable.name))).as_py() or 1
        elif variable.kind == "integer":
            what["Length"] = 8
        elif variable.kind == "number":
            what |= {"Length": NUMBER_LENGTH, "SignificantDigits": variable.digits}
        else:
            what["DisplayFormat"] = "DATE9."
        found = model.ItemDef(**what)
        found.Description = self.words(variable.label)
        if variable.codes:
            used = pc.unique(file.rows.column(variable.name).cast("string")).drop_null().to_pylist()
            self.lists.setdefault(variable.codes, set()).update(used)
            found.CodeListRef = model.CodeListRef(CodeListOID=f"CL.{variable.codes}")
        if variable.origin == "derivation":
            origin = model.Origin(Type="Derived", Source="Sponsor")
        elif variable.origin in ("predecessor", "copied"):
            origin = model.Origin(Type="Predecessor", Description=self.words(variable.origin_text))
        else:
            origin = model.Origin(Type="Assigned", Source="Sponsor", Description=self.words(variable.origin_text))
        found.Origin = [origin]
        return found

    def codelist(self, terms: Codelist, used: set[str]) -> Any:
        """Return one code list, its NCI codes as aliases; of an open one also the further terms that occur."""
        model = self.model
        numeric = all(t.isdigit() for t in terms.terms)
        found = model.CodeList(OID=f"CL.{terms.name}", Name=terms.about, DataType="integer" if numeric else "text")
        found.CodeListItem = []
        more = {term: term for term in sorted(used - set(terms.terms))}
        for term, meaning in (terms.terms | more).items():
            item = model.CodeListItem(CodedValue=term)
            item.Decode = model.Decode(TranslatedText=[model.TranslatedText(_content=meaning, lang="en")])
            if terms.nci and term in more:
                item.ExtendedValue = "Yes"  # a term that is not in the published list
            if term in terms.codes:
                item.Alias = [model.Alias(Context="nci:ExtCodeID", Name=terms.codes[term])]
            found.CodeListItem.append(item)
        if terms.nci:
            found.Alias = [model.Alias(Context="nci:ExtCodeID", Name=terms.nci)]
        else:
            found.IsNonStandard = "Yes"
        return found
