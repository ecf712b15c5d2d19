"""Small pictures to train on and to validate on."""

import numpy as np
import pytest
from PIL import Image


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
