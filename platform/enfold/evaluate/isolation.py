"""Isolation: one resident guest process per third-party distribution and worker, restarted on fault.

The host never imports the plugin. It sends evidence, waits no longer than the limit, and takes back a table
that it checks like any other. Whatever ends a guest costs the one rule that was running.
"""

import atexit
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from enfold.evaluate import wire

_TOKENS = itertools.count()


@dataclass(frozen=True)
class Limits:
    """What one guest may use: seconds for a load or a rule on a shard, octets of memory, output and answer."""

    seconds: int = 120
    memory: int = 4 << 30
    output: int = 1 << 20
    answer: int = 1 << 30


@dataclass(frozen=True)
class Source:
    """What a guest loads: entry points of one distribution, and folders as text; plain, so that it travels."""

    name: str
    entries: tuple[tuple[str, str], ...] = ()
    folders: tuple[tuple[str, str, str], ...] = ()
    limits: Limits = Limits()
    verbose: bool = False
    sha256: str = ""  # of its files: an edited plugin is never served by the process of the one before


class GuestError(Exception):
    """The guest ended, or was ended; says why, without a value."""


class Guest:
    """One process; `loaded` is its answer to the first message."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.holds: dict[str, str] = {}  # role of tables: token of those that the process has
        ours, theirs = socket.socketpair()
        self._sock = ours
        command = [sys.executable, "-P", "-B", "-s", "-m", "enfold.evaluate.guest", str(theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # what a plugin starts is ended with it
            env=_environment(),
        )
        theirs.close()
        self._printed = 0
        self._drain = threading.Thread(target=self._read_output, daemon=True)
        self._drain.start()
        try:
            self.loaded, _ = self.ask(
                {
                    "memory": source.limits.memory,
                    "seconds": source.limits.seconds,
                    "name": source.name,
                    "entries": source.entries,
                    "folders": source.folders,
                    "verbose": source.verbose,
                },
                answer={"declared": list, "problems": list},
            )
        except GuestError:
            self.end()
            raise

    def ask(
        self, message: dict[str, Any], fds: Sequence[int] = (), *, answer: dict[str, type]
    ) -> tuple[dict[str, Any], bytes]:
        """Send one message and return header and body of the answer, which has the keys of `answer`, of those types.

        Raises:
            GuestError: no whole answer within the limits; the guest is ended.
        """
        until = time.monotonic() + self.source.limits.seconds
        try:
            self._sock.settimeout(self.source.limits.seconds)
            wire.send(self._sock, message, fds=fds)
            header, body, _ = wire.receive(self._sock, until=until, limit=self.source.limits.answer)
        except TimeoutError:
            self.end()
            if self._printed > self.source.limits.output:
                raise GuestError(self._flood()) from None
            msg = f"no answer within {self.source.limits.seconds} s; the process was ended"
            raise GuestError(msg) from None
        except (wire.BrokenWireError, OSError) as error:
            raise GuestError(self._ending(error)) from None
        if self._printed > self.source.limits.output:
            self.end()
            raise GuestError(self._flood())
        if not all(isinstance(header.get(key), kind) for key, kind in answer.items()):
            self.end()
            msg = "the process sent what is no answer"
            raise GuestError(msg)
        return header, body

    def end(self) -> None:
        """End the process and whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._sock.close()
        self._drain.join(1)

    def _read_output(self) -> None:
        """Count what the plugin prints and throw it away: it may hold patients' values."""
        pipe = self._process.stdout
        with contextlib.suppress(OSError, ValueError):
            while pipe and (part := os.read(pipe.fileno(), 1 << 16)):
                self._printed += len(part)
                if self.source.verbose and self._printed <= self.source.limits.output:
                    sys.stderr.write(part.decode(errors="replace"))
                if self._printed > self.source.limits.output:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(self._process.pid, signal.SIGKILL)

    def _flood(self) -> str:
        return f"printed more than {self.source.limits.output} octets; the process was ended"

    def _ending(self, error: Exception) -> str:
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self.end()
            return (
                f"the process broke the connection ({error})" if isinstance(error, wire.BrokenWireError) else "hung up"
            )
        self.end()
        if self._printed > self.source.limits.output:
            return self._flood()
        if code < 0:
            return f"the process died of {signal.Signals(-code).name}"
        return f"the process ended by itself with exit status {code}"


def _environment() -> dict[str, str]:
    """Return a small environment: the search path, and nothing of the user's that a plugin has no business with."""
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH") if k in os.environ}
    path = os.pathsep.join(p for p in sys.path if p)
    fixed = {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    return {**kept, **fixed, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


_idle: dict[Source, list[Guest]] = defaultdict(list)
_lock = threading.Lock()
_owner = os.getpid()


@contextlib.contextmanager
def guest(source: Source) -> Iterator[Guest]:
    """Lend a guest of `source`: a resident one if one is free, else a new one; one at fault is not kept.

    Raises:
        GuestError: it could not be started, or the plugin ended it while loading.
    """
    global _owner
    with _lock:
        if _owner != os.getpid():
            _idle.clear()
            _owner = os.getpid()
        free = _idle[source].pop() if _idle[source] else None
    one = free or Guest(source)
    try:
        yield one
    except BaseException:
        one.end()
        raise
    with _lock:
        _idle[source].append(one)


def token() -> str:
    """Return a name for tables that no other tables of this process have."""
    return f"{os.getpid()}-{next(_TOKENS)}"


@atexit.register
def end_all() -> None:
    """End every idle guest."""
    if _owner == os.getpid():
        with _lock:
            for one in itertools.chain.from_iterable(_idle.values()):
                one.end()
            _idle.clear()
