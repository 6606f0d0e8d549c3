"""What the study file says about plugins: which may be used, and by which hash others' are pinned."""

import re
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from enfold.errors import UsageError
from enfold.study.wrong import wrong


@dataclass(frozen=True)
class Trusted:
    """A plugin as it was when somebody looked at it: its version, and the SHA-256 over its files."""

    version: str
    sha256: str


def plugin_names(entries: Any) -> tuple[str, ...]:
    """Return the names; a list of names allows what is shipped with enfold, a table pins the rest."""
    if isinstance(entries, dict):
        return tuple(entries)
    if not isinstance(entries, list) or not all(isinstance(p, str) for p in entries):
        raise wrong("top level", "plugins", "must be a list of distribution names, or a table of what is trusted")
    return tuple(entries)


def pinned(entries: Any) -> dict[str, Trusted]:
    """Return the plugins of others, each as it was when somebody looked at it."""
    out = {}
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        if entry == "shipped":
            continue
        if not isinstance(entry, dict) or set(entry) != {"version", "sha256"}:
            raise wrong("plugins", name, 'must be "shipped", or { version = "…", sha256 = "…" }')
        if not all(isinstance(v, str) for v in entry.values()) or not re.fullmatch("[0-9a-f]{64}", entry["sha256"]):
            raise wrong("plugins", name, "must state a version and 64 hex digits; enfold plugin trust writes them")
        out[name] = Trusted(entry["version"], entry["sha256"])
    return out


def with_trust(text: str, name: str, pin: Trusted | None) -> str:
    """Return a study file in which plugin `name` is allowed: pinned, or as shipped with enfold if `pin` is none.

    Only what says `plugins` is written anew; the rest keeps its words, order and comments.

    Raises:
        UsageError: the file states its plugins in a way that cannot be rewritten without touching the rest.
    """
    doc = tomllib.loads(text, parse_float=Decimal)
    stated = doc.pop("plugins", [])
    entries: dict[str, Any] = dict(stated) if isinstance(stated, dict) else dict.fromkeys(stated, "shipped")
    entries[name] = "shipped" if pin is None else {"version": pin.version, "sha256": pin.sha256}
    rest = re.sub(r"(?m)^plugins\s*=\s*\[[^\]]*\][^\S\n]*\n?", "", text, count=1)
    rest = re.sub(r"(?ms)^\[plugins\]\s*\n.*?(?=^\[|\Z)", "", rest, count=1)
    lines = [
        f'{k} = "shipped"' if v == "shipped" else f'{k} = {{ version = "{v["version"]}", sha256 = "{v["sha256"]}" }}'
        for k, v in entries.items()
    ]
    out = rest.rstrip("\n") + "\n\n[plugins]\n" + "\n".join(lines) + "\n"
    try:
        again = tomllib.loads(out, parse_float=Decimal)
    except tomllib.TOMLDecodeError:
        again = {}
    if again != {**doc, "plugins": entries}:
        msg = "study.toml: its plugins cannot be rewritten without touching the rest"
        raise UsageError(msg, remedy="Write them as one table [plugins], one line a plugin, and try again.")
    return out
