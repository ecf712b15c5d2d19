"""The commands for photographs, as a person calls them."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


def size(path):
    with Image.open(path) as picture:
        return picture.size


def left(folder):
    return sorted(p.name for p in folder.iterdir())


def refused(result, *words):
    """Exit code 2, one line on standard error that has the words, no traceback."""
    code, _, err = result
    assert code == 2, result
    assert "Traceback" not in err
    assert all(w in err for w in words), err
    return True


@pytest.mark.parametrize("suffix", ["avif", "webp", "jpg"])
def test_there_and_back(run, folder, suffix):
    coded, back = folder / f"c.{suffix}", folder / "back.png"
    assert run("encode", folder / "photo.png", coded, "--quality", 30)[0] == 0
    code, _, err = run("decode", coded, back, "--realism", 0.7, "--seed", 3)
    assert code == 0
    assert err == ""  # quiet in a pipe
    assert size(back) == (64, 48)
    code, out, _ = run("info", coded)
    assert code == 0
    assert "64 x 48" in out
    assert "predicted PSNR" in out


def test_targets(run, folder):
    target = folder / "c.jpg"
    assert run("encode", folder / "photo.png", target, "--max-bytes", 900)[0] == 0
    assert target.stat().st_size <= 900
    refused(run("encode", folder / "photo.png", folder / "d.jpg", "--bpp", 0.001), "at least")
    assert "d.jpg" not in left(folder)


def test_compare(run, folder):
    code, out, _ = run("compare", folder / "photo.png", folder / "photo.jpg")
    assert code == 0
    for row in ("ordinary decoder", "realism 0", "realism 0.5", "realism 1"):
        assert row in out
    Image.new("RGB", (3, 3)).save(folder / "other.png")
    refused(run("compare", folder / "other.png", folder / "photo.jpg"), "3 x 3")


@pytest.mark.parametrize(
    "name", ["back.png", "back.tif", "back.bmp", "back.jpg", "back.webp", "back.avif", "back.gif"]
)
def test_any_picture_format_can_be_written(run, folder, name):
    assert run("decode", folder / "photo.jpg", folder / name, "--realism", 0)[0] == 0
    assert size(folder / name) == (64, 48)


def test_bad_input_leaves_nothing(run, folder):
    before = left(folder)
    photo, target = folder / "photo.jpg", folder / "x.png"
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("this is not a picture" * 20)
    (folder / "cut.jpg").write_bytes(photo.read_bytes()[:300])
    before = left(folder)
    refused(run("decode", folder / "none.jpg", target), "none.jpg")
    refused(run("decode", folder / "empty.jpg", target), "empty")
    refused(run("decode", folder / "text.jpg", target), "not a picture")
    refused(run("decode", folder / "cut.jpg", target), "cut.jpg")
    refused(run("decode", folder / "photo.png", target), "PNG")
    refused(run("decode", photo, target, "--realism", 1.2), "realism")
    refused(run("decode", photo, target, "--perception", -1), "perception")
    refused(run("decode", photo, target, "--realism", 0.1, "--perception", 0.1), "either")
    refused(run("decode", photo, target, "--device", "abacus"), "device")
    refused(run("decode", photo, target, "--max-pixels", 100), "max-pixels")
    refused(run("decode", photo, target, "--weights", folder / "none.safetensors"), "weights")
    refused(run("decode", photo, folder / "x.xyz"), ".xyz")
    refused(run("decode", photo, folder / "no" / "x.png"), "does not exist")
    refused(run("decode", photo, folder), "folder")
    refused(run("decode", photo), "exists")
    refused(run("decode", photo, target, folder / "y.png"), "--out-dir")
    refused(run("decode", photo, photo, "--force"), "input itself")
    refused(run("encode", folder / "photo.png", folder / "x.xyz"), ".xyz")
    refused(run("encode", folder / "photo.png", folder / "x.avif", "--quality", 200), "quality")
    refused(
        run("encode", folder / "photo.png", folder / "x.avif", "--quality", 3, "--bpp", 1), "one of"
    )
    refused(run("info", folder / "text.jpg"), "not a picture")
    refused(run("decode", photo, target, "--realism", "much"))
    refused(run("decode", photo, target, "--unknown"))
    assert left(folder) == before


def test_existing_outputs_are_safe(run, folder):
    target = folder / "x.png"
    target.write_text("precious")
    refused(run("decode", folder / "photo.jpg", target), "--force")
    assert target.read_text() == "precious"
    assert run("decode", folder / "photo.jpg", target, "--force", "--realism", 0)[0] == 0
    assert size(target) == (64, 48)


def test_a_wrong_suffix_does_not_matter_for_reading(run, folder):
    (folder / "photo.avif").write_bytes((folder / "photo.jpg").read_bytes())
    assert run("decode", folder / "photo.avif", folder / "x.png", "--realism", 0)[0] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(run, folder):
    locked = folder / "locked"
    locked.mkdir(mode=0o500)
    refused(run("decode", folder / "photo.jpg", locked / "x.png"), "permission")
    assert not any(locked.iterdir())


def test_a_full_disc_is_said_and_leaves_nothing(run, folder, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    before = left(folder)
    monkeypatch.setattr(Image.Image, "save", full)
    refused(run("decode", folder / "photo.jpg", folder / "x.png", "--realism", 0), "No space left")
    assert left(folder) == before


def test_version_and_help(run):
    assert run("--version")[1].startswith("veridical ")
    for command in ("encode", "decode", "info", "compare", "demo", "train"):
        code, out, _ = run(command, "--help")
        assert code == 0
        assert "Usage" in out


def test_as_a_process():
    # Oracle: contract: exit code 2, one line, no traceback, from a real process.
    done = subprocess.run(
        [str(Path(sys.executable).parent / "veridical"), "info", "none.jpg"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "none.jpg" in done.stderr


def test_standard_formats_are_read_from_any_encoder(run, folder):
    # Oracle: contract: files of other programs; here with other options than our own encoder's.
    buffer = io.BytesIO()
    with Image.open(folder / "photo.png") as picture:
        picture.save(buffer, "JPEG", quality=40, subsampling="4:2:2", progressive=True)
    (folder / "other.jpg").write_bytes(buffer.getvalue())
    assert run("decode", folder / "other.jpg", folder / "x.png", "--realism", 0.5)[0] == 0


def test_what_is_there_of_a_file_that_ends_early(run, folder):
    # Oracle: contract; refused with the option's name, decoded with it, and told.
    cut, out = folder / "early.jpg", folder / "early.png"
    data = (folder / "photo.jpg").read_bytes()
    cut.write_bytes(data[: len(data) - 100])
    refused(run("decode", cut, out), "--allow-partial")
    code, _, err = run("decode", cut, out, "--allow-partial")
    assert code == 0
    assert "ends early" in err
    assert size(out) == (64, 48)


def test_info_says_what_its_distance_is_to(run, folder):
    text = " ".join(run("info", folder / "photo.jpg")[1].split())
    assert "distance at most" in text
    assert "own law, not to photographs" in text


def test_a_format_that_would_hold_another_picture_is_refused(run, folder):
    # Oracle: ICO holds sides up to 256 pixels and ICNS only its own sizes (Pillow would scale): what is written has
    # the picture's size, or nothing is written and the line names PNG, not the disk.
    for name in ("x.ico", "x.icns", "x.msp", "x.wmf"):
        code, _, err = run("decode", folder / "photo.jpg", folder / name, "--realism", 0)
        if code == 0:
            assert size(folder / name) == (64, 48)
            continue
        refused((code, "", err), "try .png")
        assert "permissions" not in err
        assert not (folder / name).exists()
    assert (folder / "x.ico").exists()
    Image.open(folder / "photo.png").resize((300, 200)).save(folder / "large.jpg")
    refused(run("decode", folder / "large.jpg", folder / "y.ico", "--realism", 0), "try .png")
    assert not (folder / "y.ico").exists()
    code, _, err = run("decode", folder / "photo.jpg", folder / "x.gif", "--realism", 0)
    assert code == 0
    assert "256 colours" in err


def test_info_of_many_files_goes_on_after_a_bad_one(run, folder):
    """Oracle: what is said of the good file alone; exit code 3 and a line for the bad one, 2 where it is the only one."""
    (folder / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    alone = run("info", folder / "photo.jpg", "--json")[1]
    code, out, err = run("info", folder / "a.jpg", folder / "photo.jpg", "--json")
    assert (code, out) == (3, alone)
    assert err.count("a.jpg") == 2
    assert "1 of 2" in err
    assert run("info", folder / "a.jpg")[0] == 2
