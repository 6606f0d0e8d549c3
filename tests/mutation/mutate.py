"""Mutation testing of the endpoint rules: `python tests/mutation/mutate.py [ID …]`.

A mutant is one declaration with one small change: a token of its SQL (comparison, arithmetic, logic, literal, aggregate,
join, order), a node of its Python, or a default of its parameters. It is killed if a worked example fails or the
rule raises. Left alone are tokens that feed words or citations only: lines with a string that holds a space, with
`||`, or that gather event ids or `known_from` (the laws test those).

Survivors stand in survivors.toml with the reason why they change nothing that matters; below 90 % killed in
any declaration, or with a survivor that has no reason, the command fails.
"""

import argparse
import ast
import hashlib
import inspect
import multiprocessing
import re
import sys
import time
import tomllib
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from enfold import study
from enfold.contract import Declaration, Derivation, SqlRule
from enfold.evaluate.call import stamp
from enfold.evaluate.discover import Discovery, discover
from enfold.evaluate.evidence import ShardEvidence
from enfold.evaluate.graph import Task, plan
from enfold.testing import examples as ex

HERE = Path(__file__).parent
PLUGINS = HERE.parents[1] / "plugins"
LEAST = 90
TOKEN = re.compile(
    r"--[^\n]*|'(?:[^']|'')*'|\$?[A-Za-z_][A-Za-z_0-9]*|[0-9]+(?:\.[0-9]+)?|<=|>=|<>|\|\||[-+*/<>=(),.\[\]{}:]|\s+|."
)
SWAP = {
    "<": ["<="], "<=": ["<"], ">": [">="], ">=": [">"], "=": ["<>"], "<>": ["="], "+": ["-"], "-": ["+"],
    "OR": ["AND"], "true": ["false"], "false": ["true"], "min": ["max"], "max": ["min"], "lag": ["lead"],
    "bool_or": ["bool_and"], "bool_and": ["bool_or"], "greatest": ["least"], "least": ["greatest"], "DESC": ["ASC"],
}  # fmt: skip
STATUS = {"'met'": ["'not_met'"], "'not_met'": ["'met'", "'not_evaluable'"], "'not_evaluable'": ["'not_met'"]}
FEEDS_WORDS = re.compile(r"\|\||flatten\(|list_concat\(|known_from|_ids\b")


@dataclass(frozen=True)
class Mutant:
    """One changed declaration; `key` stays the same when lines move."""

    key: str
    shown: str
    declaration: Declaration


def mutants(declaration: Declaration) -> Iterator[Mutant]:
    """Return every mutant of a declaration."""
    if isinstance(declaration.rule, SqlRule):
        for key, shown, text in sql_mutants(declaration.rule.text):
            yield Mutant(
                f"{declaration.id}:{key}", shown, replace(declaration, rule=replace(declaration.rule, text=text))
            )
    else:
        for key, shown, rule in python_mutants(declaration.rule):
            yield Mutant(f"{declaration.id}:{key}", shown, replace(declaration, rule=rule))
    for field in fields(declaration.parameters):
        value = getattr(declaration.parameters, field.name)
        for other in _other_defaults(value):
            changed = replace(declaration.parameters, **{field.name: other})
            shown = f"parameter {field.name}: {value} -> {other}"
            yield Mutant(f"{declaration.id}:{shown}", shown, replace(declaration, parameters=changed))


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
    seen: dict[str, int] = {}
    between = 0
    for n, token in enumerate(tokens):
        begin = text.rfind("\n", 0, starts[n]) + 1
        end = text.find("\n", starts[n])
        line = text[begin : end if end >= 0 else len(text)]
        between += (token == "BETWEEN") - (token == "AND" and between > 0)
        if token.startswith("--") or token.isspace() or begin - 1 in spoken or FEEDS_WORDS.search(line):
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
    if re.fullmatch("[0-9]+", token) and before not in {"(", "DECIMAL"} and after != ")":
        return [str(int(token) + 1), str(int(token) - 1)]
    if re.fullmatch("[0-9]+", token):
        return [str(int(token) + 1)] if before not in {"DECIMAL"} else []
    if token.startswith("'") and re.fullmatch(r"'[A-Za-z_0-9]+'", token):
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


@dataclass(frozen=True)
class Group:
    """Examples that share patients, endpoint and parameters, with what they need computed once."""

    cases: tuple[tuple[str, ex.Example], ...]
    state: dict[str, pa.Table]
    tasks: tuple[Task, ...]
    study: study.StudyFile
    results: dict[str, pa.Table]

    def survives(self, declaration: Declaration) -> bool:
        """Whether every example still gives what it should with `declaration` in place of its original."""
        results = dict(self.results)
        changed: set[str] = set()
        for task in self.tasks:
            d = task.declaration
            if d.id == declaration.id:
                task = replace(
                    task, offered=replace(task.offered, declaration=declaration), parameters=_set(task, declaration)
                )
            elif not changed & set(d.needs):
                continue
            try:
                results[task.alias] = _computed(task, self, results)
            except Exception:
                return False
            if results[task.alias].equals(self.results[task.alias]):
                continue
            changed.add(task.alias)
        if not changed:
            return True
        endpoint = self.cases[0][1].endpoint
        if endpoint not in changed:
            return True
        rows = results[endpoint].to_pylist()
        mine: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            mine.setdefault(row["subject_id"], []).append(row)
        return not any(
            w for subject, case in self.cases for e in case.expected for w in ex._compare(e, mine.get(subject, []))
        )


def _set(task: Task, declaration: Declaration) -> Any:
    """Parameters of the mutant, with what the example itself sets kept."""
    own = {
        f.name: getattr(task.parameters, f.name)
        for f in fields(task.parameters)
        if getattr(task.parameters, f.name) != getattr(task.declaration.parameters, f.name)
    }
    return replace(declaration.parameters, **own)


def _computed(task: Task, group: Any, results: dict[str, pa.Table]) -> pa.Table:
    d = task.declaration
    seen = ShardEvidence(d, group.state, results, group.study, group.study.data_cutoff)
    return stamp(
        task,
        d.rule(seen, task.parameters),
        group.study.id,
        set(group.state["subjects"].column("subject_id").to_pylist()),
    )


@cache
def everything() -> Discovery:
    """Return what the shipped plugins offer."""
    return discover(f"enfold-{p.name}" for p in PLUGINS.iterdir())


@cache
def groups(pages: str = "*/src/*/*.md") -> tuple[Group, ...]:
    """Return all worked examples of the pages, folded, with every unchanged result."""
    out = []
    for page in sorted(PLUGINS.glob(pages)):
        cases = ex.examples(page.name, page.read_text("utf-8"))
        for protocol in dict.fromkeys(c.protocol for c in cases):
            members = [c for c in cases if c.protocol == protocol]
            state = ex.folded(members)
            named = [(f"{n:05d}", c) for n, c in enumerate(members)]
            for settings in dict.fromkeys((c.endpoint, c.parameters) for c in members):
                own = tuple(m for m in named if (m[1].endpoint, m[1].parameters) == settings)
                out.append(_group(own, {k: _only(t, {s for s, _ in own}) for k, t in state.items()}))
    return tuple(out)


def _only(table: pa.Table, subjects: set[str]) -> pa.Table:
    return table.filter(pa.compute.is_in(table.column("subject_id"), pa.array(sorted(subjects))))


def _group(cases: tuple[tuple[str, ex.Example], ...], state: dict[str, pa.Table]) -> Group:
    case = cases[0][1]
    parsed = study.parse(ex.PROTOCOL + case.protocol)
    settings = tomllib.loads("\n".join(case.parameters.split("; ")), parse_float=Decimal)
    own = {k: v for k, v in settings.items() if not isinstance(v, dict)}
    derivations = {k: v for k, v in settings.items() if isinstance(v, dict)}
    derived = isinstance(everything().offered[case.endpoint].declaration, Derivation)
    if derived:
        derivations[case.endpoint] = own
    asked = () if derived else (study.Asked(case.endpoint, case.endpoint, None, own),)
    parsed = replace(parsed, derivations={**parsed.derivations, **derivations}, endpoints=asked)
    tasks = tuple(plan(parsed, everything(), also=(case.endpoint,) if derived else ()))
    group = Group(cases, state, tasks, parsed, {})
    for task in tasks:
        group.results[task.alias] = _computed(task, group, group.results)
    return group


def killed(mutant: Mutant, pages: str = "*/src/*/*.md") -> bool:
    """Whether some worked example notices the mutant; those of its own endpoint are asked first."""
    own = mutant.declaration.id
    reached = [g for g in groups(pages) if any(t.declaration.id == own for t in g.tasks)]
    reached.sort(key=lambda g: (g.cases[0][1].endpoint != own, -len(g.cases)))
    return any(not g.survives(mutant.declaration) for g in reached)


def judge(declaration_id: str) -> tuple[str, int, list[tuple[str, str]], float]:
    """Return id, number of mutants, survivors (key and description) and seconds."""
    groups()
    started = time.monotonic()
    made = list(mutants(everything().offered[declaration_id].declaration))
    survivors = [(m.key, m.shown) for m in made if not killed(m)]
    return declaration_id, len(made), survivors, time.monotonic() - started


def main() -> int:
    """Judge the named declarations, or all, and compare the survivors with survivors.toml."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("ids", nargs="*", help="declarations; all if none is named")
    parser.add_argument(
        "--write-survivors", action="store_true", help="add new survivors to survivors.toml, reason empty"
    )
    args = parser.parse_args()
    ids = args.ids or sorted(everything().offered)
    path = HERE / "survivors.toml"
    accepted = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    failed, new = False, []
    total = dead = 0
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:  # DuckDB is not fork-safe
        for name, count, survivors, seconds in pool.map(judge, ids):
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
