"""kill -9 in the middle of every command that writes: the output is the old one or the new one."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

# The outputs that a command replaces, and the words that make it do so.
COMMANDS = {
    "encode": (["photo.avif"], ["encode", "photo.png", "photo.avif", "--bpp", "3", "--force"]),
    "decode": (["back.png"], ["decode", "photo.jpg", "back.png", "--realism", "0", "--force"]),
    "view": (["photo.html"], ["view", "photo.jpg", "--force"]),
    "study": (["st/bm5.npz", "st/bm5.png", "st/bm5.pdf"], ["study", "bm5", "--out-dir", "st"]),
    "compare": (
        ["table/comparison.csv"],
        ["compare", "originals", "coded", "--out-dir", "table", "--jobs", "1", "--force"],
    ),
}  # fmt: skip
OLD = b"what stood here before"


def start(words, folder):
    return subprocess.Popen(
        [sys.executable, "-m", "veridical", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_output_is_old_or_new(folder, name):
    # Oracle: the bytes that stood there, or those of a run that was not killed. Kills are spread
    # over the last tenth of the command, when files are written, and some over all of it; a writer
    # that opens the target itself is caught when a kill falls between opening and closing.
    outputs, words = COMMANDS[name]
    for place, file in (("originals", "photo.png"), ("coded", "photo.jpg")):
        (folder / place).mkdir()
        (folder / place / file).write_bytes((folder / file).read_bytes())
    begun = time.monotonic()
    assert start(words, folder).wait(timeout=300) == 0
    took = time.monotonic() - begun
    new = {output: (folder / output).read_bytes() for output in outputs}
    rng = np.random.default_rng(0)
    killed = 0
    for moment in [*(took * rng.random(3)), *(took * rng.uniform(0.85, 1.02, 9))]:
        for output in outputs:
            (folder / output).write_bytes(OLD)
        child = start(words, folder)
        time.sleep(moment)
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
            killed += 1
        child.wait()
        for output in outputs:
            found = (folder / output).read_bytes()
            assert found in {OLD, new[output]}, f"{output}: {len(found)} bytes"
    assert killed > 0
