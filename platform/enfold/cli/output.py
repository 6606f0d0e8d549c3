"""Small helpers that every verb shares: print a result, say progress."""

import argparse
import datetime as dt
import getpass
import json
import os
import sys
from pathlib import Path
from typing import Any

from enfold.errors import UsageError


def show(args: argparse.Namespace, answer: Any, text: str) -> None:
    """Print the result on standard output: JSON if asked for, else text."""
    print(json.dumps(answer, sort_keys=True, default=str) if args.json else text)


def say(message: str) -> None:
    """Say something about progress on standard error, only to a person at a terminal."""
    if sys.stderr.isatty():
        print(message, file=sys.stderr)


def author() -> str:
    """Return who is at the keyboard: ENFOLD_AUTHOR, else the login name."""
    try:
        return os.environ.get("ENFOLD_AUTHOR") or getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def create_new(path: Path, data: bytes) -> None:
    """Write a file that the user named; one that exists is left alone.

    Raises:
        UsageError: it exists.
    """
    from enfold.ledger import storage

    try:
        storage.create(path, data)
    except FileExistsError:
        msg = f"{path} exists"
        raise UsageError(msg, remedy="Name another file, or move this one away.") from None


def written_picture(args: argparse.Namespace, svg: str) -> None:
    """Write a picture to the new file `args.picture`, as its ending says, and say so.

    Raises:
        UsageError: the file exists, or its ending is not one that can be written.
    """
    ending = args.picture.suffix.lower()
    if ending not in (".svg", ".png"):
        msg = f"{args.picture}: a picture ends in .svg or .png"
        raise UsageError(msg, remedy="Name the file so.")
    from enfold.report.plots.svg import png

    data = png(svg) if ending == ".png" else svg.encode()
    create_new(args.picture, data)
    show(args, {"picture": str(args.picture), "bytes": len(data)}, f"{args.picture}: {len(data)} bytes")


def instant(text: str | None) -> dt.datetime | None:
    """Return a bound of a cut in UTC.

    Raises:
        UsageError: it is not a date-time with offset.
    """
    if text is None:
        return None
    try:
        value = dt.datetime.fromisoformat(text)
    except ValueError:
        value = dt.datetime.min  # noqa: DTZ901 - naive on purpose: refused below
    if value.tzinfo is None:
        msg = "a bound is not a date-time with offset"
        raise UsageError(msg, remedy="Write YYYY-MM-DDThh:mm:ss+00:00.")
    return value.astimezone(dt.UTC)
