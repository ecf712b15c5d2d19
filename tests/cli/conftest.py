"""The command line in this process, and a folder with a picture to use it on."""

import sys

import numpy as np
import pytest
from PIL import Image

from veridical.cli.main import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Call the command line in this process; returns (exit code, standard output, error)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["veridical", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def folder(tmp_path):
    """A folder with a small PNG and a JPEG made of it."""
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=(6, 8, 3))
    pixels = np.clip(np.kron(smooth, np.ones((8, 8, 1))) * 40 + 128, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", quality=20)
    return tmp_path
