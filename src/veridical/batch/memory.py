"""How many workers the memory of this machine holds at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from veridical.batch.tasks import Task

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_SHARE = 0.8


def available_bytes() -> int | None:
    """Memory that new processes may take here without swapping; None where the system does not say."""
    found = [x for x in (_system_bytes(), _container_bytes()) if x is not None]
    return min(found, default=None)


def _system_bytes() -> int | None:
    try:
        facts = _MEMINFO.read_text(encoding="ascii").split()
        return int(facts[facts.index("MemAvailable:") + 1]) << 10
    except (OSError, ValueError):  # not Linux
        pass
    sysconf = getattr(os, "sysconf", None)  # POSIX has it
    return sysconf("SC_PHYS_PAGES") * sysconf("SC_PAGE_SIZE") if sysconf else None


def _container_bytes() -> int | None:
    """What a container may still take; the cache of files in it is given back when it is needed."""
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        facts = (_CGROUP / "memory.stat").read_text(encoding="ascii").split()
        cache = int(facts[facts.index("inactive_file") + 1])
    except (OSError, ValueError):  # no such file, or no limit ("max")
        return None
    return max(0, limit - used + cache)


def by_width(
    tasks: Sequence[Task], workers: int, memory: int | None
) -> Iterator[tuple[int, list[Task]]]:
    """Tasks grouped by how many of their like fit into four fifths of the memory at once.

    The largest come first, so that none of the many workers of small tasks waits beside them.

    Args:
        tasks: The jobs; one that does not say what it needs fits any number of times.
        workers: The most workers.
        memory: What there is, in bytes; None bounds nothing.
    """

    def width(task: Task) -> int:
        if memory is None or not task.memory:
            return workers
        return max(1, min(workers, int(_SHARE * memory) // task.memory))

    for number, group in groupby(sorted(tasks, key=width), key=width):
        yield number, list(group)
