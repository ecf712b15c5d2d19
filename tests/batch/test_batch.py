"""Batches: order, failures, dead workers, the journal, and a real local cluster."""

import json
import os
import signal
from pathlib import Path

import pytest

from veridical.batch import Engine, Journal, Task, run_batch
from veridical.batch.memory import by_width
from veridical.errors import DamagedFile, InvalidSetting, MissingDependency, UnwritableOutput


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
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UnwritableOutput, match="no regular file"):
            Journal(tmp_path / "pipe")
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


def pid_job(marks: Path):
    def work(payload):
        (marks / str(os.getpid())).touch()
        return os.getpid()

    return work


@pytest.mark.parametrize("count", [1, 2])
def test_no_more_workers_than_tasks(tmp_path, monkeypatch, count):
    # Oracle: what joblib is asked for, and the processes that worked.
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor(max_workers=1).shutdown(wait=True)
    tasks = [Task(str(k), k) for k in range(count)]
    summary = run_batch(pid_job(tmp_path), tasks, engine=Engine(jobs=4))
    assert not summary.failed
    assert os.getpid() not in {o.result for o in summary.outcomes}
    assert len(get_reusable_executor(max_workers=count, reuse=True)._processes) <= count


def counting_job(folder: Path):
    """How many workers are at work at the same time, by the files that they hold."""

    def work(payload):
        import time

        mine = folder / str(payload)
        mine.touch()
        time.sleep(0.3)
        together = len(list(folder.iterdir()))
        mine.unlink()
        return [together, os.getpid()]

    return work


def test_workers_are_as_few_as_the_memory_asks_for(tmp_path, monkeypatch):
    # Oracle: 80 of 100 bytes may be in use: two workers for tasks of 40 bytes, one for those of 41 and of
    # 500, all for those that do not say; never this process. Who is at work at once is counted.
    needs = [40, 0, 500, 40, 41, 0, 40, 40, 0]
    tasks = [Task(str(k), k, memory=need) for k, need in enumerate(needs)]
    groups = [(n, [t.memory for t in group]) for n, group in by_width(tasks, 3, 100)]
    assert groups == [(1, [500, 41]), (2, [40] * 4), (3, [0] * 3)]
    assert [n for n, _ in by_width(tasks, 3, None)] == [3]
    monkeypatch.setattr("veridical.batch.run.available_bytes", lambda: 100)
    seen = []
    summary = run_batch(
        counting_job(tmp_path), tasks, engine=Engine(jobs=3), report=lambda o: seen.append(o.key)
    )
    assert [o.key for o in summary.outcomes] == [str(k) for k in range(9)]
    assert not summary.failed
    for need, outcome in zip(needs, summary.outcomes, strict=True):
        together, pid = outcome.result
        assert together <= {500: 1, 41: 1, 40: 2, 0: 3}[need]
        assert pid != os.getpid()
    # Small ones come last, so that no worker of theirs waits with its memory beside a large one.
    assert {needs[int(k)] for k in seen[:2]} == {41, 500}


def test_the_memory_that_there_is(monkeypatch, tmp_path):
    # Oracle: the files of Linux, by hand; without them what POSIX says, and without that nothing.
    from veridical.batch import memory

    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:   4000 kB\n")
    assert memory.available_bytes() == 4000 << 10
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_bytes() == 4000 << 10
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("2000000\n")
    (tmp_path / "memory.stat").write_text("anon 7\ninactive_file 500000\nactive_file 3\n")
    assert memory.available_bytes() == 1_500_000
    (tmp_path / "meminfo").unlink()
    (tmp_path / "memory.max").unlink()
    assert memory.available_bytes() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    monkeypatch.delattr(os, "sysconf")
    assert memory.available_bytes() is None


def test_dask_names_its_package(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependency, match="install the package distributed"):
        run_batch(abs, [Task("a", 1)], engine=Engine("dask"))
