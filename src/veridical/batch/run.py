"""All jobs of a batch in rounds, whatever becomes of single ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from veridical.batch.engine import Engine, connected, until_death
from veridical.batch.memory import available_bytes, by_width
from veridical.batch.tasks import Journal, Outcome, Summary, Task
from veridical.errors import InvalidSetting

_ROUND = 8
_DEADLY = "workers died on it, at last on it alone; it may need more memory than there is"


def run_batch(
    work: Callable[[Any], Any],
    tasks: Sequence[Task],
    *,
    engine: Engine | None = None,
    journal: Journal | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> Summary:
    """Do every task, whatever becomes of the others.

    Workers of this machine are as few at a time as its memory asks for, going by what each task says it
    needs; a task that needs more than there is runs alone.

    Args:
        work: function of a payload, importable by the workers; its result fits into JSON.
        tasks: the jobs.
        engine: who works; the cores of this machine if left out.
        journal: of this and earlier runs; jobs that it calls done are not done again.
        progress: called with (done, total) jobs.
        report: called with each outcome of this run as it comes.

    Raises:
        InvalidSetting: two tasks with the same key.
        MissingDependency: the engine is not installed.
        UnwritableOutput: the journal cannot be written.
    """
    engine = Engine() if engine is None else engine
    outcomes: dict[str, Outcome] = {}
    if len({t.key for t in tasks}) < len(tasks):
        raise InvalidSetting("two tasks of a batch have the same key; give each its own")
    if journal is not None:
        outcomes = {t.key: o for t in tasks if (o := journal.finished(t)) is not None}
    earlier = len(outcomes)
    progress(earlier, len(tasks))

    def note(task: Task, outcome: Outcome) -> None:
        outcomes[task.key] = outcome
        if journal is not None:
            journal.end(task, outcome)
        report(outcome)
        progress(len(outcomes), len(tasks))

    open_tasks = [t for t in tasks if t.key not in outcomes]
    if journal is not None:
        journal.begin(open_tasks)
    # The memory of a cluster is the cluster's to share out.
    memory = available_bytes() if engine.name == "loky" and engine.workers > 1 else None
    with connected(engine):
        for width, group in by_width(open_tasks, engine.workers, memory):
            size = _ROUND * width
            for first in range(0, len(group), size):
                _round(work, group[first : first + size], engine, width, note)
    return Summary(tuple(outcomes[t.key] for t in tasks), earlier)


def _round(
    work: Callable[[Any], Any],
    tasks: Sequence[Task],
    engine: Engine,
    width: int,
    note: Callable[[Task, Outcome], None],
) -> None:
    """Some tasks on so many workers; after the death of a worker those that are left together again, then one by one."""
    left = {t.key: t for t in tasks}
    for _ in range(2):
        if left:
            for outcome in until_death(work, list(left.values()), engine, width):
                note(left.pop(outcome.key), outcome)
    for task in left.values():
        found = list(until_death(work, [task], engine, 1))
        note(task, found[0] if found else Outcome(task.key, error=_DEADLY))
