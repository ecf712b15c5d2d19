"""The shape of the package: what importing it costs, and what it promises by name."""

import importlib
import inspect
import subprocess
import sys
from importlib import resources

import pytest

import veridical
from veridical import errors

HEAVY = {"torch", "scipy", "PIL", "matplotlib", "ot", "accelerate", "typer", "rich", "joblib"}
TORCH_FREE = ["limits", "transport", "bitstream", "quantize"]


def loaded_after_importing(module: str) -> set[str]:
    """Top-level names in ``sys.modules`` of a fresh interpreter that imported ``module``."""
    script = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_loads_no_heavy_module():
    # Structure instead of time: none of these modules can be loaded within 0.3 s everywhere.
    assert loaded_after_importing("veridical") & HEAVY == set()


@pytest.mark.parametrize("room", TORCH_FREE)
def test_torch_free_rooms_stay_so_at_run_time(room):
    # The import contract reads our own files; this also sees what a third package pulls in.
    assert "torch" not in loaded_after_importing(f"veridical.{room}")


def test_public_names_resolve_without_repeats():
    names = veridical.__all__
    assert len(set(names)) == len(names)
    for name in names:
        getattr(veridical, name)


def test_every_public_name_of_every_loaded_room_resolves():
    for room in TORCH_FREE:
        module = importlib.import_module(f"veridical.{room}")
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{room}.{name}"


def test_exception_tree_is_complete_and_has_one_root():
    defined = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert defined == {name for name in errors.__all__ if name != "typed_errors"}  # a function
    assert all(issubclass(getattr(errors, name), errors.VeridicalError) for name in defined)


def test_package_declares_its_types():
    assert resources.files("veridical").joinpath("py.typed").is_file()
