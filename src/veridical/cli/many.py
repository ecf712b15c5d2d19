"""Many files in one command: workers, the journal beside the results, and the summary."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from veridical import __version__
from veridical.batch import Engine, Journal, Outcome, Summary, Task, run_batch
from veridical.cli import terminal
from veridical.cli.photo_jobs import PhotoJob, compare_job, decode_job, encode_job, needed_bytes
from veridical.cli.pipes import say_json
from veridical.errors import SomeFailed
from veridical.photo.weights import default_weights

JOURNAL = ".veridical-journal.jsonl"

_BYTES_PER_PIXEL: dict[Any, int] = {encode_job: 32, decode_job: 32, compare_job: 1200}
"""At most, as measured: AVIF's encoder needs most of the first two, perceptual measures of the last."""

Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", help="Files at a time (default: as many as cores).")
]
EngineName = Annotated[
    str, typer.Option("--engine", help="loky (this machine), or ray or dask (a cluster).")
]


@dataclass(frozen=True)
class Many:
    """The jobs of one command whose results lie in one folder.

    Attributes:
        work: one of the functions of ``photo_jobs``.
        title: of the progress bar.
        engine: who works.
        folder: of the results and the journal.
        journal: of earlier runs and this one.
        writes: each job writes its target; otherwise it only reads it.
        as_json: results are said as JSON.
    """

    work: Callable[[PhotoJob], dict[str, Any]]
    title: str
    engine: Engine
    folder: Path
    journal: Journal
    writes: bool = True
    as_json: bool = False

    def task(self, job: PhotoJob) -> Task:
        """Named by the place in the folder; the fingerprint is of all that decides the result.

        That is the command, the inputs with their content, the settings and the weights.
        """
        inputs = [job.source] if self.writes else [job.source, job.target]
        inside = job.target.is_relative_to(self.folder)
        name = (job.target.relative_to(self.folder) if inside else job.target).as_posix()
        text = json.dumps(
            [
                __version__, self.work.__name__, self.engine.torch, name, job.options, job.encoding,
                [(os.path.abspath(p), self.journal.digest(p)) for p in inputs],  # noqa: PTH100 (a name with a NUL byte too)
                [(p.name, self.journal.digest(p)) for p in self._weights(job)],
            ],
            sort_keys=True, default=str,
        )  # fmt: skip
        return Task(name, job, hashlib.sha256(text.encode()).hexdigest()[:32])

    def _weights(self, job: PhotoJob) -> list[Path]:
        """The weights files that may decide the result."""
        if self.work is encode_job:
            if job.target.suffix.lower() != ".vdc":
                return []
            own = job.encoding.get("weights")
        else:
            own = job.options.weights
        folder, stem = own or default_weights(), ""
        if not folder.is_dir():
            folder, stem = folder.parent, folder.stem
        if not folder.is_dir():
            return []
        return sorted(
            p
            for p in folder.iterdir()
            if p.name.startswith(stem) and p.suffix in (".onnx", ".npz", ".json", ".new")
        )

    def _stands(self, task: Task) -> bool:
        """The output is the one that an earlier run wrote."""
        done = self.journal.finished(task)
        if done is None or not self.writes:
            return done is not None
        found = self.journal.digest(task.payload.target)
        return found is not None and list(found) == done.result["output"]

    def _named(self, job: PhotoJob) -> str:
        """As the file was given, by which a person knows it."""
        return str(job.source if self.writes else job.target)

    def _say(self, outcome: Outcome, job: PhotoJob) -> None:
        name, result = self._named(job), outcome.result
        if outcome.error is not None:
            terminal.fail(terminal.about(name, outcome.error))
            return
        for sentence in result["notices"]:
            terminal.notice(terminal.about(name, sentence))
        if self.as_json:
            words = ("input", "output") if self.writes else ("original", "file")
            files = dict(zip(words, (job.source, job.target), strict=True))
            say_json(files | result["facts"] | {"notices": result["notices"]})
        else:
            terminal.say(result["said"])

    def own_leftover(self, job: PhotoJob) -> bool:
        """The output stands there because an earlier run of this command began to make it."""
        return self.journal.has_begun(self.task(job))

    def run(self, jobs: Sequence[PhotoJob], *, again: bool) -> Summary:
        """Do all jobs; says what each gave or why it failed. Failed ones are named as they were given.

        Args:
            jobs: what to do.
            again: do also what an earlier run has finished.
        """
        tasks = [self.task(job) for job in jobs]
        by_key = {t.key: t.payload for t in tasks}
        if self.engine.workers > 1:
            each = _BYTES_PER_PIXEL[self.work]
            tasks = [replace(t, memory=needed_bytes(t.payload, each)) for t in tasks]
        self.journal.forget(t for t in tasks if again or not self._stands(t))
        with terminal.progress(self.title) as update:
            summary = run_batch(
                self.work,
                tasks,
                engine=self.engine,
                journal=self.journal,
                progress=update,
                report=lambda outcome: self._say(outcome, by_key[outcome.key]),
            )
        if summary.earlier:
            terminal.notice(f"{summary.earlier} of {len(jobs)} were done by an earlier run")
        return Summary(
            tuple(
                replace(o, key=self._named(by_key[o.key])) if o.error is not None else o
                for o in summary.outcomes
            ),
            summary.earlier,
        )


def check_all_done(summary: Summary) -> None:
    """Name what failed.

    Raises:
        SomeFailed: one job or more failed; the others are done.
    """
    if summary.failed:
        names = "\n  ".join(o.key for o in summary.failed)
        raise SomeFailed(
            f"{len(summary.failed)} of {len(summary.outcomes)} failed, the others are done; run the "
            f"command again to try only these:\n  {names}"
        )
