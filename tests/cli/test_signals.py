"""A command that is interrupted or terminated ends at once, with its workers, and says so."""

import os
import signal
import subprocess
import sys
import time

import pytest

from veridical.batch import Journal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture(autouse=True)
def _heard():
    """Interrupts reach the children also where this process was started in the background, which ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


START = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "veridical.cli.main":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from veridical.__main__ import main
main()
"""


def test_interrupted_while_importing():
    done = subprocess.run(
        [sys.executable, "-c", START], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "veridical: interrupted\n")


def children(pid):
    done = subprocess.run(
        ["ps", "--no-headers", "-o", "pid", "--ppid", str(pid)],  # noqa: S607
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [int(x) for x in done.stdout.split()]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc")  # noqa: PTH112
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_batch_that_is_terminated_ends_its_workers(folder, number):
    # Oracle: the processes: none of those that the command started is left, no temporary file is
    # taken for a picture, and every picture is one that the journal names as begun.
    (folder / "in").mkdir()
    for k in range(400):
        (folder / "in" / f"{k}.jpg").write_bytes((folder / "photo.jpg").read_bytes())
    out = folder / "out"
    words = ["encode", folder / "in", "--bpp", "3", "--jobs", "2", "--out-dir", out]
    child = subprocess.Popen(
        [sys.executable, "-m", "veridical", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("*.avif")) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = children(child.pid)
    assert len(workers) >= 2
    child.send_signal(number)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 128 + number
    assert b"Traceback" not in err
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [pid for pid in workers if alive(pid)]
    made = {p.name for p in out.glob("*.avif")}
    assert 0 < len(made) < 400
    journal = Journal(out / ".veridical-journal.jsonl")
    assert made <= {key for key, _ in journal._begun}
