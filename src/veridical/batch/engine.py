"""Who works: processes of this machine or a cluster, all behind joblib."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from veridical.batch.tasks import Outcome, Task
from veridical.errors import InvalidSetting, VeridicalError, typed_errors
from veridical.extras import missing, require

_ENGINES = ("loky", "ray", "dask")


@dataclass(frozen=True)
class Engine:
    """Who works.

    Attributes:
        name: ``loky`` (processes of this machine), ``ray`` or ``dask`` (joblib's backends for a
            cluster, which is the one that this process is connected to, or a local one).
        jobs: Workers; 1 with ``loky`` works in this process. ``None``: the cores of this machine.
        threads: Threads of a worker, for every number of workers the same, because sums of floating
            point numbers depend on it.
        torch: The work computes with PyTorch, whose threads are counted separately.
    """

    name: str = "loky"
    jobs: int | None = None
    threads: int = 1
    torch: bool = False

    def __post_init__(self) -> None:
        if self.name not in _ENGINES:
            raise InvalidSetting(
                f"unknown engine {self.name!r}; choose one of {', '.join(_ENGINES)}"
            )
        if (self.jobs is not None and self.jobs < 1) or self.threads < 1:
            raise InvalidSetting(
                f"jobs and threads must be 1 or more, got {self.jobs}, {self.threads}"
            )

    @property
    def workers(self) -> int:
        """The number of workers."""
        import joblib

        return joblib.cpu_count() if self.jobs is None else self.jobs


def until_death(
    work: Callable[[Any], Any], tasks: Sequence[Task], engine: Engine, width: int
) -> Iterator[Outcome]:
    """Outcomes as they come, of at most ``width`` workers at a time.

    Ends early when a worker dies, because jobs themselves never raise.
    """
    from joblib import Parallel, delayed, parallel_config

    if engine.name == "loky" and engine.workers == 1:
        yield from (_guarded(work, t, engine) for t in tasks)
        return
    workers = min(width, len(tasks))
    call = delayed(_guarded)
    calls = (call(work, t, engine) for t in tasks)
    # A cluster's backend hands results over all at once only.
    how = "generator_unordered" if engine.name == "loky" else "list"
    try:
        if engine.name == "loky" and workers == 1:  # joblib would do it in this process
            for task in tasks:
                yield _alone(work, task, engine)
            return
        with parallel_config(backend=engine.name, n_jobs=workers):
            found = Parallel(return_as=how, batch_size=1)
        yield from found(calls)
    except Exception as cause:
        if not _is_death(cause):
            raise


def _alone(work: Callable[[Any], Any], task: Task, engine: Engine) -> Outcome:
    """One job in a process of its own, which is not joblib's to take over: that one lacks its folders."""
    from joblib.externals.loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(1)
    try:
        return pool.submit(_guarded, work, task, engine).result()
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _executor(workers: int) -> Any:
    """The worker processes of this machine, which joblib keeps for the next call."""
    from joblib.externals.loky import get_reusable_executor

    return get_reusable_executor(max_workers=workers)


def _is_death(cause: BaseException) -> bool:
    """The engine's own errors; each engine has its own classes, which only it can import."""
    return any(
        kind.__name__ in {"BrokenExecutor", "RayError", "KilledWorker", "CommClosedError"}
        for kind in type(cause).__mro__
    )


def _guarded(work: Callable[[Any], Any], task: Task, engine: Engine) -> Outcome:
    """One job in a worker, with its number of threads; errors become outcomes."""
    try:
        with _threads(engine), typed_errors():
            return Outcome(task.key, work(task.payload))
    except VeridicalError as error:
        return Outcome(task.key, error=str(error))
    except Exception as error:  # noqa: BLE001 (one defect must not stop thousands of other files)
        return Outcome(task.key, error=f"unexpected {type(error).__name__}: {error}")


@contextmanager
def _threads(engine: Engine) -> Iterator[None]:
    """The engine's number of threads for a while."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(engine.threads):
        if not engine.torch:
            yield
            return
        torch = require("torch")
        before = torch.get_num_threads()
        torch.set_num_threads(engine.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def connected(engine: Engine) -> Iterator[None]:
    """A connection to the cluster of an engine; one that was not there before is let go again.

    Raises:
        MissingDependency: the engine's package is not installed.
    """
    with warnings.catch_warnings(), ExitStack() as stack:
        # Worker processes that have grown are replaced; nothing is lost. Where warnings are errors,
        # this one would end the thread that hands out the jobs, and the run would wait for ever.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        _connect(engine, stack)
        try:
            yield
        except BaseException:
            # Interrupted or terminated: what is in the hands of workers ends now, not when it is done.
            if engine.name == "loky" and engine.workers > 1:
                _executor(1).shutdown(wait=True, kill_workers=True)
            raise


def _connect(engine: Engine, stack: ExitStack) -> None:
    if engine.name == "loky":
        return
    try:
        if engine.name == "ray":
            import ray
            from ray.util.joblib import register_ray

            if not ray.is_initialized():
                ray.init(
                    num_cpus=engine.jobs,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=40,
                )
                stack.callback(ray.shutdown)
            register_ray()
        else:
            from distributed import Client, get_client

            try:
                get_client()
            except ValueError:
                stack.enter_context(Client(n_workers=engine.workers, threads_per_worker=1))
    except ModuleNotFoundError as cause:
        raise missing(cause) from cause
