"""Published figures, from a file of their own: they are set beside what was computed, and compared; nothing else."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enfold.errors import UsageError

SEE = "See docs/how-to/report.md."


@dataclass(frozen=True)
class Published:
    """What was published.

    Args:
        source: where, as it is cited.
        sentences: by the key of the computed sentence: the figures in words, and each figure as printed by its name.
    """

    source: str
    sentences: dict[str, tuple[str, dict[str, str]]]


def read(path: Path) -> Published:
    """Read a file of published figures.

    Raises:
        UsageError: it cannot be read, or does not hold what it should.
    """
    try:
        doc = tomllib.loads(path.read_text("utf-8"))
        sentences = {_text(key): _sentence(entry) for key, entry in doc["sentences"].items()}
        return Published(_text(doc["source"]), sentences)
    except OSError as error:
        raise UsageError(f"{path.name}: {error.strerror}", remedy=SEE) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise UsageError(f"{path.name}: not valid TOML", remedy=SEE) from None
    except (KeyError, TypeError, AttributeError):
        msg = f"{path.name}: needs `source`, and for each sentence `says` and `figures` as text"
        raise UsageError(msg, remedy=SEE) from None


def _sentence(entry: dict[str, Any]) -> tuple[str, dict[str, str]]:
    return _text(entry["says"]), {name: _text(value) for name, value in entry.get("figures", {}).items()}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
