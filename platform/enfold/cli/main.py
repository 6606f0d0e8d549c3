"""`enfold VERB STUDY …`: finds the verb, imports only that verb, turns errors into exit codes."""

import argparse
import gc
import importlib
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from enfold import __version__, extras
from enfold.errors import EXIT_CODES, DeniedError, EnfoldError

VERBS = {
    "init": "create a study folder from a study file",
    "land": "land files, or the study file itself, in the ledger",
    "correct": "correct a field of a fact, or move the fact to another subject",
    "retract": "withdraw an event",
    "history": "show who changed what of a subject, when and why",
    "refused": "list, show or export refused records, and land them again when mended",
    "cut": "name what an analysis may see, and lock it to a run",
    "run": "fold what was landed and evaluate every endpoint of the study",
    "sql": "ask a run's results in SQL",
    "explain": "show the criteria of one verdict, with their events and source rows",
    "subject": "show the course of one patient, each value with its events",
    "queries": "list or export data findings as a query list",
    "report": "print or write the trial's tables, pictures and numbers",
    "export": "write a run's data in a format of the field",
    "redact": "remove the content of events for good, lawfully and on record",
    "parcel": "write a run with all it rests on as one archive that needs no enfold",
    "pack": "rewrite many small segment files as few large ones",
    "diff": "show what moved between two cuts, and through which events",
    "verify": "read the whole ledger back and check every digest",
    "plugin": "list installed plugins and what they offer",
}
UNUSED = {"run": ("bson", "pandas", "pymongo")}  # by verb: what libraries import in case


def parser(verb: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; only the named verb's own arguments are loaded."""
    codes = "\n".join(f"  {code:>3}  {text}" for code, text in EXIT_CODES.items())
    top = argparse.ArgumentParser(
        prog="enfold",
        description="Event-sourced data platform for clinical trials.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"enfold {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, about in VERBS.items():
        sub = verbs.add_parser(name, help=about, description=about.capitalize() + ".")
        if name == verb:
            importlib.import_module(f"enfold.cli.{name}").arguments(sub)
            sub.add_argument("--json", action="store_true", help="print JSON with a stable shape")
    return top


def _definitions(args: argparse.Namespace) -> AbstractContextManager[None]:
    """Put in force what the plugins of the study add, if the verb is about a study that is there."""
    study = getattr(args, "study", None)
    if study is None or not (study / "ledger").is_dir():
        return nullcontext()
    from enfold import schema
    from enfold.ledger.bundles import added_in

    return schema.using(added_in(study))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    verb = next((w for w in words if w in VERBS), None)
    args = parser(verb).parse_args(words)
    try:
        with _definitions(args):
            return int(importlib.import_module(f"enfold.cli.{args.verb}").execute(args))
    except EnfoldError as error:
        if getattr(args, "json", False):
            print(json.dumps({"error": error.message, "remedy": error.remedy, "exit_code": error.exit_code}))
        if os.environ.get("ENFOLD_DEBUG"):
            raise
        print(f"enfold: {error}", file=sys.stderr)
        return error.exit_code
    except PermissionError as error:
        name = error.filename or "a file"
        print(f"enfold: {name}: permission denied\n  Nothing was half-written; mend the permissions.", file=sys.stderr)
        return DeniedError.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("ENFOLD_DEBUG"):
            raise
        # the text of an unforeseen error may quote data, so only its kind is shown
        print(f"enfold: internal error ({type(error).__name__}); a defect of enfold", file=sys.stderr)
        print("  Run again with ENFOLD_DEBUG=1 and report what it shows.", file=sys.stderr)
        return EnfoldError.exit_code


def command() -> int:
    """Run the command of a process of its own and return its exit code.

    Hundred thousands of objects are made by imports, and stay. Python would look them through again and again for
    garbage, and twice at the end, of which once is spared.
    """
    gc.set_threshold(50_000)
    words = sys.argv[1:]
    other = any(w.startswith("--ru") for w in words)  # --runner may be abbreviated
    unused = () if other or not words else UNUSED.get(words[0], ())
    try:
        with extras.without(*unused):
            return main()
    finally:
        gc.disable()  # not freeze: DuckDB's bindings would report all that is frozen as leaked


if __name__ == "__main__":
    sys.exit(command())
