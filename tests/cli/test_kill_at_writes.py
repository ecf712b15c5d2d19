"""Killed at each thing that a command writes: what stands there is old, new or nothing, never half."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked")

# ``same``: what must equal the bytes of a run that was not killed (cards hold seconds and differ).
# ``own_business``: working files that only the command that goes on reads; it must cope with them. A card
# that waits under a third name is looked at with its weights, which it must describe.
JOURNAL = "*.veridical-journal.jsonl"
QUICK = {
    "encode": {"words": ["encode", "photo.png", "p.avif", "--quality", "20", "--force"]},
    "encode many": {
        "words": ["encode", "in", "--out-dir", "out", "--quality", "20", "--jobs", "1", "--force"],
        "own_business": [JOURNAL],
    },
    "decode": {"words": ["decode", "photo.jpg", "back.png", "--realism", "0", "--force"]},
    "compare": {
        "words": ["compare", "originals", "coded", "--out-dir", "t", "--jobs", "1"],
        "own_business": [JOURNAL],
    },
    "view": {"words": ["view", "photo.jpg", "--force"]},
    "study": {"words": ["study", "bm5", "--out-dir", "st"]},
    "demo": {"action": "demo", "words": ["demo", "--bpp", "2"], "stride": 3},
}
QUIET = {
    "design": ["design", "circle.npy", "--rate", "1", "--csv"],
    "limits": ["limits", "circle", "-m", "2", "-p", "0", "--csv"],
    "info": ["info", "photo.jpg"],
}
TRAIN = ["train", "--validation", "val", "--run", "run", "--preset", "tiny"]
WORKING = ["run/*.json.new", "run/prices.jsonl", "run/sources/*.u8"]
SLOW = {
    "train photo": {
        "words": ["train", "photo", *TRAIN],
        "same": ["run/jpeg.onnx", "run/jpeg-cells.onnx", "run/jpeg-price.onnx"],
        "own_business": [*WORKING, "run/cells-*.npz"],
    },
    "train photo-codec": {
        "words": ["train", "photo-codec", *TRAIN],
        "same": ["run/vdc.npz"],
        "own_business": WORKING,
    },
    "training of digits": {
        "action": "digits",
        "words": ["--preset", "quick", "--work", "work", "--out", "out", "--device", "cpu"],
        "same": ["out/*/*.npz"],
        "stride": 2,
    },
    "long study": {"words": ["study", "generators", "--out-dir", "st"], "same": ["st/*.npz"]},
}


def inputs(folder):
    """A small picture and files made of it, samples, and pictures to train on."""
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(60, 200, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    for name in ("in", "originals", "coded"):
        (folder / name).mkdir(parents=True)
    for name in ("photo.png", "originals/0.png", "in/0.png", "in/1.png"):
        Image.fromarray(pixels).save(folder / name)
    for name in ("photo.jpg", "coded/0.jpg"):
        Image.fromarray(pixels).save(folder / name, quality=20)
    np.save(folder / "circle.npy", rng.normal(size=(300, 2)))
    for name, count in (("train", 2), ("val", 1)):
        (folder / name).mkdir()
        for k in range(count):
            coarse = rng.integers(0, 256, (12, 11, 3)).astype(np.uint8)
            large = Image.fromarray(coarse).resize((176, 192), Image.Resampling.BICUBIC)
            large.save(folder / name / f"{k}.png")


def run_jobs(base, jobs):
    for number, job in enumerate(jobs):
        job["folder"] = str(base / str(number))
        inputs(base / str(number) / "inputs")
    (base / "jobs.json").write_text(json.dumps(jobs))
    driver = Path(__file__).with_name("kill_at_writes.py")
    words = [sys.executable, driver, base / "jobs.json", base / "report.json"]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [str(w) for w in words], env=os.environ | one, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads((base / "report.json").read_text())


def check(found):
    # Oracle: a run that was not killed. Between the kills every file under a name of its own is
    # the old one, the new one or not there; in the end the command has finished, with the same
    # bytes. A writer that opens its target, or renames half a file, is caught at that very event.
    assert found["clean_code"] == 0, found["log"]
    assert found["kills"], "nothing was killed"
    assert not found["wrong"]
    assert found["end_code"] == 0, found["log"]
    assert not found["differs"]


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    jobs = [
        {"name": name, "action": "command", "old": True, "same": ["*"]} | job
        for name, job in QUICK.items()
    ]
    jobs += [
        {"name": name, "action": "command", "words": words, "same": ["*"]}
        for name, words in QUIET.items()
    ]
    careless = {"name": "careless", "action": "careless", "words": []}
    jobs.append(careless | {"old": True, "same": ["*"]})
    return run_jobs(tmp_path_factory.mktemp("quick"), jobs)


@pytest.mark.parametrize("name", QUICK)
def test_a_killed_command_leaves_old_or_new(quick, name):
    check(quick[name])
    assert quick[name]["outputs"]


def test_a_careless_writer_is_caught(quick):
    # Oracle: both kinds of carelessness are told, so that the tests above can fail.
    wrong = quick["careless"]["wrong"]
    assert any("opened.txt: 0 bytes" in w for w in wrong)
    assert any("renamed.txt: 2 bytes" in w for w in wrong)


@pytest.mark.parametrize("name", QUIET)
def test_commands_that_only_print_write_nothing(quick, name):
    found = quick[name]
    assert found["clean_code"] == found["end_code"] == 0, found["log"]
    assert (found["kills"], found["outputs"]) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_a_killed_training_goes_on(tmp_path, name):
    found = run_jobs(tmp_path, [{"name": name, "action": "command"} | SLOW[name]])[name]
    check(found)
    assert len(found["kills"]) > 3
