"""Checks an enfold parcel: Python 3.11 or later, its standard library, nothing else.

    python3 PARCEL.zip [DIGEST ...]                  the verifier inside checks the archive it is in
    python3 verify_parcel.py PARCEL.zip [DIGEST ...] a verifier from elsewhere checks an archive

Each DIGEST that was written down elsewhere (a head hash, or a run's, cut's, state's or verdicts', at least its first
16 digits) must be found in the parcel. Exit code 0: everything agrees; 4: something does not, and the line printed says
what; 2: there is no parcel. README.txt says what the files are, and how digests are made.
"""

import hashlib
import json
import sys
import tomllib
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

NO_STATE = {"events", "derived", "verdicts"}
STAMPS = {"plugin", "plugin_version", "code_hash"}  # say who computed a row; not part of its digest
CUT = {"study_id", "subject_id", "event_id", "content"}  # the digest of a cut is over these
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")
Row = dict[str, Any]


def main(words: list[str]) -> int:
    """Check one parcel and print the outcome."""
    place = __file__.removesuffix("__main__.py").rstrip("/\\") if __file__.endswith("__main__.py") else words.pop(0)
    try:
        with zipfile.ZipFile(place) as archive:
            print(Parcel(archive).check(words))
    except OSError as error:
        print(f"{place}: {error.strerror}")
        return 2
    except Exception as error:  # whatever a damaged file leads to
        print(f"NOT INTACT: {error if type(error) is ValueError else f'{type(error).__name__}: {error}'}")
        return 4
    return 0


class Parcel:
    """An archive, and all that is compared."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.zip, self.read = archive, archive.read
        self.head: str | None = None
        self.chain: list[Row] = []

    def check(self, digests: list[str]) -> str:
        """Compare everything; return the good news."""
        self.check_files()
        self.run: Row = json.loads(self.read("run.json"))
        self.check_chain()
        self.check_pins()
        self.check_tables(contents := self.check_events())
        known = {self.run[k] for k in ("run", "cut_digest", "state_digest", "verdicts_digest")}
        known |= {self.head, *(c["previous"] for c in self.chain[1:])}
        for digest in digests:
            if len(digest) < 16 or not any(k.startswith(digest) for k in known):
                raise ValueError(f"{digest} is no digest of this parcel")
        return f"intact: {len(self.chain)} commits, {len(contents)} events, run {self.run['run']}, head {self.head}"

    def rows(self, name: str) -> Iterator[tuple[int, Row]]:
        """Return the numbered lines of one file of JSON lines."""
        yield from enumerate(map(json.loads, self.read(name).splitlines()), 1)

    def check_files(self) -> None:
        """Compare every file with SHA256SUMS; none may be missing or more."""
        names = Counter(self.zip.namelist())
        sums = dict(line.split("  ")[::-1] for line in self.read("SHA256SUMS").decode().splitlines())
        for name in sorted({*names, *sums} - {"SHA256SUMS"}):
            if names[name] != 1 or sha(self.read(name)) != sums.get(name):
                raise ValueError(f"{name}: missing, twice, or its SHA-256 is not that of SHA256SUMS")
        self.names = sorted(names)

    def check_chain(self) -> None:
        """Compare each commit with the hash that the next one holds."""
        for line in self.read("commits.ndjson").splitlines():
            commit = json.loads(line)
            if commit["position"] != len(self.chain) + 1 or commit["previous"] != self.head:
                raise ValueError(f"commits.ndjson, line {len(self.chain) + 1}: does not follow the line before it")
            self.chain.append(commit)
            self.head = sha(line)

    def check_events(self) -> dict[str, str]:
        """Compare events with the counts and roots of the commits; return content digests by event id."""
        contents: dict[str, str] = {}
        leaves: dict[int, list[str]] = defaultdict(list)
        counts: dict[int, Counter[str]] = defaultdict(Counter)
        for name in (n for n in self.names if n.startswith("events/")):
            kind, bundle, _ = name.removeprefix("events/").split(".")
            texts = json.loads(self.read(f"schemas/{bundle}.json"))
            envelope = tomllib.loads(texts["envelope.toml"])["fields"]
            body = tomllib.loads(texts[f"events/{kind}.toml"]).get("fields", {})
            content = {n: f for n, f in envelope.items() if f.get("content")} | body
            rest = {n: f for n, f in envelope.items() if not f.get("content")}
            for number, row in self.rows(name):
                event = row["event"]
                if set(event) - set(content) - set(rest) or self.chain[row["position"] - 1]["schemas"][:16] != bundle:
                    raise ValueError(f"{name}, line {number}: not as the commit's schemas have it")
                digest = sha(f"{piece(kind)}{form(content, event)}".encode())
                leaves[row["position"]].append(sha(f"leaf:{row['salt'].upper()}{digest}{form(rest, event)}".encode()))
                counts[row["position"]][kind] += 1
                contents[event["event_id"]] = digest
        for _, gone in self.rows("redacted.ndjson"):
            leaves[gone["position"]].append(gone["leaf"])
            counts[gone["position"]][gone["event_type"]] += 1
        for commit in self.chain:
            if counts[n := commit["position"]] != Counter(commit["rows"]) or root(leaves[n]) != commit["root"]:
                raise ValueError(f"events of commit {n}: not those whose root the commit holds")
        if len(leaves) > len(self.chain):
            raise ValueError("events/: some belong to no commit")
        return contents

    def check_pins(self) -> None:
        """Compare what decided the results with the run's digest."""
        pins = self.run["pins"]
        code = {t[4]: hashlib.sha256() for t in pins["tasks"]}
        for _, plugin, *rest in sorted(n.split("/") for n in self.names if n.startswith("rules/")):
            code[plugin].update("/".join(rest).encode() + b"\0" + self.read("/".join(["rules", plugin, *rest])) + b"\0")
        studies = [c["details"]["record"]["text"] for c in self.chain if c["kind"] == "study"]
        for what, found, wanted in [
            ("run.json: pins", sha(json.dumps(pins, sort_keys=True).encode()), self.run["run"]),
            ("commits.ndjson: the last commit", self.head, pins["head"]),
            ("study.toml", sha(self.read("study.toml")), pins["study"]),
            ("study.toml, as landed", sha(studies[-1].encode()), pins["study"]),
            ("requirements.lock", sha(self.read("requirements.lock")), pins["lock"]),
            *((f"rules/{t[4]}", code[t[4]].hexdigest()[:16], t[6]) for t in pins["tasks"]),
        ]:
            if found != wanted:
                raise ValueError(f"{what}: not what the run used")

    def check_tables(self, contents: dict[str, str]) -> None:
        """Compare state and results with the digests of the run, and events cited with those landed."""
        tables = {n: tomllib.loads(t)["fields"] for n, t in json.loads(self.read("tables.json")).items()}
        for name, fields in tables.items():
            slots: dict[int, list[Row]] = defaultdict(list)
            path = f"{'results' if name in ('derived', 'verdicts') else 'state'}/{name}.ndjson"
            kept = {n: f for n, f in fields.items() if (n in CUT if name == "events" else n not in STAMPS)}
            for number, row in self.rows(path):
                if set(row) - set(fields) or not contents.keys() >= set(row.get("event_ids", [])):
                    raise ValueError(f"{path}, line {number}: an unknown field, or an event that is not in events/")
                if name == "events" and row["content"] != contents.get(row["event_id"]):
                    raise ValueError(f"{path}, line {number}: content that is not the event's")
                if name != "events" or row["effective"] == "true":
                    slots[int(sha(f"{row['study_id']}\0{row['subject_id']}".encode())[:4], 16) >> 6].append(row)
            total = sha("".join(f"{s}:{digest(kept, own)};" for s, own in sorted(slots.items())).encode())
            if total != (self.run["cut_digest"] if name == "events" else self.run["digests"][name]):
                raise ValueError(f"{path}: its digest is not the run's")
        state = sha("".join(f"{n}:{self.run['digests'][n]};" for n in sorted(tables) if n not in NO_STATE).encode())
        if state != self.run["state_digest"] or self.run["digests"]["verdicts"] != self.run["verdicts_digest"]:
            raise ValueError("run.json: the digests of state and verdicts are not those of their tables")


def digest(fields: dict[str, Row], rows: list[Row]) -> str:
    """Return the digest of the rows of one slot: of a cut row by row, of other tables column by column."""
    if fields.keys() == CUT:
        return sha("|".join(sorted(form(fields, row) for row in rows)).encode())
    octets = len(rows).to_bytes(8, "little")
    for name, f in fields.items():
        if any(name in row for row in rows):
            texts = [TEXT.get(f["kind"], str)(row[name]).encode() if name in row else None for row in rows]
            sizes = ((-1 if t is None else len(t)).to_bytes(4, "little", signed=True) for t in texts)
            octets += f"{name}=".encode() + b"".join(sizes) + b"".join(filter(None, texts))
    return sha(octets)


def form(fields: dict[str, Row], row: Row) -> str:
    """Return the canonical form of a row: each field that holds something, in the order of the schema."""
    return "".join(f"{n}={piece(TEXT.get(f['kind'], str)(row[n]))}" for n, f in fields.items() if n in row)


def piece(value: str) -> str:
    """Return a text after its length in octets."""
    return f"{len(value.encode())}:{value}"


def root(leaves: Iterable[str]) -> str:
    """Return the Merkle root over leaves: sorted, nodes over up to 1,024 children."""
    level = sorted(leaves)
    while len(level) > 1:
        level = [sha(f"node:{''.join(level[i : i + 1024])}".encode()) for i in range(0, len(level), 1024)]
    return sha(f"root:{level[0]}".encode()) if level else sha(b"empty")


TEXT: dict[str, Any] = {  # the canonical text of what is not written as it
    "instant": lambda at: str((datetime.fromisoformat(at) - EPOCH) // timedelta(microseconds=1)),
    "ids": lambda ids: "".join(map(piece, sorted(ids))),
}


def sha(data: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
