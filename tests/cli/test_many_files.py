"""Commands over folders, patterns and lists: the same files whatever the workers, and no lost work."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veridical.batch import Summary
from veridical.bitstream.chunks import write_chunk
from veridical.bitstream.container import Header
from veridical.photo.weights import SHIPPED
from veridical.studies.records import load_record


@pytest.fixture
def many(folder):
    """``in/`` with 0.jpg, 1.jpg, deep/2.jpg and broken.jpg."""
    (folder / "in" / "deep").mkdir(parents=True)
    for place in ("0", "1", "deep/2"):
        (folder / "in" / f"{place}.jpg").write_bytes((folder / "photo.jpg").read_bytes())
    (folder / "in" / "broken.jpg").write_bytes(b"no picture")
    return folder


def results(out):
    """Every file below a folder but the journal, with its bytes."""
    return {
        p.relative_to(out).as_posix(): p.read_bytes()
        for p in out.rglob("*")
        if p.is_file() and not p.name.startswith(".")
    }


def test_output_does_not_depend_on_the_workers_and_one_broken_file_stops_nothing(run, many):
    # Oracle: contract: exit code 3, the summary names the broken file, subfolders stand below the
    # output again; one worker and two write the same bytes.
    words = ("decode", many / "in", "--realism", 1)
    found = []
    for jobs in (1, 2):
        out = many / f"out{jobs}"
        code, _, err = run(*words, "--out-dir", out, "--jobs", jobs)
        assert code == 3
        assert "1 of 4 failed" in err
        assert f"  {many / 'in' / 'broken.jpg'}" in err
        assert "Traceback" not in err
        found.append(results(out))
    assert sorted(found[0]) == ["0.png", "1.png", "deep/2.png"]
    assert found[0] == found[1]


def test_a_second_run_does_only_what_is_left(run, many):
    # Oracle: times of the outputs: untouched where input, settings and output are as before.
    out = many / "out"
    words = ("encode", many / "in", "--quality", 20, "--out-dir", out, "--jobs", 1)
    assert run(*words)[0] == 3
    first = {name: (out / name).stat().st_mtime_ns for name in results(out)}
    (many / "in" / "broken.jpg").write_bytes((many / "photo.jpg").read_bytes())
    (out / "1.avif").unlink()
    code, _, err = run(*words)
    assert code == 0
    assert "2 of 4 were done by an earlier run" in err
    now = {name: (out / name).stat().st_mtime_ns for name in results(out)}
    assert sorted(now) == ["0.avif", "1.avif", "broken.avif", "deep/2.avif"]
    assert now["0.avif"] == first["0.avif"]
    assert now["deep/2.avif"] == first["deep/2.avif"]
    # Other settings would replace what is there: refused without --force, done with it.
    other = ("encode", many / "in", "--quality", 40, "--out-dir", out, "--jobs", 1)
    code, _, err = run(*other)
    assert code == 2
    assert "--force" in err
    assert run(*other, "--force")[0] == 0
    assert all((out / name).stat().st_mtime_ns > now[name] for name in now)


def test_what_is_done_is_known_by_content(run, many):
    # Oracle: names, sizes and times decide nothing: an input that was only touched keeps its output,
    # one with other bytes of the same size and time does not, and an output that was overwritten is
    # made again, to the same bytes.
    (many / "in" / "broken.jpg").unlink()
    out = many / "out"
    words = ("encode", many / "in", "--quality", 20, "--out-dir", out, "--jobs", 1)
    assert run(*words)[0] == 0
    first = results(out)
    os.utime(many / "in" / "0.jpg")
    (out / "1.avif").write_bytes(first["1.avif"][::-1])
    code, _, err = run(*words)
    assert code == 0, err
    assert "2 of 3 were done by an earlier run" in err
    assert results(out) == first
    source = many / "in" / "0.jpg"
    before = source.stat()
    data = bytearray(source.read_bytes())
    data[-40] ^= 1
    source.write_bytes(data)
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run(*words)[0] == 2  # it would replace what another input gave
    code, _, err = run(*words, "--force")
    assert code == 0, err


def test_a_comparison_and_a_decoding_know_all_that_they_read(run, many, tmp_path):
    # Oracle: figures of a coded file that changed are measured again, and so are those of other weights.
    (many / "in" / "broken.jpg").unlink()
    originals, weights = many / "originals", tmp_path / "weights"
    (originals / "deep").mkdir(parents=True)
    for place in ("0", "1", "deep/2"):
        (originals / f"{place}.png").write_bytes((many / "photo.png").read_bytes())
    weights.mkdir()
    for path in SHIPPED.glob("jpeg*"):
        (weights / path.name).write_bytes(path.read_bytes())
    table = many / "table"
    words = ("compare", originals, many / "in", "--out-dir", table, "--jobs", 1)
    words += ("--weights", weights)
    assert run(*words)[0] == 0
    first = (table / "comparison.csv").read_text().splitlines()
    with Image.open(many / "photo.png") as im:
        im.save(many / "in" / "0.jpg", quality=90)
    code, _, err = run(*words)
    assert code == 0, err
    assert "2 of 3 were done by an earlier run" in err
    second = (table / "comparison.csv").read_text().splitlines()
    assert [a == b for a, b in zip(first, second, strict=True)] == [True] + [False] * 4 + [True] * 8
    card = json.loads((weights / "jpeg.json").read_text())
    (weights / "jpeg.json").write_text(json.dumps(card | {"note": "another"}))
    code, _, err = run(*words)
    assert code == 0, err
    assert "done by an earlier run" not in err


def test_a_killed_command_goes_on(many):
    # Oracle: kill -9 as soon as the first output is there; the same command then finishes with the
    # bytes of a run that was never killed, and no temporary file counts as an output.
    for k in range(3, 12):
        (many / "in" / f"{k}.jpg").write_bytes((many / "photo.jpg").read_bytes())
    (many / "in" / "broken.jpg").unlink()
    code = [sys.executable, "-m", "veridical", "encode", many / "in", "--bpp", "3", "--jobs", "1"]
    out = many / "out"
    child = subprocess.Popen([*code, "--out-dir", out], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.glob("*.avif")) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    again = subprocess.run([*code, "--out-dir", out], check=False, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    subprocess.run([*code, "--out-dir", many / "whole"], check=True, capture_output=True)
    assert results(out) == results(many / "whole")
    assert len(results(out)) == 12


def test_two_commands_at_once_in_one_folder(run, many):
    # Oracle: one command alone. The same command twice gives the same files, which a third run takes for done;
    # of two with other settings each output is one of theirs, and the first, run again, knows which are its own.
    (many / "in" / "broken.jpg").unlink()
    for k in range(3, 12):
        (many / "in" / f"{k}.jpg").write_bytes((many / "photo.jpg").read_bytes())
    words = ["encode", many / "in", "--jobs", "1", "--quality"]
    alone = []
    for quality in (20, 60):
        assert run(*words, quality, "--out-dir", many / f"alone{quality}")[0] == 0
        alone.append(results(many / f"alone{quality}"))
    for qualities in ((20, 20), (20, 60)):
        out = many / f"together{sum(qualities)}"
        children = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "veridical",
                    *words,
                    str(quality),
                    "--out-dir",
                    out,
                    "--force",
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for quality in qualities
        ]
        said = [child.communicate()[1] for child in children]
        assert [child.returncode for child in children] == [0, 0], said
        found = results(out)
        assert found.keys() == alone[0].keys()
        assert all(data in (alone[0][name], alone[1][name]) for name, data in found.items())
        own = sum(data == alone[0][name] for name, data in found.items())
        code, _, err = run(*words, 20, "--out-dir", out)
        assert (code, results(out)) == (0, alone[0]), err
        assert own == 0 or f"{own} of 12 were done by an earlier run" in err


def test_lists_of_inputs(run, many, monkeypatch):
    names = "\n".join(str(many / "in" / name) for name in ("0.jpg", "deep/2.jpg")) + "\n"
    (many / "list.txt").write_text(names)
    words = ("encode", "--quality", 20, "--jobs", 1, "--from-list")
    assert run(*words, many / "list.txt", "--out-dir", many / "out")[0] == 0
    assert sorted(results(many / "out")) == ["0.avif", "2.avif"]
    (many / "empty.txt").touch()
    code, _, err = run(*words, many / "empty.txt", "--out-dir", many / "out2")
    assert code == 2
    assert "names no file" in err
    code, _, err = run("encode", "--quality", 20)
    assert code == 2
    assert "--out-dir" in err


def test_folders_are_compared_file_by_file(run, many):
    # Oracle: JPEG 0's PSNR in the table against numpy's on the same two pictures; 1e-9 dB.
    (many / "in" / "broken.jpg").unlink()
    originals = many / "originals"
    (originals / "deep").mkdir(parents=True)
    for place in ("0", "1", "deep/2"):
        (originals / f"{place}.png").write_bytes((many / "photo.png").read_bytes())
    code, out, err = run(
        "compare", originals, many / "in", "--out-dir", many / "table", "--jobs", 1
    )
    assert code == 0, err
    assert "means of 3 files" in out
    rows = (many / "table" / "comparison.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 * 4
    with Image.open(many / "photo.png") as a, Image.open(many / "photo.jpg") as b:
        error = np.mean((np.asarray(a, dtype=float) - np.asarray(b, dtype=float)) ** 2)
    cells = rows[1].split(",")
    assert cells[1] == "ordinary decoder"
    assert float(cells[2]) == pytest.approx(10 * np.log10(255**2 / error), abs=1e-9)
    (originals / "0.png").unlink()
    code, _, err = run("compare", originals, many / "in", "--out-dir", many / "table2")
    assert code == 2
    assert "0 originals" in err
    assert run("compare", originals, many / "photo.jpg")[0] == 2


def test_several_studies_at_a_time(run, tmp_path):
    # Oracle: the records of one after the other: equal facts and arrays.
    for jobs in (1, 2):
        code, out, _ = run("study", "bm3", "bm5", "--out-dir", tmp_path / str(jobs), "--jobs", jobs)
        assert code == 0
        assert out.count(".png") == 2
    for name in ("bm3", "bm5"):
        one, two = (load_record(tmp_path / j / f"{name}.npz") for j in ("1", "2"))
        assert one.facts == two.facts
        assert all(np.array_equal(one.arrays[k], two.arrays[k]) for k in one.arrays)
    code, _, err = run("study", "bm3", "bm99", "--out-dir", tmp_path / "3")
    assert code == 2
    assert "bm99" in err
    assert not (tmp_path / "3").exists()


def test_workers_are_as_few_as_the_headers_ask_for(run, folder, monkeypatch):
    # Oracle: 400 MiB a worker and 32 bytes for each pixel that a header claims (1,200 to compare); what no
    # header says, or would be refused, counts for a worker alone; one worker is not counted at all.
    found = {}

    def record(work, tasks, **settings):
        found.update({Path(t.key).stem: (t.memory - (400 << 20)) for t in tasks})
        return Summary((), 0)

    monkeypatch.setattr("veridical.cli.many.run_batch", record)
    inputs = folder / "in"
    inputs.mkdir()
    (inputs / "0.jpg").write_bytes((folder / "photo.jpg").read_bytes())
    Image.new("L", (100, 70)).save(inputs / "1.webp")
    header = Header("m", bytes(8), 300, 200).pack()
    start = b"\x89VDC\r\n\x1a\n\2\0" + write_chunk("VHDR", header)
    (inputs / "2.vdc").write_bytes(start)
    (inputs / "3.webp").write_bytes(b"RIFF")
    words = ("decode", inputs, "--out-dir", folder / "out", "--jobs", 2)
    assert run(*words)[0] == 0
    assert found == {"0": 32 * 64 * 48, "1": 32 * 7000, "2": 32 * 60_000, "3": 0}
    assert run(*words, "--max-pixels", 6999)[0] == 0
    assert found == {"0": 32 * 64 * 48, "1": 0, "2": 0, "3": 0}
    for path in inputs.glob("[!0]*"):
        path.unlink()
    assert run("compare", inputs, inputs, "--out-dir", folder / "t", "--jobs", 2)[0] == 0
    assert found["0"] == 1200 * 64 * 48
    assert run(*words[:-1], 1)[0] == 0
    assert found["0"] == -(400 << 20)
