"""Batches: order, failures, dead workers, the journal, and a real local cluster."""

import json
import os
import signal
from pathlib import Path

import pytest

from veridical.batch import Engine, Journal, Task, run_batch
from veridical.errors import DamagedFile, InvalidSetting, UnwritableOutput


def square_job():
    # A function inside a function is sent to workers by value, so that they need not import tests.
    def work(payload):
        if payload == 3:
            raise DamagedFile("three is broken")
        if payload == 4:
            raise ZeroDivisionError("a defect")
        return payload * payload

    return work


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_bad_job_stops_no_other(jobs):
    # Oracle: squares in the order of the tasks; the two that fail are named, with their cause.
    tasks = [Task(str(k), k) for k in range(20)]
    seen = []
    summary = run_batch(
        square_job(), tasks, engine=Engine(jobs=jobs), progress=lambda a, b: seen.append((a, b))
    )
    assert [o.key for o in summary.outcomes] == [str(k) for k in range(20)]
    assert [o.result for o in summary.outcomes if o.error is None] == [
        k * k for k in range(20) if k not in {3, 4}
    ]
    assert [o.error for o in summary.failed] == [
        "three is broken",
        "unexpected ZeroDivisionError: a defect",
    ]
    assert seen[0] == (0, 20)
    assert seen[-1] == (20, 20)
    assert [a for a, _ in seen] == sorted(a for a, _ in seen)


def killing_job(marks: Path, fatal: int, times: int):
    def work(payload):
        tries = len(list(marks.glob(f"{payload}-*")))
        (marks / f"{payload}-{tries}").touch()
        if payload == fatal and tries < times:
            os.kill(os.getpid(), signal.SIGKILL)
        return payload + 100

    return work


@pytest.mark.parametrize(("times", "error"), [(1, None), (99, "workers died on it")])
def test_a_dead_worker_takes_nothing_along(tmp_path, times, error):
    # Oracle: every result is there, except that of a job on which workers die every time. It is
    # handed out three times: twice with the others, and alone.
    tasks = [Task(str(k), k) for k in range(6)]
    summary = run_batch(killing_job(tmp_path, 2, times), tasks, engine=Engine(jobs=2))
    for k, outcome in enumerate(summary.outcomes):
        if k == 2 and error is not None:
            assert error in outcome.error
        else:
            assert outcome.result == k + 100
    if error is not None:
        assert len(list(tmp_path.glob("2-*"))) == 3


def test_a_killed_run_goes_on_where_the_journal_ends(tmp_path):
    # Oracle: the journal of a run cut off in the middle of a line; only what it does not call done,
    # or what changed since, is done again.
    path = tmp_path / "journal.jsonl"
    calls = []

    def work(payload):
        calls.append(payload)
        return payload

    tasks = [Task(str(k), k, "v1") for k in range(4)]
    run_batch(work, tasks[:2], engine=Engine(jobs=1), journal=Journal(path))
    with path.open("a") as file:
        file.write('{"key": "2", "fingerprint": "v1", "state": "do')
    changed = [Task("0", 0, "v2"), *tasks[1:]]
    journal = Journal(path)
    assert journal.has_begun(tasks[0])
    assert not journal.has_begun(changed[0])
    summary = run_batch(work, changed, engine=Engine(jobs=1), journal=journal)
    assert calls == [0, 1, 0, 2, 3]
    assert summary.earlier == 1
    assert [o.result for o in summary.outcomes] == [0, 1, 2, 3]
    again = run_batch(work, changed, engine=Engine(jobs=1), journal=Journal(path))
    assert again.earlier == 4
    assert len(calls) == 5
    for line in path.read_text().splitlines():
        if not line.endswith("do"):
            json.loads(line)


def test_a_damaged_line_of_a_journal_is_no_line(tmp_path):
    # Oracle: the checksum: of three results that are done, the one whose line says something else is
    # done again, and lines that are no entries at all stop nothing.
    path = tmp_path / "journal"
    tasks = [Task(str(k), k) for k in range(3)]
    run_batch(abs, tasks, engine=Engine(jobs=1), journal=Journal(path))
    lines = path.read_text().replace('"result": 1', '"result": 7').splitlines()
    odd = ["[" * 100_000, "null", "[1]", '{"check": {}, "state": []}', '{"state": "done"}']
    path.write_text("\n".join([*odd, *lines]) + "\n")
    again = run_batch(abs, tasks, engine=Engine(jobs=1), journal=Journal(path))
    assert again.earlier == 2
    assert [o.result for o in again.outcomes] == [0, 1, 2]


def test_failed_jobs_are_tried_again_by_the_next_run(tmp_path):
    broken = [True]

    def work(payload):
        if payload == 1 and broken[0]:
            raise DamagedFile("not yet")
        return payload

    tasks = [Task(str(k), k) for k in range(3)]
    path = tmp_path / "journal"
    first = run_batch(work, tasks, engine=Engine(jobs=1), journal=Journal(path))
    assert [o.key for o in first.failed] == ["1"]
    broken[0] = False
    second = run_batch(work, tasks, engine=Engine(jobs=1), journal=Journal(path))
    assert second.failed == ()
    assert second.earlier == 2


def test_bad_settings_and_journals_are_refused(tmp_path):
    with pytest.raises(InvalidSetting, match="loky"):
        Engine("slurm")
    with pytest.raises(InvalidSetting):
        Engine(jobs=0)
    with pytest.raises(InvalidSetting, match="same key"):
        run_batch(abs, [Task("a", 1), Task("a", 2)])
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnwritableOutput, match="delete it"):
        Journal(tmp_path / "binary")
    with pytest.raises(UnwritableOutput, match="cannot write the journal"):
        run_batch(abs, [Task("a", 1)], journal=Journal(tmp_path / "no" / "folder"))


def thread_job():
    def work(payload):
        import torch

        return torch.get_num_threads()

    return work


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_worker_computes_with_the_same_number_of_threads(jobs):
    # Oracle: sums of floating point numbers depend on the threads, so results would depend on jobs.
    import torch

    before = torch.get_num_threads()
    tasks = [Task(str(k), k) for k in range(3)]
    summary = run_batch(thread_job(), tasks, engine=Engine(jobs=jobs, torch=True))
    assert [o.result for o in summary.outcomes] == [1, 1, 1]
    assert torch.get_num_threads() == before


def growing_job():
    def work(payload):
        import sys
        import time

        # What loky takes for a leak is memory that stays; it looks once a second.
        sys.modules.setdefault("kept", []).append(bytearray(b"x") * (200 << 20))
        time.sleep(1.1)
        return payload

    return work


@pytest.mark.slow
def test_workers_that_grow_are_replaced_without_a_hang():
    # Oracle: all results, with warnings as errors, as in all tests; each worker keeps 200 MB a job.
    tasks = [Task(str(k), k) for k in range(8)]
    summary = run_batch(growing_job(), tasks, engine=Engine(jobs=2))
    assert [o.result for o in summary.outcomes] == list(range(8))


@pytest.mark.filterwarnings("default")  # ray's own use of what Python is about to drop
def test_a_local_ray_cluster_survives_the_death_of_a_worker(tmp_path):
    # Oracle: a cluster of two workers, one of them killed by its third job: all results are there,
    # the same as without a cluster, and nothing is left connected.
    ray = pytest.importorskip("ray")
    tasks = [Task(str(k), k) for k in range(6)]
    summary = run_batch(killing_job(tmp_path, 2, 1), tasks, engine=Engine("ray", jobs=2))
    assert [o.result for o in summary.outcomes] == [k + 100 for k in range(6)]
    assert len(list(tmp_path.glob("2-*"))) == 2
    assert not ray.is_initialized()
