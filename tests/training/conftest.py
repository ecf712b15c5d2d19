"""Small pictures to train on and to validate on, and one whole run of the networks of ``.vdc`` files."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two folders of small pictures: to train on and to validate on."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, count in (("train", 3), ("val", 2)):
        (folder / name).mkdir()
        for k in range(count):
            coarse = rng.integers(0, 256, (12, 11, 3)).astype(np.uint8)
            Image.fromarray(coarse).resize((176, 192), Image.Resampling.BICUBIC).save(
                folder / name / f"{k}.png"
            )
    return folder


@pytest.fixture(scope="session")
def vdc_pictures(tmp_path_factory):
    """Four photographs cut from one, a small picture and something that is no picture."""
    data = pytest.importorskip("skimage.data")
    out = tmp_path_factory.mktemp("pictures")
    coffee = data.coffee()
    for k in range(4):
        Image.fromarray(coffee[60 * k : 60 * k + 176, 90 * k : 90 * k + 200]).save(out / f"{k}.png")
    Image.fromarray(coffee[:40, :40]).save(out / "small.png")
    (out / "text.png").write_text("no picture")
    return out


@pytest.fixture(scope="session")
def vdc_run(vdc_pictures, tmp_path_factory):
    """Folder of a whole run of the tiny preset by the command, and the weights file in it."""
    import torch

    from veridical.cli.main import application
    from veridical.training import sources

    torch.set_num_threads(1)
    patch = pytest.MonkeyPatch()
    patch.setattr(sources, "KINDS", ["flat"])  # others take long to draw
    run = tmp_path_factory.mktemp("run")
    words = ["train", "photo-codec", vdc_pictures, "--validation", vdc_pictures, "--run", run]
    result = CliRunner().invoke(application(), [*map(str, words), "--preset", "tiny"])
    patch.undo()
    assert result.exit_code == 0, result.output
    return run, run / "vdc.npz"
