"""Guards of a guest process: limits, a ban on writing and reaching out, and a look for patched libraries.

They catch mistakes. Code that means harm needs a container: an audit hook can be got round.
"""

import builtins
import datetime
import decimal
import importlib
import os
import resource
import signal
import sys
import threading
import time
from types import ModuleType
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_BANNED = (
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.truncate", "os.link", "os.symlink",
    "os.utime", "os.kill", "os.killpg", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn",
    "subprocess.Popen", "shutil.", "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "tempfile.",
)  # fmt: skip
_WATCHED = (
    "builtins", "datetime", "decimal", "json", "math", "random", "statistics", "os", "sys", "hashlib", "re",
    "duckdb", "pyarrow", "pyarrow.compute", "pyarrow.ipc", "pluggy",
    "enfold.contract", "enfold.schema", "enfold.study", "enfold.ledger.engine", "enfold.evaluate.evidence",
    "enfold.evaluate.wire", "enfold.evaluate.guards",
)  # fmt: skip
_MAY_CHANGE = {"sys": {"path_importer_cache", "last_type", "last_value", "last_traceback", "last_exc"}}


class ForbiddenError(PermissionError):
    """A plugin tried what a plugin may not do."""


_tried: list[str] = []


def limit(memory: int) -> None:
    """Bound memory, forbid writing octets to files and leaving core dumps, for this process and for good."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def allow_seconds(seconds: float) -> None:
    """Let the process use so much more processor time; one whose host died while it looped ends by this."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + 4 * seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def die_with(parent: int) -> None:
    """End this process when its host is gone, even while a plugin waits for something."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the host ends its guests itself
    threading.Thread(target=watch, daemon=True).start()


def forbid() -> None:
    """Refuse writing, starting programs and network use from Python code, from now on."""

    def hook(event: str, details: tuple[Any, ...]) -> None:
        banned = event.startswith(_BANNED)
        if event == "open":
            mode, flags = details[1], details[2]
            banned = any(c in "wax+" for c in mode) if isinstance(mode, str) else bool(flags & _WRITES)
        if banned:
            what = "opening a file to write" if event == "open" else event
            if len(_tried) < 10:
                _tried.append(what)
            msg = f"a plugin may not do this: {what}"
            raise ForbiddenError(msg)

    sys.addaudithook(hook)


def tried() -> str | None:
    """Return what was tried and refused since the last call, even if the plugin swallowed the refusal."""
    what = ", ".join(dict.fromkeys(_tried)) or None
    _tried.clear()
    return what


class Libraries:
    """What shared libraries and the platform look like before a plugin has had a chance to patch them."""

    def __init__(self) -> None:
        self._before = self._look()

    def patched(self) -> list[str]:
        """Return the names that were replaced or removed since; names that were added do no harm."""
        now = self._look()
        return sorted(name for name, value in self._before.items() if now.get(name) is not value)

    @staticmethod
    def _look() -> dict[str, object]:
        seen: dict[str, object] = {}
        for name in _WATCHED:
            module = importlib.import_module(name)
            for key, value in vars(module).items():
                if key in _MAY_CHANGE.get(name, ()) or (key.startswith("__") and name != "builtins"):
                    continue
                if isinstance(value, ModuleType) or callable(value):
                    seen[f"{name}.{key}"] = value
                if isinstance(value, type) and value.__module__.startswith(("enfold", "pluggy")):
                    seen |= {f"{name}.{key}.{k}": v for k, v in vars(value).items() if callable(v)}
        context = decimal.getcontext()
        seen["decimal.getcontext().prec"] = context.prec if context.prec == 28 else object()
        seen["decimal.getcontext().rounding"] = context.rounding
        seen["builtins"] = builtins
        seen["datetime"] = datetime
        return seen
