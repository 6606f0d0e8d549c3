"""Damaged source files of every format: a clear refusal or a whole table, in bounded time and memory, nothing half-landed.

The mutants are read in a process of their own, under limits of memory and processor time. A mutant that
can still be read is staged; now and then one is landed, and the ledger verified at the end.
"""

import gzip
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from enfold.errors import EnfoldError

HEAD = ("event_id", "subject_id", "visit_id", "occurred", "instrument", "item", "value_number", "value_text")
ADDRESSES = 8 << 30  # what a file may ask for; a process reserves 2 GiB before it has read anything
MEMORY = 1 << 30  # octets held at most
BATCH = 1_000  # mutants of one process
MANY = 5_000  # mutants of a format, of which some must land
SECONDS = 10  # of processor time for one file
XPT = """
version = 1
[[rules]]
name  = "pga"
emits = "assessment"
key   = ["EVENT"]
[rules.fields]
event_id     = "EVENT"
subject_id   = "SUBJ"
occurred     = "DTC"
instrument   = "INSTR"
item         = "ITEM"
value_number = "NUM"
value_text   = "TXT"
visit_id     = "VISIT"
"""
EXPORTS = Path(__file__).parents[2] / "docs" / "how-to" / "exports"
DECLARED = {  # formats that a mapping declares: the mapping, the example that is damaged, and its dictionary
    "x.redcap.csv": ("redcap.toml", "redcap-export.csv", "redcap-dictionary.csv"),
    "x.odm.xml": ("odm.toml", "odm.xml", None),
    "x.fhir.json": ("fhir/r4", "fhir-bundle.json", None),
    "x.fhir.ndjson": ("fhir/r4", "fhir-bundle.json", None),
    "x.meds": ("meds/any", None, None),
}
MEDS = ("data/0.parquet", "metadata/codes.parquet", "metadata/dataset.json")
KINDS = ("flip", "cut", "swap", "repeat", "encode", "nest")
FORMATS = ("x.csv", "x.csv.gz", "x.parquet", "x.xpt", "x.json", "x.dataset.ndjson", "x.ndjson", "x.arrow", "x.arrows",
           *DECLARED)  # fmt: skip


@dataclass
class Tally:
    """What became of the mutants of one format."""

    refused: int = 0
    read: int = 0
    landed: int = 0


def rows() -> list[dict[str, str | None]]:
    """Return rows with partial dates, long decimals and text beyond ASCII."""
    return [
        {
            "event_id": f"e{n}",
            "subject_id": f"S-{n % 7:02d}",
            "visit_id": f"V{n % 5}" if n % 4 else None,
            "occurred": ("2026-01-05", "2026-01", "2026-01-05T10:30")[n % 3],
            "instrument": "PGA",
            "item": "PGA_0_3",
            "value_number": f"{n % 3}.{n:09d}"[:11].rstrip("0") or "0",
            "value_text": ("calm", "Zoë", "日本", None)[n % 4],
        }
        for n in range(1, 61)
    ]


def whole(name: str) -> bytes:
    """Return a whole file of the format that `name` says: the rows, or an example of the documentation."""
    if name in DECLARED:
        example = DECLARED[name][1]
        if example is None:
            return _meds()[MEDS[0]]
        data = (EXPORTS / example).read_bytes()
        if name == "x.fhir.ndjson":  # where no entry says which patient a URN is
            entries = json.loads(data)["entry"]
            lines = "\n".join(json.dumps(e["resource"], ensure_ascii=False) for e in entries)
            for entry in entries:
                if "fullUrl" in entry:
                    lines = lines.replace(entry["fullUrl"], f"Patient/{entry['resource']['id']}")
            return lines.encode()
        return data
    records = rows()
    table = pa.Table.from_pylist(records, pa.schema([(c, pa.string()) for c in HEAD]))
    text = [json.dumps(r, ensure_ascii=False) for r in records]
    head = {
        "datasetJSONVersion": "1.1.0",
        "records": len(records),
        "columns": [{"itemOID": f"IT.{c}", "name": c, "label": c, "dataType": "string"} for c in HEAD],
    }
    values = [[r[c] for c in HEAD] for r in records]
    sink = io.BytesIO()
    match name.removeprefix("x"):
        case ".csv" | ".csv.gz":
            import pyarrow.csv as pacsv

            pacsv.write_csv(table, sink)
            return gzip.compress(sink.getvalue(), mtime=0) if name.endswith(".gz") else sink.getvalue()
        case ".parquet":
            pq.write_table(table, sink)
            return sink.getvalue()
        case ".xpt":
            return _xpt(table)
        case ".json":
            return json.dumps({**head, "rows": values}, ensure_ascii=False).encode()
        case ".dataset.ndjson":
            return "\n".join([json.dumps(head), *(json.dumps(v, ensure_ascii=False) for v in values)]).encode()
        case ".ndjson":
            return "\n".join(text).encode()
        case ".arrow":
            with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as file:
                file.write_table(table)
            return sink.getvalue()
        case _:
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
            return sink.getvalue()


def _meds() -> dict[str, bytes]:
    """Return the files of a small MEDS dataset."""
    import datetime as dt

    import meds

    rows = [
        {"subject_id": n % 5, "time": dt.datetime(2026, 1, 1 + n) if n else None, "code": f"CODE//{n % 3}",
         "numeric_value": n / 10, "text_value": None} for n in range(20)
    ]  # fmt: skip
    codes = [{"code": f"CODE//{n}", "description": "x", "parent_codes": ["LOINC/1"]} for n in range(3)]
    out = {MEDS[2]: json.dumps({"meds_version": "0.4.1"}).encode()}
    for name, of, schema in ((MEDS[0], rows, meds.DataSchema), (MEDS[1], codes, meds.CodeMetadataSchema)):
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(of, schema=schema.schema()), sink)
        out[name] = sink.getvalue()
    return out


def _xpt(table: pa.Table) -> bytes:
    import pandas as pd
    import pyreadstat

    short = {"event_id": "EVENT", "subject_id": "SUBJ", "visit_id": "VISIT", "occurred": "DTC", "value_text": "TXT"}
    frame = pd.DataFrame(table.to_pydict()).rename(
        columns={**short, "instrument": "INSTR", "item": "ITEM", "value_number": "NUM"}
    )
    frame["NUM"] = frame["NUM"].astype(float)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.xpt"
        pyreadstat.write_xport(frame, str(path), table_name="X", file_format_version=5)
        return path.read_bytes()


def mutant(data: bytes, chance: random.Random) -> bytes:
    """Return `data` damaged in one of `KINDS`."""
    out = bytearray(data)
    place = chance.randrange(len(out))
    match chance.choice(KINDS):
        case "flip":
            for _ in range(chance.randint(1, 8)):
                out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
        case "cut":
            del out[place:]
        case "swap":
            other = chance.randrange(len(out))
            size = chance.randint(1, 200)
            out[place : place + size] = out[other : other + size]
        case "repeat":
            out[place:place] = out[place : place + chance.randint(1, 400)] * chance.randint(1, 50)
        case "encode":
            coded = chance.choice(("utf-16", "utf-32", "utf-7", "cp037"))
            return data.decode("latin-1").encode(coded, "replace")
        case "nest":
            opening, depth = chance.choice((b"[", b'{"a":', b"(", b'"', b"\x00", b"\xff")), chance.choice((10, 60_000))
            out[place:place] = opening * depth
    return bytes(out)


def fuzz(count: int, seed: int, names: tuple[str, ...] = FORMATS) -> dict[str, Tally]:
    """Damage each format `count` times in a process under limits; an assertion names the mutant and its seed."""

    # bounds are set by a shell: a fork of a process that has run Beam may end in gRPC's hooks before it is ours
    bounded = ["bash", "-c", f'ulimit -v {ADDRESSES >> 10} && exec "$@"', "bash", sys.executable, __file__]
    tallies = {name: Tally() for name in names}
    for first in range(0, count, BATCH):
        here = min(BATCH, count - first)
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [*bounded, str(here), f"{seed}+{first}", folder, *names], capture_output=True, text=True, check=False,
                env={**os.environ, "OMP_NUM_THREADS": "2", "MALLOC_ARENA_MAX": "1"},
            )  # fmt: skip
        assert done.returncode == 0, f"seed {seed}+{first}: ended with {done.returncode}\n{done.stderr[-800:]}"
        for name, found in json.loads(done.stdout.splitlines()[-1]).items():
            tally = tallies[name]
            tally.refused += found["refused"]
            tally.read += found["read"]
            tally.landed += found["landed"]
    unlanded = [name for name, tally in tallies.items() if count >= MANY and not tally.landed]
    assert not unlanded, f"of {', '.join(unlanded)} nothing landed: landing was not tried"
    return tallies


def _clear(error: EnfoldError) -> None:
    """A refusal says how to mend it, has a documented exit code and drives no terminal."""
    assert error.remedy, f"no remedy: {error.message}"
    assert error.exit_code in (2, 7), error.message
    assert not {c for c in str(error) if not c.isprintable()} - {"\n"}


def _files(name: str) -> tuple[dict[str, bytes], Any, str | None]:
    """Return the files that are damaged, the mapping that declares their format, and which of them is the dictionary."""
    from enfold.land import mapping

    if name not in DECLARED:
        return {name: whole(name)}, None, None
    using, _, dictionary = DECLARED[name]
    chosen = mapping.load(str(EXPORTS / using) if using.endswith(".toml") else using)
    if name == "x.meds":
        return _meds(), chosen, None
    files = {name: whole(name)}
    if dictionary:
        files[dictionary] = (EXPORTS / dictionary).read_bytes()
    return files, chosen, dictionary


def chosen(name: str, source: Any) -> Any:
    """Return the mapping by which a file lands whose format none declares."""
    from enfold.land import mapping

    return (
        mapping.parse(XPT, "xpt") if name.endswith(".xpt") else mapping.native("assessment", source.rows.column_names)
    )


def _child(name: str, count: int, seed: str, folder: Path) -> Tally:
    """Read every mutant; whatever is raised besides a clear refusal ends the process."""
    from enfold.land import sources
    from enfold.land.landing import land
    from enfold.ledger.ledger import Ledger
    from enfold.ledger.verify import verify
    from enfold.run.shard import peak_memory  # not rusage: a child's begins with what its parent held

    tally = Tally()
    files, using, dictionary = _files(name)
    study = folder / f"study of {name}"
    root = folder / name if name == "x.meds" else folder
    Ledger.create(study / "ledger")
    for n in range(count):
        chance = random.Random(f"{seed} {name} {n}")
        damaged = chance.choice([*files])
        for relative, data in files.items():
            path = root / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(mutant(data, chance) if relative == damaged else data)
        begin = resource.getrusage(resource.RUSAGE_SELF)
        print(f"{name}: mutant {n}", file=sys.stderr, flush=True)
        try:
            source = sources.read(folder / name, using, folder / dictionary if dictionary else None)
            tally.read += 1
            if tally.read % 25 == 1:
                before = Ledger(study / "ledger").position
                report = land(study, source, using or chosen(name, source), study_id="S", author="fuzz", reason="fuzz")
                after = Ledger(study / "ledger").position
                assert after - before == (report.position is not None), "half-landed"
                tally.landed += after - before
        except EnfoldError as error:
            _clear(error)
            tally.refused += 1  # as a file, or when it was to be landed
        end, held = resource.getrusage(resource.RUSAGE_SELF), peak_memory()
        took = end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
        assert held < MEMORY, f"mutant {n} took {held:,} octets"
        assert took < SECONDS, f"mutant {n} took {took:.0f} s"
    verify(study / "ledger")
    assert not [p for p in (study / "ledger").rglob("*") if p.suffix == ".tmp"], "a file was left half-written"
    return tally


if __name__ == "__main__":
    every, start, where = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    print(json.dumps({name: vars(_child(name, every, start, where)) for name in sys.argv[4:]}))
