"""The pages on the equations: their examples print what they say, and what they point at exists."""

import doctest
import re
from pathlib import Path

import pytest

from veridical.studies.catalogue import STUDIES

CHECKOUT = Path(__file__).parents[2]
PAGES = sorted((CHECKOUT / "docs" / "theory").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=[p.stem for p in PAGES])
def test_examples_print_what_they_say(page):
    # Oracle: the printed output on the page, character by character.
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```pycon\n(.*?)```", text, re.DOTALL)
    assert blocks, "a page on an equation shows it at work"
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page.name, str(page), 0)
    said = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(said)


@pytest.mark.parametrize("page", PAGES, ids=[p.stem for p in PAGES])
def test_code_tests_and_figures_exist(page):
    # Oracle: the files and the catalogue; every page names all three.
    text = page.read_text(encoding="utf-8")
    rooms = re.findall(r"`veridical\.([a-z_.]+)`", text)
    tests = re.findall(r"`(tests/[a-z_/]+\.py)`", text)
    studies = re.findall(r"`veridical study ([a-z0-9-]+)`", text)
    assert rooms
    assert tests
    assert studies
    for room in rooms:
        path = CHECKOUT / "src" / "veridical" / room.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), room
    for name in tests:
        assert (CHECKOUT / name).is_file(), name
    assert set(studies) <= set(STUDIES)


def test_every_promise_names_what_holds_it():
    # Oracle: the files; each row of a table on the page names at least one that exists.
    text = (CHECKOUT / "docs" / "promises.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "held by" not in line]
    assert len(rows) > 15
    for row in rows:
        named = re.findall(r"`((?:tests|benchmarks)/[a-z_/]+\.py)`", row)
        assert named, row
        for name in named:
            assert (CHECKOUT / name).is_file(), name
