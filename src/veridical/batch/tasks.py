"""Jobs, what becomes of them, and the journal by which a killed run goes on."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veridical.errors import UnwritableOutput
from veridical.writing import check_regular


@dataclass(frozen=True)
class Task:
    """One job.

    Attributes:
        key: its name, unlike every other's, such as the path of an output.
        payload: what the work is given; it must be picklable.
        fingerprint: of all that decides the result; a finished job whose fingerprint changed is done again.
        memory: the most bytes that a worker holds while it does the job; 0 if that is not known.
    """

    key: str
    payload: Any = field(repr=False)
    fingerprint: str = ""
    memory: int = 0


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

    A line carries a checksum and is skipped if it does not agree. Besides, the journal remembers the
    digests of files, so that a file is hashed again only after its size or its times changed.

    Args:
        path: of the file; it is made with the first line.

    Raises:
        UnwritableOutput: The file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begun: set[tuple[str, str]] = set()
        self._done: dict[tuple[str, str], Any] = {}
        self._known: dict[str, tuple[list[int], str]] = {}
        self._news: list[dict[str, Any]] = []
        check_regular(path)  # a pipe or a device may never end
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
            if entry.pop("check") != _check(entry):
                return
            state = entry["state"]
            if state == "digest":
                self._known[entry["path"]] = (entry["seen"], entry["sha256"])
                return
            name = (str(entry["key"]), str(entry["fingerprint"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        if state == "begun":
            self._begun.add(name)
        elif state == "done":
            self._done[name] = entry.get("result")

    def _append(self, entries: Iterable[dict[str, Any]]) -> None:
        found = [*self._news, *entries]
        lines = "".join(_line(entry | {"check": _check(entry)}) + "\n" for entry in found)
        if not found:
            return
        try:
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(("\n" if self._open_line else "") + lines)
        except OSError as cause:
            raise UnwritableOutput(
                f"cannot write the journal {self.path}: {cause.strerror or cause}"
            ) from cause
        self._open_line = False
        self._news = []

    def digest(self, path: Path) -> tuple[int, str] | None:
        """Size and SHA-256 of a regular file, None if there is none that can be read."""
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                return None
            name = os.path.realpath(path)
            seen = [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
            if (known := self._known.get(name)) is None or known[0] != seen:
                with path.open("rb") as file:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                self._known[name] = known = (seen, sha256)
                self._news.append({"state": "digest", "path": name, "seen": seen, "sha256": sha256})
        except (OSError, ValueError):  # a name with a NUL byte is a ValueError
            return None
        return found.st_size, known[1]

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
        """Note that jobs are handed out, and the digests that were found."""
        self._append({"key": t.key, "fingerprint": t.fingerprint, "state": "begun"} for t in tasks)

    def end(self, task: Task, outcome: Outcome) -> None:
        """Note what became of a job."""
        entry = {"key": task.key, "fingerprint": task.fingerprint}
        if outcome.error is None:
            self._append([entry | {"state": "done", "result": outcome.result}])
        else:
            self._append([entry | {"state": "failed", "error": outcome.error}])


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True)


def _check(entry: dict[str, Any]) -> int:
    return zlib.crc32(_line(entry).encode("ascii"))
