"""The reference: each public name has its place, and pages tell nobody of names that have none."""

import inspect
import json
import re
from importlib import import_module
from pathlib import Path

import pytest

import veridical

CHECKOUT = Path(__file__).parents[2]
PAGES = {
    p.stem: p.read_text(encoding="utf-8") for p in (CHECKOUT / "docs" / "reference").glob("*.md")
}
ENTRIES = [e for text in PAGES.values() for e in re.findall(r"^::: (\S+)$", text, re.MULTILINE)]
LEFT_OUT = {"veridical.photo.formats.open_image", "veridical.kept.load_codec"}
"""On the first page instead of their modules' own."""


def found(entry):
    """The module, or the object of a module, of an entry."""
    try:
        return import_module(entry)
    except ModuleNotFoundError as cause:
        if cause.name != entry:
            raise
        home, _, name = entry.rpartition(".")
        return getattr(import_module(home), name)


MODULES = [e for e in ENTRIES if inspect.ismodule(found(e))]


def test_no_entry_stands_twice():
    assert len(set(ENTRIES)) == len(ENTRIES)
    inside = {f"{m}.{name}" for m in MODULES for name in found(m).__all__} - LEFT_OUT
    assert not inside & set(ENTRIES)


def test_each_name_of_the_package_has_an_entry():
    # Oracle: dir(veridical), which has what needs an extra as well; an entry is the object itself, or its module with the name in it.
    assert set(veridical.__all__) < set(dir(veridical))
    for name in dir(veridical):
        if name == "__version__":
            continue
        value = getattr(veridical, name)
        home = f"{value.__module__}.{value.__name__}"
        listed = [m for m in MODULES if getattr(found(m), value.__name__, None) is value]
        assert home in ENTRIES or listed, name


@pytest.mark.parametrize("module", MODULES)
def test_each_name_of_a_public_module_says_what_it_is(module):
    # Oracle: contract; what Python gives no docstring of its own, as numbers, is left to the page.
    for name in found(module).__all__:
        value = getattr(found(module), name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


def test_pages_and_notebooks_use_public_modules_alone():
    # Oracle: the reference; the shapes of an import in Python and on a page.
    texts = {p: p.read_text(encoding="utf-8") for p in (CHECKOUT / "docs").rglob("*.md")}
    texts[CHECKOUT / "README.md"] = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    notebooks = list((CHECKOUT / "docs" / "notebooks").glob("*.ipynb"))
    assert len(notebooks) >= 4
    for path in notebooks:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts[path] = "\n".join("".join(cell["source"]) for cell in cells)
    for path, text in texts.items():
        for module in re.findall(
            r"^\s*(?:>>> )?from (veridical[a-z_.]*) import", text, re.MULTILINE
        ):
            assert module == "veridical" or module in MODULES, f"{path.name}: {module}"


def test_notebooks_keep_small_outputs_and_no_errors():
    # Oracle: 200 kB a notebook; every code cell was executed in order, and none failed.
    for path in (CHECKOUT / "docs" / "notebooks").glob("*.ipynb"):
        assert path.stat().st_size < 200_000
        code = [
            c
            for c in json.loads(path.read_text(encoding="utf-8"))["cells"]
            if c["cell_type"] == "code"
        ]
        assert [c["execution_count"] for c in code] == list(range(1, len(code) + 1))
        assert not [o for c in code for o in c["outputs"] if o["output_type"] == "error"]


def test_links_of_the_pages_outside_the_site_lead_somewhere():
    # Oracle: the files of the checkout; `make docs` checks the site itself.
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (CHECKOUT / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?![a-z]+:|#)([^)\s#]+)", text):
            assert (CHECKOUT / link).exists(), f"{name}: {link}"
