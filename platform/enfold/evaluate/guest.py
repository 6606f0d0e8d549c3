"""Guest: the resident process in which one third-party distribution is imported and its rules are called.

Started by `isolation.Guest` as `python -m enfold.evaluate.guest FD`; speaks `wire` over that descriptor.
"""

import datetime as dt
import os
import socket
import sys
import traceback
from functools import cache
from importlib.metadata import EntryPoint
from typing import Any

import duckdb
import pyarrow as pa

from enfold import schema, study
from enfold.contract import Declaration
from enfold.evaluate import describe, guards, wire
from enfold.evaluate.evidence import ShardEvidence, prepared
from enfold.evaluate.faults import said
from enfold.evaluate.folder import declaration as from_folder
from enfold.evaluate.load import load
from enfold.ledger import engine


class Guest:
    """What the process holds between messages: the declarations, and the newest shard's evidence."""

    def __init__(self) -> None:
        self.declared: dict[str, Declaration] = {}
        self.libraries = guards.Libraries()
        self.tables: dict[str, tuple[str, dict[str, pa.Table]]] = {}  # by role: token and tables
        self.database: tuple[str, duckdb.DuckDBPyConnection] | None = None  # of the newest shard
        self.verbose = False

    def load(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Import the plugin, or read its folders; answer with what it declares."""
        self.verbose = ask["verbose"]
        entries = [EntryPoint(name, value, "enfold") for name, value in ask["entries"]]
        declared, problems = load(ask["name"], entries)
        for where, toml, sql in ask["folders"]:
            try:
                declared.append(from_folder(toml, sql, where))
            except Exception as error:
                problems.append(("declare", said(error, verbose=True)))
        described = []
        for d in declared:
            try:
                doc = describe.plain(d)
                describe.declared(doc)
            except Exception as error:
                problems.append(("declare", f"{d.id}: {said(error, verbose=True)}"))
                continue
            if d.id in self.declared:
                problems.append(("declare", f"`{d.id}` is declared twice"))
                continue
            self.declared[d.id] = d
            described.append(doc)
        harm = self._harm()
        if harm:
            return {"declared": [], "problems": [["load", harm]]}
        return {"declared": described, "problems": problems}

    def compute(self, ask: dict[str, Any], fds: list[int]) -> tuple[dict[str, Any], bytes]:
        """Call one rule on one shard."""
        for role in ask["sent"]:
            where = ask["tables"][role]
            self.tables[role] = (where["token"], wire.mapped(fds.pop(0), where["names"]))
        for role in set(self.tables) - set(ask["tables"]):
            del self.tables[role]
        d = self.declared[ask["id"]]
        results = {n: self.tables[f"result {n}"][1]["rows"] for n in d.needs}
        guards.allow_seconds(ask["seconds"])
        try:
            cutoff = dt.date.fromisoformat(ask["cutoff"]) if ask["cutoff"] else None
            with schema.using(schema.Added(tuple((n, t) for n, t in ask["added"]))):
                token, state = self.tables["state"]
                seen = ShardEvidence(d, state, results, _study(ask["study"]), cutoff, self._database(token))
                raw = d.rule(seen, describe.with_values(d.parameters, ask["parameters"]))
        except Exception as error:
            harm = self._harm()
            if self.verbose:
                traceback.print_exc()
            return {"stage": "compute", "message": harm or said(error, verbose=self.verbose), "tainted": True}, b""
        harm = self._harm()
        if harm:
            return {"stage": "compute", "message": harm, "tainted": True}, b""
        if not isinstance(raw, pa.Table):
            said_it = f"returned {type(raw).__name__}, not a pyarrow.Table"
            return {"stage": "return", "message": said_it, "tainted": False}, b""
        return {"stage": "", "message": "", "tainted": False}, wire.packed(raw)

    def _database(self, token: str) -> duckdb.DuckDBPyConnection:
        """Return the database that the rules share on a shard; opening one costs more than most rules."""
        if self.database is None or self.database[0] != token:
            self.database = (token, prepared())
        return self.database[1]

    def _harm(self) -> str | None:
        tried = guards.tried()
        if tried:
            return f"a plugin may not do this: {tried}"
        patched = self.libraries.patched()
        if patched:
            return f"changed what is not its own: {', '.join(patched[:3])}"
        return None


@cache
def _study(text: str) -> study.StudyFile:
    return study.parse(text)


def main() -> None:
    """Serve until the host hangs up."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    guards.die_with(os.getppid())
    engine.connect().close()  # makes the folder for spilling, while making folders is still allowed
    hello, _, _ = wire.receive(sock)
    guards.limit(hello["memory"])
    guest = Guest()
    guards.forbid()
    guards.allow_seconds(hello["seconds"])
    wire.send(sock, guest.load(hello))
    while True:
        try:
            ask, _, fds = wire.receive(sock, fds=64)
        except wire.BrokenWireError:
            return
        answer, body = guest.compute(ask, fds)
        wire.send(sock, answer, body)


if __name__ == "__main__":
    main()
