"""The table of edge cases: what each says, and which tests and worked examples prove it."""

import re
import tomllib
from pathlib import Path

NAMED = re.compile(r"\b(EC|DC)-([0-9]{2})\b")
IN_NAME = re.compile(r"def (test_\w*?(?:ec|dc)_[0-9]{2}\w*)")


def rules(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the rule of each id, and the reason of those that no endpoint rule can prove."""
    doc = tomllib.loads(text)
    told = {f"{kind}-{n}": rule for kind in ("EC", "DC") for n, rule in doc[kind].items()}
    return told, doc["elsewhere"]


def proofs(root: Path) -> dict[str, set[str]]:
    """Return, by id, the files under `root` whose worked examples or tests name it."""
    found: dict[str, set[str]] = {}
    for path in [*root.glob("plugins/*/src/*/*.md"), *root.glob("tests/**/*.py")]:
        text = path.read_text("utf-8")
        named = {f"{kind}-{n}" for kind, n in NAMED.findall(text)}
        for name in IN_NAME.findall(text):
            named |= {f"{k.upper()}-{n}" for k, n in re.findall(r"(ec|dc)_([0-9]{2})", name)}
        for each in named:
            found.setdefault(each, set()).add(path.relative_to(root).as_posix())
    return found


def open_ids(told: dict[str, str], elsewhere: dict[str, str], found: dict[str, set[str]]) -> list[str]:
    """Return the ids that nothing proves and nothing explains."""
    return [each for each in told if each not in found and each not in elsewhere]


def page(root: Path) -> str:
    """Return the Markdown page.

    Raises:
        ValueError: a test names an id that does not exist, or an id is both proven and explained away.
    """
    told, elsewhere = rules((root / "docs/reference/edge-cases.toml").read_text("utf-8"))
    found = proofs(root)
    unknown = sorted(set(found) - set(told))
    both = sorted(set(found) & set(elsewhere))
    if unknown or both:
        msg = f"named but not in edge-cases.toml: {unknown}; proven and explained away: {both}"
        raise ValueError(msg)
    lines = [
        "# Edge cases and decisions",
        "",
        "What the rules do where data are awkward (EC) and where the literature is silent or contradicts itself (DC),",
        "each with the worked examples or tests that name it. A dash means that nothing names it yet.",
        "",
        "| id | rule | proven by |",
        "|---|---|---|",
    ]
    for each, rule in told.items():
        links = ", ".join(f"[{Path(p).name}](../../{p})" for p in sorted(found.get(each, ())))
        lines.append(f"| {each} | {rule} | {links or elsewhere.get(each, '-')} |")
    return "\n".join(lines) + "\n"
