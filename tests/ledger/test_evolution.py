"""Schemas change, ledgers stay readable: steps, added fields, and a corpus of every released version."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from enfold import schema
from enfold.errors import IntegrityError
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from enfold.ledger import bundles, canonical, upcast
from enfold.ledger.ledger import Draft, Ledger
from enfold.ledger.verify import verify
from enfold.run.digest import slot_digests
from enfold.run.shard import read_events
from tests_support import study_file, table

GOLDEN = Path(__file__).parent / "golden"


def land(ledger: Ledger, *rows: dict[str, Any]) -> None:
    ledger.append(lambda _: Draft({"visit": table("visit", list(rows))}), kind="landing", author="a", reason="r")


def cut_digests(ledger: Ledger, position: int) -> dict[int, str]:
    state = fold(read_events(ledger, Cut(position)), study_file(), Cut(position))
    return slot_digests(schema.state()["events"], state["events"])


@pytest.fixture
def visit_schema(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put another `visit` schema in force, as a later release of enfold would."""

    def change(edit: Any, version: int = 1, steps: dict[tuple[str, int], upcast.Step] | None = None) -> None:
        now = schema.events()["visit"]
        fields = edit(list(now.fields))
        later = schema.Table(now.name, now.class_, version, now.about, tuple(fields), now.key)
        tables = {**schema.events(), "visit": later}
        bundle = json.loads(bundles.schema_bundle())
        body = "\n".join(
            f'[fields.{f.name}]\nkind = "{f.kind}"\nabout = "x"\noptional = {str(f.optional).lower()}' for f in fields
        )
        bundle["events/visit.toml"] = f'name = "visit"\nclass = "x"\nversion = {version}\nabout = "x"\n{body}\n'
        data = json.dumps(bundle, sort_keys=True).encode()
        monkeypatch.setattr(schema, "events", lambda: tables)
        monkeypatch.setattr(bundles, "schema_bundle", lambda *_: data)
        arrow = pa.schema([*schema.envelope().arrow(), *later.arrow()])
        known = schema.event_arrow
        monkeypatch.setattr(schema, "event_arrow", lambda t: arrow if t == "visit" else known(t))
        shape = canonical.shape
        own = canonical.Shape("visit", schema.envelope().fields, later.fields)
        monkeypatch.setattr(canonical, "shape", lambda t: own if t == "visit" else shape(t))
        monkeypatch.setattr(upcast, "STEPS", steps or {})

    return change


def test_a_field_added_later_moves_no_digest_and_needs_no_step(tmp_path: Path, visit_schema: Any) -> None:
    made = Ledger.create(tmp_path / "ledger")
    land(made, {"event_id": "v1", "status": "held", "occurred": "2026-01-02"})
    before = cut_digests(made, 1)
    visit_schema(lambda fields: [*fields, schema.Field("mode", "code", "on site or by telephone", optional=True)])
    later = Ledger(tmp_path / "ledger")
    assert later.read("visit").column("mode").to_pylist() == [None]
    assert cut_digests(later, 1) == before
    land(later, {"event_id": "v2", "status": "held", "mode": "telephone"})
    assert later.read("visit").column("mode").to_pylist() == [None, "telephone"]
    assert cut_digests(later, 1) == before
    verify(tmp_path / "ledger")  # each root by the schemas that its commit was made with


def renamed(rows: pa.Table) -> pa.Table:
    return rows.rename_columns(["state" if n == "status" else n for n in rows.column_names])


def rename(fields: list[schema.Field]) -> list[schema.Field]:
    return [schema.Field("state", f.kind, f.about, f.optional) if f.name == "status" else f for f in fields]


def test_a_field_renamed_later_is_read_through_a_step_and_moves_no_digest(tmp_path: Path, visit_schema: Any) -> None:
    made = Ledger.create(tmp_path / "ledger")
    land(made, {"event_id": "v1", "status": "held"})
    con_before = fold(read_events(made, Cut(1)), study_file(), Cut(1))["events"].column("content").to_pylist()
    visit_schema(rename, version=2, steps={("visit", 1): renamed})
    later = Ledger(tmp_path / "ledger")
    rows = later.read("visit")
    assert rows.column("state").to_pylist() == ["held"]
    assert rows.column("content").to_pylist() == con_before  # the content digest of what was landed
    verify(tmp_path / "ledger")


def test_a_missing_or_surplus_step_is_found_at_start(tmp_path: Path, visit_schema: Any) -> None:
    Ledger.create(tmp_path / "ledger")
    visit_schema(rename, version=2)
    with pytest.raises(IntegrityError, match="no step from version 1 to 2"):
        upcast.check_steps(steps={})
    with pytest.raises(IntegrityError, match="has no version 4"):
        upcast.check_steps(steps={("visit", 1): renamed, ("visit", 3): renamed})


def test_a_step_that_forgets_a_field_is_refused(tmp_path: Path, visit_schema: Any) -> None:
    made = Ledger.create(tmp_path / "ledger")
    land(made, {"event_id": "v1", "status": "held"})
    visit_schema(rename, version=2, steps={("visit", 1): lambda rows: rows})
    with pytest.raises(IntegrityError, match="fields \\['state', 'status'\\]"):
        Ledger(tmp_path / "ledger").read("visit")


def test_a_ledger_of_a_later_enfold_is_refused_not_misread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IntegrityError, match="landed under version 9"):
        upcast.to_current(table("visit", []), "visit", 9, schema.event_arrow("visit"))


def test_events_of_an_unknown_type_are_refused_not_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Ledger.create(tmp_path / "ledger")
    land(made, {"event_id": "v1", "status": "held"})
    fewer = {n: t for n, t in schema.events().items() if n != "visit"}
    monkeypatch.setattr(schema, "events", lambda: fewer)
    with pytest.raises(IntegrityError, match="type visit"):
        Ledger(tmp_path / "ledger").read("enrolment")


@pytest.mark.parametrize("corpus", sorted(p.name for p in GOLDEN.iterdir() if p.is_dir()))
def test_the_ledger_of_every_format_is_readable_for_ever(corpus: str) -> None:
    """tests/ledger/golden/README.md says how each was made; its digests were written down then."""
    expected = json.loads((GOLDEN / corpus / "expected.json").read_text("utf-8"))
    found = Ledger(GOLDEN / corpus / "ledger")
    checked = verify(found.path, anchor=expected["head"])
    assert (checked.commits, checked.events, checked.redacted) == tuple(expected["counts"])
    for position, digests in expected["cuts"].items():
        assert cut_digests(found, int(position)) == {int(k): v for k, v in digests.items()}


def test_an_enrolment_that_landed_before_race_was_a_field_has_none() -> None:
    rows = Ledger(GOLDEN / "format-1" / "ledger").read("enrolment")
    assert rows.select(["sex", "race", "ethnicity"]).to_pylist() == [{"sex": "F", "race": None, "ethnicity": None}]
