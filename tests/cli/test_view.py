"""The command ``view``: one page, whole or not there."""

import json
import re

from PIL import Image


def data_of(page):
    found = re.search(r"const DATA = (\{.*\});", page.read_text(encoding="utf-8"))
    return json.loads(found.group(1))


def test_a_page_of_two_files(run, folder):
    # Oracle: the titles name the files with their size; without an original none is offered.
    second = folder / "second.jpg"
    second.write_bytes((folder / "photo.jpg").read_bytes())
    page = folder / "view.html"
    words = ("view", folder / "photo.jpg", second, "--out", page)
    code, out, err = run(*words)
    assert code == 0, err
    assert "view.html" in out
    data = data_of(page)
    size = (folder / "photo.jpg").stat().st_size
    assert [f["title"].split(",")[0] for f in data["files"]] == ["photo.jpg", "second.jpg"]
    assert f"{size:,} bytes" in data["files"][0]["title"]
    assert data["original"] is None
    before = page.read_bytes()
    code, _, err = run(*words)
    assert code == 2
    assert "--force" in err
    assert page.read_bytes() == before
    assert run(*words, "--force", "--original", folder / "photo.png")[0] == 0
    assert data_of(page)["original"].startswith("data:image/webp")


def test_the_page_of_one_file_stands_beside_it(run, folder, monkeypatch):
    # Oracle: the name of the file; view.html where the command runs for several.
    monkeypatch.chdir(folder.parent)
    assert run("view", folder / "photo.jpg")[0] == 0
    assert (folder / "photo.html").stat().st_size > 1000
    assert run("view", folder / "photo.jpg", folder / "photo.jpg")[0] == 0
    assert (folder.parent / "view.html").exists()


def test_bad_input_leaves_no_page(run, folder):
    (folder / "broken.jpg").write_bytes(b"no picture")
    code, _, err = run("view", folder / "broken.jpg", "--out", folder / "x.html")
    assert code == 2
    assert "Traceback" not in err
    assert not (folder / "x.html").exists()


def test_an_original_of_another_size_is_refused(run, folder):
    # Oracle: exit code 2 with both sizes, and no page; so too for a page of another suffix.
    Image.new("RGB", (8, 9)).save(folder / "small.png")
    code, _, err = run("view", folder / "photo.jpg", "--original", folder / "small.png")
    assert code == 2
    assert "8 x 9 pixels, the file 64 x 48" in err
    assert not (folder / "photo.html").exists()
    assert run("view", folder / "photo.jpg", "--out", folder / "x.txt")[0] == 2
    assert not (folder / "x.txt").exists()
