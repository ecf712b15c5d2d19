"""The room's front door: what it exports, and that opening it is cheap."""

import subprocess
import sys

import veridical.measure


def test_every_exported_name_exists_once():
    names = veridical.measure.__all__
    assert len(names) == len(set(names))
    assert all(hasattr(veridical.measure, name) for name in names)


def test_importing_the_room_loads_neither_torch_nor_scipy_nor_pot():
    # Oracle: the interpreter's own list of loaded modules, in a fresh process.
    code = (
        "import sys, veridical.measure; print(sorted({'torch', 'scipy', 'ot'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert run.stdout.strip() == "[]"
