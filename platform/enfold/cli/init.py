"""enfold init STUDY STUDY_FILE."""

import argparse
from pathlib import Path
from typing import Any

from enfold.cli.output import author, show
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="folder to create")
    parser.add_argument("study_file", type=Path, help="study.toml to start from")
    parser.add_argument("--author", default=author(), help="who creates it")
    parser.add_argument("--schema", action=_Schema, nargs=0, help="print the JSON Schema of study.toml, for editors")


class _Schema(argparse.Action):
    """Prints and ends, as --help does: nothing else need be given."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from enfold.shipped import shipped

        print((shipped("schemas") / "study.schema.json").read_text("utf-8"), end="")
        parser.exit()


def execute(args: argparse.Namespace) -> int:
    """Create folder and ledger, and land the study file as the first commit."""
    from enfold import study
    from enfold.evaluate import definitions
    from enfold.land import limits
    from enfold.land.protocol import land_study
    from enfold.ledger.ledger import Ledger

    if not args.study_file.is_file():
        msg = f"{args.study_file}: no such file"
        raise UsageError(msg, remedy="Give the path of a study.toml; docs/reference/study-file.md shows one.")
    text = limits.text_file(args.study_file)
    parsed = study.parse(text)
    if (args.study / "ledger").exists():
        msg = f"{args.study}: a study is here already"
        raise UsageError(msg, remedy="Choose another folder.")
    Ledger.create(args.study / "ledger")
    (args.study / "study.toml").write_text(text, "utf-8")
    own = definitions.brought(parsed, args.study)
    path = args.study / "study.toml"
    commit = land_study(args.study, path, author=args.author, reason="study created", brought=own)
    answer = {"study": parsed.id, "position": commit.position if commit else None}
    show(args, answer, f"created study {parsed.id} in {args.study}, position {answer['position']}")
    return 0
