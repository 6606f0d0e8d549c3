"""Mutation testing of the endpoint rules: `python tests/mutation/mutate.py [ID …]`.

A mutant is one declaration with one small change: a token of its SQL (comparison, arithmetic, logic, literal, aggregate,
join, order), a node of its Python, or a default of its parameters. It is killed if a worked example fails or the
rule raises. Left alone are tokens that feed words or citations only: lines with a string that holds a space, with
`||`, or that gather event ids, names of domains or `known_from` (the laws test those), a bracket or CASE that becomes such
a column, and a CASE that chooses between such strings;
the width of a DECIMAL, for one digit more never changes a value that fits; and the name of a field within a literal struct,
which is no value.

Survivors stand in survivors.toml with the reason why they change nothing that matters; below 90 % killed in
any declaration, or with a survivor that has no reason, the command fails.
"""

import argparse
import ast
import hashlib
import inspect
import multiprocessing
import re
import resource
import sys
import time
import tomllib
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema, study
from enfold.contract import Declaration, Derivation, SqlRule
from enfold.evaluate import evidence
from enfold.evaluate.discover import Discovery, discover
from enfold.evaluate.evidence import ShardEvidence
from enfold.evaluate.graph import Task, plan
from enfold.ledger import engine
from enfold.testing import examples as ex

HERE = Path(__file__).parent
PLUGINS = HERE.parents[1] / "plugins"
PAGES = "*/src/*/*.md"
LEAST = 90
PORTION = 50  # mutants that one process judges before it reports
TOGETHER = 100  # examples evaluated at once
MEMORY = 8 << 30  # bytes that one process may use; a mutant that needs more raises
CONNECT = engine.connect
CITED = ["event_ids"]  # not compared: the laws test citations
TOKEN = re.compile(
    r"--[^\n]*|'(?:[^']|'')*'|\$?[A-Za-z_][A-Za-z_0-9]*|[0-9]+(?:\.[0-9]+)?|<=|>=|<>|\|\||[-+*/<>=(),.\[\]{}:]|\s+|."
)
SWAP = {
    "<": ["<="], "<=": ["<"], ">": [">="], ">=": [">"], "=": ["<>"], "<>": ["="], "+": ["-"], "-": ["+"],
    "OR": ["AND"], "true": ["false"], "false": ["true"], "min": ["max"], "max": ["min"], "lag": ["lead"],
    "bool_or": ["bool_and"], "bool_and": ["bool_or"], "greatest": ["least"], "least": ["greatest"], "DESC": ["ASC"],
}  # fmt: skip
STATUS = {"'met'": ["'not_met'"], "'not_met'": ["'met'", "'not_evaluable'"], "'not_evaluable'": ["'not_met'"]}
FEEDS_WORDS = re.compile(r"\|\||flatten\(|list_concat\(|known_from|cutoff \+ 2|_ids\b|_domains\b")


@dataclass(frozen=True)
class Mutant:
    """One small change, in every declaration that shares the rule; `key` stays the same when lines move."""

    key: str
    shown: str
    declarations: tuple[Declaration, ...]


def mutants(declaration: Declaration, sharing: Sequence[Declaration] = ()) -> Iterator[Mutant]:
    """Return every mutant of a declaration's rule, changed likewise in those `sharing` it, and of its parameters."""
    if isinstance(declaration.rule, SqlRule):
        for key, shown, text in sql_mutants(declaration.rule.text):
            changed = tuple(replace(d, rule=replace(d.rule, text=text)) for d in (declaration, *sharing))  # type: ignore[type-var]
            yield Mutant(f"{declaration.id}:{key}", shown, changed)
    else:
        for key, shown, rule in python_mutants(declaration.rule):
            yield Mutant(f"{declaration.id}:{key}", shown, (replace(declaration, rule=rule),))
    for d in (declaration, *sharing):
        yield from _parameter_mutants(d)


def _parameter_mutants(declaration: Declaration) -> Iterator[Mutant]:
    for field in fields(declaration.parameters):
        value = getattr(declaration.parameters, field.name)
        for other in _other_defaults(value):
            changed = replace(declaration.parameters, **{field.name: other})
            shown = f"parameter {field.name}: {value} -> {other}"
            yield Mutant(f"{declaration.id}:{shown}", shown, (replace(declaration, parameters=changed),))


def sql_mutants(text: str) -> Iterator[tuple[str, str, str]]:
    """Return key, description and text of every SQL mutant."""
    tokens = TOKEN.findall(text)
    starts, at = [], 0
    for token in tokens:
        starts.append(at)
        at += len(token)
    spoken = {  # lines that hold a string with a space
        text.rfind("\n", 0, start)
        for start, token in zip(starts, tokens, strict=True)
        if token[0] == "'" and " " in token
    }
    worded = _worded(tokens) | _citing(tokens)
    seen: dict[str, int] = {}
    between = 0
    for n, token in enumerate(tokens):
        begin = text.rfind("\n", 0, starts[n]) + 1
        end = text.find("\n", starts[n])
        line = text[begin : end if end >= 0 else len(text)]
        between += (token == "BETWEEN") - (token == "AND" and between > 0)
        if token.startswith("--") or token.isspace() or begin - 1 in spoken or FEEDS_WORDS.search(line) or n in worded:
            continue
        before = next((t for t in reversed(tokens[:n]) if not t.isspace()), "")
        after = next((t for t in tokens[n + 1 :] if not t.isspace()), "")
        for other in _other_tokens(
            token, before, after, in_between=between > 0 or (token == "AND" and _closes(tokens, n))
        ):
            label = f"{line.strip()[:70]}|{token}>{other}"
            seen[label] = seen.get(label, 0) + 1
            key = hashlib.sha256(label.encode()).hexdigest()[:10] + f"-{seen[label]}"
            shown = f"line {text.count(chr(10), 0, starts[n]) + 1}: {token or '(nothing)'} -> {other or '(nothing)'} in: {line.strip()[:90]}"
            yield key, shown, text[: starts[n]] + other + text[starts[n] + len(token) :]


def _worded(tokens: list[str]) -> set[int]:
    """Return the places of tokens within a CASE that yields words, and of the widths of DECIMAL."""
    out: set[int] = set()
    cases: list[tuple[int, bool]] = []
    for n, token in enumerate(tokens):
        if token == "CASE":
            cases.append((n, False))
        elif token == "END" and cases:
            begin, words = cases.pop()
            if words:
                out.update(range(begin, n + 1))
                if cases:
                    cases[-1] = (cases[-1][0], True)
        elif token[0] == "'" and " " in token and cases:
            cases[-1] = (cases[-1][0], True)
        elif token == "DECIMAL":
            out.update(range(n, n + tokens[n:].index(")")))
    return out


def _citing(tokens: list[str]) -> set[int]:
    """Return the places of tokens within a CASE or a bracket that becomes `known_from` or a list of event ids."""
    out: set[int] = set()
    begun: list[int] = []
    for n, token in enumerate(tokens):
        if token in {"CASE", "("}:
            begun.append(n)
        elif token in {"END", ")"} and begun:
            begin = begun.pop()
            after = [t for t in tokens[n + 1 : n + 6] if not t.isspace()][:2]
            if len(after) == 2 and after[0] == "AS" and (after[1] == "known_from" or after[1].endswith("_ids")):
                out.update(range(begin, n + 1))
    return out


def _closes(tokens: list[str], n: int) -> bool:
    """Whether this AND belongs to a BETWEEN."""
    depth = 0
    for token in reversed(tokens[:n]):
        depth += (token == ")") - (token == "(")
        if depth < 0 or token in {"AND", "OR", "WHERE", "ON", "WHEN"}:
            return False
        if token == "BETWEEN" and depth == 0:
            return True
    return False


def _other_tokens(token: str, before: str, after: str, *, in_between: bool) -> list[str]:
    if token in STATUS:
        return STATUS[token]
    if token == "AND":
        return [] if in_between else ["OR"]
    if token == "NOT":
        return [] if before == "IS" and after == "DISTINCT" else [""]
    if token == "NULL" and before == "IS":
        return ["NOT NULL"]
    if token == "LEFT" and after == "JOIN":
        return [""]
    if token in SWAP:
        return [] if token in "+-" and before in {"(", ",", "=", "<", ">", "THEN", "ELSE"} else SWAP[token]
    if re.fullmatch("[0-9]+", token) and before != "(" and after != ")":
        return [str(int(token) + 1), str(int(token) - 1)]
    if re.fullmatch("[0-9]+", token):
        return [str(int(token) + 1)]
    if token.startswith("'") and re.fullmatch(r"'[A-Za-z_0-9]+'", token) and after != ":":
        return ["'~" + token[1:]]
    return []


def python_mutants(rule: Callable[..., Any]) -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Return key, description and rule of every mutant of a Python rule's module."""
    module = sys.modules[rule.__module__]
    tree = ast.parse(inspect.getsource(module))
    swaps: dict[type, type] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
                               ast.NotEq: ast.Eq, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.And: ast.Or,
                               ast.Or: ast.And, ast.Is: ast.IsNot, ast.IsNot: ast.Is}  # fmt: skip
    inside = [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and not f.name.startswith("enfold_")]
    for function in inside:
        for place, node in enumerate(ast.walk(function)):
            changes: list[tuple[str, Callable[[], None], Callable[[], None]]] = []
            if isinstance(node, ast.Compare):
                old = node.ops[0]
                new = swaps.get(type(old))
                if new:
                    changes.append((new.__name__, lambda node=node, new=new: node.ops.__setitem__(0, new()),
                                    lambda node=node, old=old: node.ops.__setitem__(0, old)))  # fmt: skip
            elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in swaps:
                old, new = node.op, swaps[type(node.op)]
                changes.append((new.__name__, lambda node=node, new=new: setattr(node, "op", new()),
                                lambda node=node, old=old: setattr(node, "op", old)))  # fmt: skip
            elif isinstance(node, ast.Constant) and type(node.value) in (int, bool):
                old = node.value
                other = (not old) if isinstance(old, bool) else old + 1
                changes.append((f"{old}>{other}", lambda node=node, other=other: setattr(node, "value", other),
                                lambda node=node, old=old: setattr(node, "value", old)))  # fmt: skip
            for label, apply, undo in changes:
                apply()
                namespace = types.ModuleType(module.__name__)
                namespace.__dict__.update(module.__dict__)
                exec(compile(tree, str(module.__file__), "exec"), namespace.__dict__)
                undo()
                name = getattr(rule, "__name__", "")
                if name in namespace.__dict__:
                    line = getattr(node, "lineno", 0)
                    yield (
                        f"{function.name}:{place}:{label}",
                        f"{function.name} line {line}: {label}",
                        namespace.__dict__[name],
                    )


def _other_defaults(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, Enum):
        return [m for m in type(value) if m is not value][:1]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, Decimal):
        return [value + Decimal("0.01"), value - Decimal("0.01")]
    return []


class _Seen(ShardEvidence):
    """The evidence of a rule, on one connection for the whole process: connecting takes longer than most rules."""

    def __init__(self, *args: Any) -> None:
        with mock.patch.object(evidence.engine, "connect", _connection):
            super().__init__(*args)


@cache
def _connection() -> Any:
    """Return a connection that runs what sets it up once only."""
    connection = CONNECT()
    connection.execute(f"SET memory_limit = '{MEMORY >> 32} GB'")
    done: set[str] = set()

    def execute(statement: Any, parameters: Any = None) -> Any:
        if not isinstance(statement, str):  # parsed already: a rule's
            return connection.execute(statement, parameters)
        if statement.startswith("BEGIN"):  # it would be all rules' transaction
            return None
        if statement.lstrip().startswith(("CREATE", "SET")):
            if statement not in done:
                done.add(statement)
                connection.execute(statement)
            return None
        return connection.execute(statement, parameters)

    kept = types.SimpleNamespace(
        register=connection.register, execute=execute, sql=connection.sql, table=connection.table
    )
    kept.begin = kept.commit = kept.rollback = lambda: None
    kept.cursor = lambda: kept
    return kept


def _shaped(task: Task, raw: pa.Table, study_id: str) -> pa.Table:
    """Return what `stamp` returns, without connecting: rows sorted, types and keys checked."""
    table = schema.results()["derived" if isinstance(task.declaration, Derivation) else "verdicts"]
    fixed = {"study_id": study_id, "alias": task.alias, "id": task.declaration.id, "grain": task.declaration.grain}
    columns = {
        f.name: pa.array([fixed[f.name]] * raw.num_rows, f.type)
        if f.name in fixed
        else raw.column(f.name).cast(f.type)
        if f.name in raw.column_names
        else pa.nulls(raw.num_rows, f.type)
        for f in table.arrow()
    }
    rows = pa.table(columns)
    for field in table.fields:
        if field.codes and set(pc.unique(rows.column(field.name)).to_pylist()) - set(field.codes) - {None}:
            raise ValueError(field.name)
    keys = [k for k in table.key if k not in fixed]
    if rows.group_by(keys).aggregate([]).num_rows < rows.num_rows or any(
        rows.column(k).null_count for k in _needed(table)
    ):
        raise ValueError(keys)
    if "criterion" in keys:
        units = rows.group_by([k for k in keys if k != "criterion"]).aggregate([]).num_rows
        if units != rows.filter(pc.equal(rows.column("criterion"), "overall")).num_rows:
            raise ValueError("overall")
    scalars = [f.name for f in rows.schema if not pa.types.is_list(f.type)]
    return rows.sort_by([("subject_id", "ascending"), *((n, "ascending") for n in scalars if n != "subject_id")])


def _needed(table: Any) -> list[str]:
    """Return the columns that no row may leave empty and that a rule fills itself."""
    return [
        f.name for f in table.fields if not f.optional and f.name in {"subject_id", "measure", "criterion", "status"}
    ]


@dataclass
class Node:
    """One declaration under one set of parameters, its own and those of all it reads, with the patients of every example
    that needs it so, and what it gives for them unchanged."""

    task: Task
    study: study.StudyFile
    state: dict[str, pa.Table]
    parents: tuple["Node", ...]
    subjects: set[str]
    cases: dict[str, ex.Example]
    result: pa.Table

    def computed(self, task: Task, subjects: set[str], changed: dict[int, dict[str, pa.Table]]) -> pa.Table:
        """Return what `task` gives for the subjects, the results of `changed` nodes in place of the original ones."""
        d = task.declaration
        read = {name: _only(self.state[name], subjects) for name in (*d.reads, "subjects")}
        results = {}
        for parent in self.parents:
            new = {s: rows for s, rows in changed.get(id(parent), {}).items() if s in subjects}
            kept = _only(parent.result, subjects - set(new))
            results[parent.task.alias] = pa.concat_tables([kept, *new.values()])
        seen = _Seen(d, read, results, self.study, self.study.data_cutoff)
        return _shaped(task, d.rule(seen, task.parameters), self.study.id)


def _set(task: Task, declaration: Declaration) -> Any:
    """Parameters of the mutant, with what the example itself sets kept."""
    own = {
        f.name: getattr(task.parameters, f.name)
        for f in fields(task.parameters)
        if getattr(task.parameters, f.name) != getattr(task.declaration.parameters, f.name)
    }
    return replace(declaration.parameters, **own)


@cache
def everything() -> Discovery:
    """Return what the shipped plugins offer."""
    return discover(f"enfold-{p.name}" for p in PLUGINS.iterdir())


@cache
def nodes(pages: str) -> tuple[Node, ...]:
    """Return all that the worked examples of the pages need, each after what it reads, with unchanged results."""
    out: dict[tuple[Any, ...], Node] = {}
    cases = [c for page in sorted(PLUGINS.glob(pages)) for c in ex.examples(page.name, page.read_text("utf-8"))]
    for protocol in dict.fromkeys(c.protocol for c in cases):
        members = [c for c in cases if c.protocol == protocol]
        state = ex.folded(members)
        named = {f"{n:05d}": c for n, c in enumerate(members)}
        for settings in dict.fromkeys((c.endpoint, c.parameters) for c in members):
            own = {s: c for s, c in named.items() if (c.endpoint, c.parameters) == settings}
            keys: dict[str, tuple[Any, ...]] = {}
            parsed, tasks = _planned(next(iter(own.values())))
            for task in tasks:
                d = task.declaration
                parents = tuple(keys[n] for n in d.needs)
                key = keys[task.alias] = (protocol, task.alias, task.digest, parents)
                if key not in out:
                    out[key] = Node(task, parsed, state, tuple(out[p] for p in parents), set(), {}, pa.table({}))
                out[key].subjects.update(own)
            out[keys[settings[0]]].cases.update(own)
    for node in out.values():
        node.result = node.computed(node.task, node.subjects, {})
    return tuple(out.values())


def _only(table: pa.Table, subjects: set[str]) -> pa.Table:
    return table.filter(pc.is_in(table.column("subject_id"), pa.array(sorted(subjects), pa.string())))


def _planned(case: ex.Example) -> tuple[study.StudyFile, list[Task]]:
    parsed = study.parse(ex.protocol(case.protocol))
    settings = tomllib.loads("\n".join(case.parameters.split("; ")), parse_float=Decimal)
    own = {k: v for k, v in settings.items() if not isinstance(v, dict)}
    derivations = {k: v for k, v in settings.items() if isinstance(v, dict)}
    derived = isinstance(everything().offered[case.endpoint].declaration, Derivation)
    if derived:
        derivations[case.endpoint] = own
    asked = () if derived else (study.Asked(case.endpoint, case.endpoint, None, own),)
    parsed = replace(parsed, derivations={**parsed.derivations, **derivations}, endpoints=asked)
    return parsed, plan(parsed, everything(), also=(case.endpoint,) if derived else ())


def killed(mutant: Mutant, pages: str = PAGES) -> bool:
    """Whether some worked example notices the mutant; those of its own endpoint are asked first."""
    for declaration in mutant.declarations:
        mutated = [n for n in nodes(pages) if n.task.declaration.id == declaration.id]
        own = [(n, p) for n in mutated for p in _portions(set(n.cases))]
        others = [(n, p) for n in mutated for p in _portions(n.subjects - set(n.cases))]
        if any(_noticed(n, p, declaration, nodes(pages)) for n, p in (*own, *others)):
            return True
    return False


def _portions(subjects: set[str]) -> Iterator[set[str]]:
    """Return the subjects in portions: where a mutant joins everybody with everybody, few are joined."""
    ordered = sorted(subjects)
    for begin in range(0, len(ordered), TOGETHER):
        yield set(ordered[begin : begin + TOGETHER])


def _noticed(mutated: Node, of: set[str], declaration: Declaration, among: tuple[Node, ...]) -> bool:
    """Whether an example of these subjects that needs the node does not give what it should, or the rule raises."""
    offered = replace(mutated.task.offered, declaration=declaration)
    task = replace(mutated.task, offered=offered, parameters=_set(mutated.task, declaration))
    changed: dict[int, dict[str, pa.Table]] = {}  # by node, the new rows of the subjects whose rows differ
    for node in among:
        if node is mutated:
            subjects = of
        else:
            subjects = node.subjects & {s for p in node.parents for s in changed.get(id(p), {})}
            if not subjects:
                continue
        try:
            rows = node.computed(task if node is mutated else node.task, subjects, changed)
        except Exception:
            _connection.cache_clear()  # what failed may hold memory
            return True
        differing = _differing(rows, node.result, subjects)
        if not differing:
            continue
        changed[id(node)] = differing
        for subject in differing.keys() & node.cases.keys():
            mine = differing[subject].to_pylist()
            if any(w for e in node.cases[subject].expected for w in ex._compare(e, mine)):
                return True
    return False


def _differing(rows: pa.Table, before: pa.Table, subjects: set[str]) -> dict[str, pa.Table]:
    """Return, by subject, the new rows that differ from those before; both are sorted by subject."""
    before = _only(before, subjects)
    if rows.drop_columns(CITED).equals(before.drop_columns(CITED)):
        return {}
    new, old = _slices(rows), _slices(before)
    return {
        s: new.get(s, rows.slice(0, 0))
        for s in new.keys() | old.keys()
        if s not in old or s not in new or not new[s].drop_columns(CITED).equals(old[s].drop_columns(CITED))
    }


def _slices(rows: pa.Table) -> dict[str, pa.Table]:
    """Return the rows of each subject of a sorted table."""
    rows = rows.combine_chunks()
    starts: dict[str, int] = {}
    for n, subject in enumerate(rows.column("subject_id").to_pylist()):
        starts.setdefault(subject, n)
    ends = [*starts.values(), rows.num_rows][1:]
    return {s: rows.slice(a, b - a) for (s, a), b in zip(starts.items(), ends, strict=True)}


def shared() -> dict[str, list[Declaration]]:
    """Return the declarations by the first of those that share their SQL."""
    out: dict[str, list[Declaration]] = {}
    first: dict[str, str] = {}
    for name, offered in sorted(everything().offered.items()):
        rule = offered.declaration.rule
        leader = first.setdefault(rule.text, name) if isinstance(rule, SqlRule) else name
        out.setdefault(leader, []).append(offered.declaration)
    return out


def judge(part: tuple[str, int]) -> tuple[str, int, list[tuple[str, str]], float]:
    """Return id, number of mutants, survivors (key and description) and seconds of one portion of a declaration."""
    declaration_id, begin = part
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    nodes(PAGES)
    started = time.monotonic()
    declaration, *sharing = shared()[declaration_id]
    made = list(mutants(declaration, sharing))[begin : begin + PORTION]
    survivors = [(m.key, m.shown) for m in made if not killed(m)]
    return declaration_id, len(made), survivors, time.monotonic() - started


def judged(ids: Sequence[str]) -> Iterator[tuple[str, int, list[tuple[str, str]], float]]:
    """Return what `judge` returns, for whole declarations; two processes share the work."""
    size = {n: len(list(mutants(shared()[n][0], shared()[n][1:]))) for n in ids}
    parts = [(n, begin) for n in ids for begin in range(0, max(size[n], 1), PORTION)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:  # DuckDB is not fork-safe
        results = pool.map(judge, parts)
        for name in ids:
            own = [next(results) for n, _ in parts if n == name]
            yield name, size[name], [s for _, _, found, _ in own for s in found], sum(r[3] for r in own)


def main() -> int:
    """Judge the named declarations, or all, and compare the survivors with survivors.toml."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("ids", nargs="*", help="declarations; all if none is named")
    parser.add_argument(
        "--write-survivors", action="store_true", help="add new survivors to survivors.toml, reason empty"
    )
    args = parser.parse_args()
    ids = args.ids or sorted(shared())
    path = HERE / "survivors.toml"
    accepted = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    failed, new = False, []
    total = dead = 0
    for name, count, survivors, seconds in judged(ids):
        share = 100 * (count - len(survivors)) / count if count else 100.0
        total, dead = total + count, dead + count - len(survivors)
        print(f"{name:<24} {count:>5} mutants, {share:5.1f} % killed, {seconds:6.1f} s", flush=True)
        for key, shown in survivors:
            reason = accepted.get(key, {}).get("reason", "")
            print(f"    {'accepted' if reason else 'SURVIVED'} {key}: {shown}", flush=True)
            failed |= not reason
            if key not in accepted:
                new.append((key, shown))
        failed |= share < LEAST
    print(f"{total} mutants, {100 * dead / total:.1f} % killed")
    if args.write_survivors and new:
        with path.open("a", encoding="utf-8") as file:
            for key, shown in new:
                quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
                file.write(f'["{key}"]\nmutant = "{quoted}"\nreason = ""\n\n')
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
