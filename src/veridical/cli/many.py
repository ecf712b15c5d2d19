"""Many files in one command: workers, the journal beside the results, and the summary."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from veridical import __version__
from veridical.batch import Engine, Journal, Outcome, Summary, Task, run_batch
from veridical.cli import terminal
from veridical.cli.photo_jobs import PhotoJob
from veridical.errors import SomeFailed

__all__ = ["JOURNAL", "EngineName", "Jobs", "Many", "check_all_done"]

JOURNAL = ".veridical-journal.jsonl"

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
    """

    work: Callable[[PhotoJob], dict[str, Any]]
    title: str
    engine: Engine
    folder: Path
    journal: Journal

    def task(self, job: PhotoJob) -> Task:
        """Named by the place in the folder; fingerprint of the input as it lies there and the settings."""
        try:
            stat = job.source.stat()
            seen = [stat.st_size, stat.st_mtime_ns]
        except OSError:
            seen = []
        text = json.dumps(
            [__version__, seen, job.options, job.encoding], sort_keys=True, default=str
        )
        inside = job.target.is_relative_to(self.folder)
        name = job.target.relative_to(self.folder) if inside else job.target
        return Task(name.as_posix(), job, hashlib.sha256(text.encode()).hexdigest()[:16])

    def own_leftover(self, job: PhotoJob) -> bool:
        """The output stands there because an earlier run of this command began to make it."""
        return self.journal.has_begun(self.task(job))

    def run(self, jobs: Sequence[PhotoJob], *, again: bool) -> Summary:
        """Do all jobs; says what each gave or why it failed.

        Args:
            jobs: what to do.
            again: do also what an earlier run has finished.
        """
        tasks = [self.task(job) for job in jobs]
        self.journal.forget(t for t in tasks if again or not t.payload.target.exists())
        with terminal.progress(self.title) as update:
            summary = run_batch(
                self.work,
                tasks,
                engine=self.engine,
                journal=self.journal,
                progress=update,
                report=_say,
            )
        if summary.earlier:
            terminal.notice(f"{summary.earlier} of {len(jobs)} were done by an earlier run")
        return summary


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


def _say(outcome: Outcome) -> None:
    if outcome.error is not None:
        terminal.err.print(
            f"veridical: {outcome.key}: {outcome.error}", markup=False, soft_wrap=True
        )
        return
    for sentence in outcome.result["notices"]:
        terminal.notice(f"{outcome.key}: {sentence}")
    terminal.out.print(outcome.result["said"], markup=False, soft_wrap=True)
