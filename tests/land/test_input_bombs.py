"""Hostile and clumsy files: refused within bounds of time and memory, and nothing is written outside of the study."""

import csv
import gzip
import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from enfold.errors import UsageError
from enfold.land import from_csv, limits, readers

STUDY = 'plugins = []\n[study]\nid = "S"\ntitle = "bombs"\ntime_zone = "UTC"\n'
HEAD = "event_id,subject_id,visit_id,occurred,instrument,item,value_code,value_number,value_text,supersedes,reason"
GOOD = "e1,S-01,V1,2026-01-05,PGA,PGA_0_3,,1.5,,,\ne2,S-02,V1,2026-01-06,PGA,PGA_0_3,,0.50,calm,,\n"
# one command for each file, all in one process: most refusals take less time than Python's start
EACH = """
import sys
from enfold.cli.main import main
for path in sys.argv[2:]:
    print(main(["land", sys.argv[1], path, "--type", "assessment"]), flush=True)
    print("--", file=sys.stderr, flush=True)
"""


class Place:
    """A study, and all that lies round it: where a command may not leave anything."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.study = root / "study"
        self.incoming = root / "incoming"
        for name in ("incoming", "here", "home", "tmp"):
            (root / name).mkdir()

    def put(self, name: str, octets: bytes | str) -> Path:
        path = self.incoming / name
        path.write_bytes(octets.encode() if isinstance(octets, str) else octets)
        return path

    def run(self, *words: object, memory: int = 2 << 30, seconds: int = 20) -> subprocess.CompletedProcess[str]:
        """Run Python within bounds of memory and processor time, in a place of its own."""
        apart = {n: str(self.root / p) for n, p in {"HOME": "home", "TMPDIR": "tmp", "XDG_CACHE_HOME": "home"}.items()}
        # one arena and few threads: else a machine of many cores reserves more than it uses
        fixed = {"OMP_NUM_THREADS": "2", "MALLOC_ARENA_MAX": "1", "PYTHONDONTWRITEBYTECODE": "1"}

        # bounds are set by a shell: a fork of a process that has run Beam may end in gRPC's hooks before it is ours
        most = "unlimited" if memory == resource.RLIM_INFINITY else memory >> 10
        bounded = ["bash", "-c", f'ulimit -v {most} -t {seconds} && exec "$@"', "bash", sys.executable]
        return subprocess.run(
            [*bounded, *map(str, words)],
            cwd=self.root / "here",
            env={**os.environ, **apart, **fixed},
            capture_output=True,
            text=True,
            timeout=10 * seconds,  # other processes may keep the machine busy; none of this waits
            check=False,
        )

    def land(self, *words: object, memory: int = 2 << 30, seconds: int = 20) -> subprocess.CompletedProcess[str]:
        command = ("-m", "enfold.cli.main", "land", self.study, *words, "--type", "assessment")
        return self.run(*command, memory=memory, seconds=seconds)

    def files(self) -> dict[str, str]:
        """Return every path but those of refused records, with a digest of what it holds."""
        return {
            str(p.relative_to(self.root)): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else ""
            for p in sorted(self.root.rglob("*"))
            if not p.is_relative_to(self.study / "refused")
        }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    at = Place(tmp_path_factory.mktemp("bombs"))
    study = at.put("study.toml", STUDY)
    assert at.run("-m", "enfold.cli.main", "init", at.study, study).returncode == 0
    return at


@pytest.fixture
def untouched(place: Place) -> Iterator[Callable[[], None]]:
    """Compare everything on disk after the test with what was there when `mark` was called."""
    before: dict[str, str] = {}
    yield lambda: before.update(place.files())
    assert before
    assert place.files() == before


def packed(first: str, again: str, times: int) -> bytes:
    """Return a gzip file that unpacks to `first` and `times` times a mebibyte of `again`."""
    member = gzip.compress((again * (1 + (1 << 20) // len(again))).encode())
    return gzip.compress(first.encode()) + member * times


def parquet(path: Path, table: pa.Table, times: int = 1, **options: object) -> Path:
    with pq.ParquetWriter(path, table.schema, **options) as writer:
        for _ in range(times):
            writer.write_table(table)
    return path


def test_one_file_under_five_forms_lands_once(place: Place) -> None:
    plain = place.put("assessment.csv", f"{HEAD}\n{GOOD}")
    renamed = place.put("export of 2026-01-07.csv", plain.read_bytes())
    zipped = place.put("assessment.csv.gz", gzip.compress(plain.read_bytes()))
    table = pacsv.read_csv(plain, convert_options=pacsv.ConvertOptions(strings_can_be_null=True))
    other_order = table.select(sorted(table.column_names, reverse=True))
    turned = place.incoming / "turned.csv"
    pacsv.write_csv(other_order, turned)
    columnar = parquet(place.incoming / "assessment.parquet", other_order)
    forms = (plain, renamed, zipped, turned, columnar)
    done = place.land(*forms, "--json", memory=resource.RLIM_INFINITY, seconds=60)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(t["landed"], t["already"], t["conflicting"]) for t in told] == [(2, 0, 0)] + [(0, 2, 0)] * 4


def four_gibibytes_in_nine_megabytes(at: Place) -> Path:
    return at.put("zeros.csv.gz", packed(HEAD + "\n", ",,,,,,,,,,\n", 4096))


def a_milliard_rows_in_two_megabytes(at: Place) -> Path:
    return parquet(at.incoming / "rows.parquet", pa.table({"event_id": pa.nulls(5 * 10**7)}), 20)


def sixty_gigabytes_of_one_word_in_a_few_kilobytes(at: Place) -> Path:
    word = pa.DictionaryArray.from_arrays(pa.array([0] * 10**5, pa.int8()), ["SECRET" * 10**5])
    table = pa.table({"event_id": word})
    return parquet(at.incoming / "word.parquet", table, write_statistics=False, compression="zstd")


def a_field_of_100_megabytes(at: Place) -> Path:
    return at.put("field.csv", f"{HEAD}\ne9,{'SECRET--' * 12_500_000},,,,,,,,,\n")


def a_quoted_field_of_100_megabytes(at: Place) -> Path:
    return at.put("quoted.csv", f'{HEAD}\n{GOOD}e9,"' + "SECRET,\n" * 12_500_000 + '",,,,,,,,,\n')


@pytest.mark.parametrize(
    ("make", "octets", "message"),
    [
        (four_gibibytes_in_nine_megabytes, 9_000_000, "a large multiple of its size; the limit is 200 times"),
        (a_milliard_rows_in_two_megabytes, 2_000_000, "1,000,000,000 rows or more; the limit is 20,000,000"),
        (sixty_gigabytes_of_one_word_in_a_few_kilobytes, 10_000, "too much text; the limit is 2,147,483,648 octets"),
        (a_field_of_100_megabytes, 101_000_000, "after row 0 is too long; the limit is 4,194,304 octets"),
        (a_quoted_field_of_100_megabytes, 101_000_000, "after row 2 is too long; the limit is 4,194,304 octets"),
    ],
)
def test_a_bomb_is_refused_before_it_goes_off(
    place: Place, untouched: Callable[[], None], make: Callable[[Place], Path], octets: int, message: str
) -> None:
    bomb = make(place)
    assert bomb.stat().st_size < octets
    untouched()
    done = place.land(bomb)
    assert done.returncode == 2, done.stderr
    assert f"{bomb.name}: " in done.stderr
    assert message in done.stderr
    assert "SECRET" not in done.stdout + done.stderr


def small_bombs(at: Place) -> dict[Path, str]:
    """Make files that are refused in no time; return what is said of each."""
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    xml = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "SECRET">{laughs}]><x>&l9;</x>'
    with zipfile.ZipFile(at.incoming / "x.zip", "w", zipfile.ZIP_DEFLATED) as box:
        box.writestr("../../assessment.csv", b"0" * (1 << 24))
    for pipe in ("pipe.json", "pipe.csv"):
        os.mkfifo(at.incoming / pipe)
    (at.incoming / "folder.csv").mkdir()
    (at.incoming / "endless.csv").symlink_to("/dev/zero")
    whole = parquet(at.incoming / "whole.parquet", pa.table({"event_id": ["SECRET"] * 9})).read_bytes()
    shared = pa.table({"event_id": [f"{'SECRET' * 100}{n}" for n in range(60_000)]})
    delta = {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"}
    return {
        at.put("x.json", "[" * 100_000 + "]" * 100_000): "nested too deep",
        at.put("x.xml", xml): "`.xml` is not a format",
        at.incoming / "x.zip": "`.zip` is not a format",
        at.incoming / "pipe.json": "not a regular file",  # to open it would be to wait for ever
        at.incoming / "pipe.csv": "not a regular file",
        at.incoming / "folder.csv": "not a regular file",
        at.incoming / "endless.csv": "not a regular file",
        at.put("zip.csv", (at.incoming / "x.zip").read_bytes()): "not readable",
        at.put("columns.csv", ",".join(f"c{n}" for n in range(100_000)) + "\n"): "100,000 columns; the limit is 2,000",
        at.put("header.csv", ",".join(f"SECRET{n}" for n in range(1_000_000))): "columns; the limit is 2,000",
        at.put("name.csv", "SECRET" * 10**6): "the name of column 1",
        at.put("escape.csv", "event_id,SECRET\x1b[2J\n1,2\n"): "the name of column 2",
        at.put("case.csv", "event_id,EVENT_ID\nSECRET,2\n"): "every column once",
        at.put("row.csv", "event_id,Source_Row\nSECRET,2\n"): "column 2 is called `source_row`",
        at.put("open.csv", f'{HEAD}\n{GOOD}e3,"SECRET,,,,,,,,,\n'): "what follows row 2 is not",
        at.put("open2.csv", 'event_id,subject_id\ne3,"SECRET\ne4,x\n'): "what follows row 0 is not",
        at.put("uneven.csv", f"{HEAD}\n{GOOD}e3,SECRET\n"): "row 3 has 2 values, and row 0 names 11",
        at.put("octets.csv", b"event_id\n\xff\xfe\n"): "not readable",
        at.put(
            "long.csv", f"event_id,subject_id\ne3,{'SECRET' * 200_000}\n"
        ): "column `subject_id`: a value is too long",
        at.put("cut.csv.gz", gzip.compress(f"{HEAD}\n{GOOD}".encode())[:-5]): "not readable",
        at.put("not.csv.gz", b"SECRET"): "not readable",
        at.put("one.csv.gz", packed("event_id\n", "SECRET", 12)): "is too long",
        at.put("footer.parquet", whole[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1"): "the footer is too long",
        at.put("torn.parquet", whole[: len(whole) // 2] + whole[-40:]): "not readable",
        parquet(at.incoming / "wide.parquet", pa.table({f"c{n}": ["1"] for n in range(2001)})): "2,001 columns",
        parquet(at.incoming / "list.parquet", pa.table({"event_id": [["SECRET"] * 9]})): "column 1 is not of a plain",
        parquet(at.incoming / "shared.parquet", shared, **delta): "share their beginnings",
        at.put("..%2f..%2fassessment.csv", HEAD): "this file name",
        at.put("up\\..\\assessment.csv", HEAD): "this file name",
        at.put("assess\nment.csv", HEAD): "this file name",
        at.put("\x1b]0;title\x07.csv", HEAD): "this file name",
        at.put("\u202evsc.csv", HEAD): "this file name",
        at.put("=1+1.csv", HEAD): "this file name",
        at.put("n" * 201 + ".csv", HEAD): "this file name",
        at.put("not-utf8-\udcff.csv", HEAD): "this file name",
    }


def test_many_small_bombs(place: Place, untouched: Callable[[], None]) -> None:
    said = small_bombs(place)
    untouched()
    done = place.run("-c", EACH, place.study, *said)
    told = done.stderr.split("--\n")
    assert len(told) == len(said) + 1, done.stderr
    wrong = {p.name: t for (p, message), t in zip(said.items(), told, strict=False) if message not in t}
    assert not wrong
    assert done.stdout.split() == ["2"] * len(said)
    assert "SECRET" not in done.stderr
    assert not {c for c in done.stderr if not c.isprintable()} - {"\n"}
    assert all("\n  " in t for t in told[:-1])  # each says how to mend it


BAD_RECORDS = [
    ("value_text", "formula", "=HYPERLINK(1)"),
    ("value_text", "formula", "@SUM(A1)"),
    ("value_text", "formula", "+cmd|' /C calc'!A0"),
    ("value_text", "formula", "-2+3+cmd|' /C calc'!A0"),
    ("value_text", "formula", "- SUM(A1)"),
    ("value_text", "formula", "+Sheet2!A1"),
    ("value_text", "formula", "\t=1"),
    ("value_text", "formula", "\n=1"),
    ("value_text", "formula", "\uff1d1+1"),
    ("visit_id", "formula", "=1+1"),
    ("value_text", "control_character", "SECRET\x00"),
    ("value_text", "control_character", "SECRET\x1b[2J"),
    ("value_text", "control_character", "SECRET\x85"),
    ("value_text", "control_character", "SECRET\u202etext"),
    ("value_code", "control_character", "SECRET\tx"),
    ("value_code", "control_character", "SECRET\u200b"),
    ("subject_id", "not_an_id", "S-\u0410"),  # a Cyrillic A
    ("subject_id", "not_an_id", "S-\uff10\uff11"),
    ("subject_id", "not_an_id", "S-01\u200b"),
    ("subject_id", "not_an_id", "S" * 201),
    ("event_id", "not_an_id", "e\n1"),
    ("event_id", "not_an_id", "\u0435" + "1"),  # a Cyrillic e
    ("supersedes", "not_an_id", "e1  e2"),
    ("supersedes", "not_an_id", "\u0435" + "1"),
    ("subject_id", "look_alike_subject", "s-01"),
    ("subject_id", "look_alike_subject", "S-1"),
]
FINE = [
    "- headache (mild)",
    "-5 (baseline)",
    "+",
    "- no change!",
    "+/-",
    "5 = 6",
    "a@b",
    "two\nlines\tof text",
    "Zo\u00eb",
    "\u65e5\u672c",
]


def test_bad_records_are_refused_by_row_and_nothing_else_is_written(
    place: Place, untouched: Callable[[], None]
) -> None:
    rows = []
    for n, (column, _, value) in enumerate([*BAD_RECORDS, ("subject_id", "", "S-01")]):
        row = {
            "event_id": f"x{n}",
            "subject_id": "T-7",
            "occurred": "2026-01-05",
            "reason": "why",
            "value_text": "calm",
        }
        rows.append({**row, "instrument": "PGA", "item": "PGA_0_3", "value_number": "1", column: value})
    table = pa.Table.from_pylist(rows, pa.schema([(c, pa.string()) for c in HEAD.split(",")]))
    bomb = place.incoming / "records.csv"
    pacsv.write_csv(table, bomb)
    untouched()
    done = place.land(bomb, "--json", memory=4 << 30)
    assert done.returncode == 3, done.stderr
    assert "SECRET" not in done.stdout + done.stderr
    report = json.loads(done.stdout)
    found = {(r["source_row"], r["column_name"], r["code"]) for r in report["refusals"]}
    wanted = {(n, column, code) for n, (column, code, _) in enumerate(BAD_RECORDS, 1)}
    assert not wanted - found
    # the subject that the look-alikes resemble: which of them is meant the file does not tell
    assert (len(rows), "subject_id", "look_alike_subject") in found
    assert (report["refused"], report["landed"]) == (len(rows), 0)
    assert [p.suffix for p in (place.study / "refused").iterdir()] == [".json"]


def test_text_that_only_resembles_a_formula_is_text() -> None:
    from enfold.land import mapping, stage

    many = [{"event_id": f"e{n}", "subject_id": f"S-{n}", "value_text": text} for n, text in enumerate(FINE)]
    rows = [{**r, "occurred": "2026-01-05", "instrument": "PGA", "item": "PGA_0_3", "value_number": "1"} for r in many]
    source = readers.from_arrow(pa.Table.from_pylist(rows), "python")
    staged = stage.stage(source, mapping.native("assessment", source.rows.column_names), "S", None)
    assert staged.refused == []
    assert staged.events["assessment"].column("value_text").to_pylist() == FINE


@pytest.mark.parametrize(
    "octets",
    [
        b'a,b\n1,5" pipe\n2,6\n',
        b'a,b\n1,5" pipe\n2,6" pipe\n',
        b"a,b\r1,2\r3,4\r",
        b'\xef\xbb\xbfa,b\r\n1,"x\r\n""y"" "\r\n\r\n3,4',
        b'a,b\n"1,\n",2\n3,\n\n\n',
    ],
)
def test_clumsy_csv_is_read_like_pythons_reader_reads_it(octets: bytes) -> None:
    for data, is_packed in ((octets, False), (gzip.compress(octets), True)):
        table = from_csv.read(data, "x.csv", packed=is_packed)
        with (lines := io.StringIO(octets.decode("utf-8-sig"), newline="")):
            assert [list(r.values()) for r in table.to_pylist()] == [r for r in csv.reader(lines) if r][1:]


def test_limits_hold_for_what_python_hands_over() -> None:
    with pytest.raises(UsageError, match="this file name"):
        readers.from_arrow(pa.table({"event_id": ["e1"]}), "../../assessment")
    with pytest.raises(UsageError, match="every column once"):
        readers.from_arrow(pa.table({"a": ["e1"], "A": ["e2"]}), "python")
    with pytest.raises(UsageError, match="a value is too long"):
        readers.from_arrow(pa.table({"a": ["e" * (limits.MAX_FIELD + 1)]}), "python")
    with pytest.raises(UsageError, match="cells"):
        limits.shape("python", limits.MAX_ROWS, 100)


def test_the_limits_that_the_documentation_names_are_those_in_force() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "land-data.md").read_text("utf-8")
    named = {n: v for n, v in vars(limits).items() if n.startswith("MAX_")}
    assert {n for n, v in named.items() if f"`{n}` | {v:,} " not in page} == set()
