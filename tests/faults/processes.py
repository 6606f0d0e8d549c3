"""Processes that start at once: forked from a server that has imported everything and opened nothing."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
PRELOADED = ["faults.children"]
_STARTING = threading.Lock()


def start(target: Callable[..., None], *args: Any) -> Any:
    """Start a process that does `target(*args)`; it has `pid`, `kill`, `join`, `exitcode`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with _STARTING:
        kept = dict(os.environ)
        path = os.pathsep.join([str(TESTS), *filter(None, [kept.get("PYTHONPATH")])])
        main, known = sys.modules["__main__"], getattr(sys.modules["__main__"], "__file__", None)
        os.environ.update(PYTHONPATH=path, OPENBLAS_NUM_THREADS="1")  # threads of a library do not survive a fork
        try:
            if known is not None:
                del main.__file__  # else the child runs the parent's main script once more
            process = context.Process(target=target, args=args, daemon=True)
            process.start()
        finally:
            if known is not None:
                main.__file__ = known
            os.environ.clear()
            os.environ.update(kept)
    return process
