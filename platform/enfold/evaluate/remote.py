"""Remote: have a rule called in its guest process, on evidence that is sent once per shard."""

import threading
from collections.abc import Mapping, Sequence
from datetime import date

import pyarrow as pa

from enfold import schema
from enfold.evaluate import describe, wire
from enfold.evaluate.graph import Task
from enfold.evaluate.isolation import Guest, GuestError, guest, token
from enfold.study import StudyFile


class RemoteError(Exception):
    """A rule failed in its guest: at which stage, and what is said of it."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(message)
        self.stage, self.message = stage, message


class Evidence:
    """One shard's evidence for guests, written to shared memory when the first of them asks for it."""

    def __init__(
        self, tasks: Sequence[Task], state: Mapping[str, pa.Table], study: StudyFile, cutoff: date | None
    ) -> None:
        self._study, self._cutoff = study.text, cutoff.isoformat() if cutoff else None
        self._state = state
        self._reads: dict[str, dict[str, None]] = {"subjects": {"study_id": None, "subject_id": None}}
        for task in tasks:
            if task.offered.source:
                for table, columns in task.declaration.reads.items():
                    keys = [c for c in ("study_id", "subject_id") if c in state[table].column_names]
                    self._reads.setdefault(table, {}).update(dict.fromkeys([*keys, *columns]))
        self._shared: dict[str, tuple[str, wire.Shared]] = {}
        self._turn = threading.Lock()

    def compute(self, task: Task, results: Mapping[str, pa.Table]) -> pa.Table:
        """Return what the rule of `task` returned in its guest; one at a time, or a plugin would need several guests.

        Raises:
            RemoteError: it failed, or its guest ended.
        """
        with self._turn:
            return self._compute(task, results)

    def _compute(self, task: Task, results: Mapping[str, pa.Table]) -> pa.Table:
        source, given_up = task.offered.source, task.offered.given_up
        assert source is not None
        if given_up:
            raise RemoteError("compute", given_up[0])
        self._share(task, results)
        roles = ["state", *(f"result {n}" for n in task.declaration.needs)]
        try:
            with guest(source) as lent:
                answer, body = self._ask(lent, task, roles, source.limits.seconds)
                if answer["tainted"]:
                    raise RemoteError(
                        "compute", str(answer["message"])
                    )  # ends this guest; the next rule gets a new one
        except GuestError as error:
            given_up.append(str(error))  # a hang costs its time once in a worker, not once in every shard
            raise RemoteError("compute", str(error)) from None
        if answer["stage"]:
            raise RemoteError("return", str(answer["message"]))
        try:
            return wire.unpacked(body)
        except ValueError as error:
            raise RemoteError("return", str(error)) from None

    def _ask(self, lent: Guest, task: Task, roles: list[str], seconds: int) -> tuple[dict[str, object], bytes]:
        sent = [r for r in roles if lent.holds.get(r) != self._shared[r][0]]
        tables = {r: {"token": self._shared[r][0], "names": self._shared[r][1].names} for r in roles}
        answer = lent.ask(
            {
                "id": task.declaration.id,
                "parameters": describe.plain_parameters(task.parameters),
                "study": self._study,
                "cutoff": self._cutoff,
                "added": schema.added().files,
                "seconds": seconds,
                "tables": tables,
                "sent": sent,
            },
            [self._shared[r][1].fd for r in sent],
            answer={"stage": str, "message": str, "tainted": bool},
        )
        lent.holds = {r: self._shared[r][0] for r in roles}
        return answer

    def _share(self, task: Task, results: Mapping[str, pa.Table]) -> None:
        if "state" not in self._shared:
            chosen = {t: self._state[t].select(list(columns)) for t, columns in sorted(self._reads.items())}
            self._shared["state"] = (token(), wire.Shared(chosen))
        for name in task.declaration.needs:
            if f"result {name}" not in self._shared:
                self._shared[f"result {name}"] = (token(), wire.Shared({"rows": results[name]}))

    def close(self) -> None:
        """Give the shared memory back."""
        for _, shared in self._shared.values():
            shared.close()
