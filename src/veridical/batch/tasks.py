"""Jobs, what becomes of them, and the journal by which a killed run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veridical.errors import UnwritableOutput

__all__ = ["Journal", "Outcome", "Summary", "Task"]


@dataclass(frozen=True)
class Task:
    """One job.

    Attributes:
        key: its name, unlike every other's, such as the path of an output.
        payload: what the work is given; it must be picklable.
        fingerprint: of input and settings; a finished job whose fingerprint changed is done again.
    """

    key: str
    payload: Any = field(repr=False)
    fingerprint: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its result, which fits into JSON, or why it failed."""

    key: str
    result: Any = None
    error: str | None = None


@dataclass(frozen=True)
class Summary:
    """All jobs of a run, in the order of the tasks.

    Attributes:
        outcomes: of each.
        earlier: how many had been finished by an earlier run.
    """

    outcomes: tuple[Outcome, ...]
    earlier: int

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Those that failed."""
        return tuple(o for o in self.outcomes if o.error is not None)


class Journal:
    """What a run began and finished, one JSON object a line, in a file that survives being killed.

    Args:
        path: of the file; it is made with the first line.

    Raises:
        UnwritableOutput: The file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begun: set[tuple[str, str]] = set()
        self._done: dict[tuple[str, str], Any] = {}
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
        except (OSError, UnicodeDecodeError) as cause:
            raise UnwritableOutput(
                f"cannot read the journal {path} ({cause}); delete it to begin anew"
            ) from cause
        for line in text.splitlines():
            self._read(line)
        # A line that was cut off by a kill must not swallow the next one.
        self._open_line = bool(text) and not text.endswith("\n")

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
            name = (str(entry["key"]), str(entry["fingerprint"]))
            state = entry["state"]
        except (ValueError, KeyError, TypeError):
            return
        if state == "begun":
            self._begun.add(name)
        elif state == "done":
            self._done[name] = entry.get("result")

    def _append(self, entries: Iterable[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in entries)
        try:
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(("\n" if self._open_line else "") + lines)
        except OSError as cause:
            raise UnwritableOutput(
                f"cannot write the journal {self.path}: {cause.strerror or cause}"
            ) from cause
        self._open_line = False

    def finished(self, task: Task) -> Outcome | None:
        """The outcome of a job that was done before with this fingerprint."""
        name = (task.key, task.fingerprint)
        return Outcome(task.key, self._done[name]) if name in self._done else None

    def has_begun(self, task: Task) -> bool:
        """An earlier run began this job, so that what it may have left is its own."""
        return (task.key, task.fingerprint) in self._begun

    def forget(self, tasks: Iterable[Task]) -> None:
        """Take these for not done, for this run; their outputs are gone."""
        for task in tasks:
            self._done.pop((task.key, task.fingerprint), None)

    def begin(self, tasks: Iterable[Task]) -> None:
        """Note that jobs are handed out."""
        self._append({"key": t.key, "fingerprint": t.fingerprint, "state": "begun"} for t in tasks)

    def end(self, task: Task, outcome: Outcome) -> None:
        """Note what became of a job."""
        entry = {"key": task.key, "fingerprint": task.fingerprint}
        if outcome.error is None:
            self._append([entry | {"state": "done", "result": outcome.result}])
        else:
            self._append([entry | {"state": "failed", "error": outcome.error}])
