"""The chain: every commit file in order, each seal and every link checked when it is read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from enfold.errors import IntegrityError
from enfold.ledger import commits, storage
from enfold.ledger.commits import Commit, Stored


class Chain(Sequence[Commit]):
    """The commits of a ledger. Reading checks all of them and parses none; `[i]` parses one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stored: list[Stored] = []
        names = storage.listing(folder, ".json")
        until = int(names[-1].removesuffix(".json")) if names else 0
        for position in range(1, until + 1):
            name = commits.commit_name(position)
            # a listing may lack a file that came while it was made, though it has a later one
            if len(names) != until and not (folder / name).exists():
                msg = f"commits/{name}: missing, though commits/{names[-1]} exists"
                raise IntegrityError(msg, remedy="Restore it from a backup of the ledger.")
        self._extend(until)

    def refresh(self) -> None:
        """Read the commits that were added since."""
        while (self.folder / commits.commit_name(len(self) + 1)).exists():
            self._extend(len(self) + 1)

    def _extend(self, until: int) -> None:
        for position in range(len(self.stored) + 1, until + 1):
            name = commits.commit_name(position)
            found = commits.parse(storage.read(self.folder / name), f"commits/{name}")
            if not found.follows(position, self.head):
                msg = f"commits/{name}: does not follow the commit before it; the chain is broken"
                raise IntegrityError(msg, remedy="Restore the ledger from a backup.")
            self.stored.append(found)

    @property
    def head(self) -> str | None:
        """Hash of the newest commit."""
        return self.stored[-1].hash if self.stored else None

    def of_kind(self, kind: str, upto: int | None = None) -> Iterator[Commit]:
        """Yield the commits of one kind up to a position, newest first; only these are parsed."""
        for found in reversed(self.stored[:upto]):
            if found.is_kind(kind):
                yield found.commit

    def __len__(self) -> int:
        """Return the number of commits, which is the position of the newest."""
        return len(self.stored)

    @overload
    def __getitem__(self, index: int) -> Commit: ...
    @overload
    def __getitem__(self, index: slice) -> list[Commit]: ...
    def __getitem__(self, index: int | slice) -> Commit | list[Commit]:
        """Return the commit at `index` (position less one)."""
        if isinstance(index, slice):
            return [s.commit for s in self.stored[index]]
        return self.stored[index].commit
