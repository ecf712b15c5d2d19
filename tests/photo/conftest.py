"""Pictures and files for the tests of the photo room."""

import io
import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def photograph():
    """A real photograph, 256 x 192, from scikit-image."""
    data = pytest.importorskip("skimage.data")
    return Image.fromarray(data.coffee()[60:252, 150:406])


@pytest.fixture(scope="session")
def coded(photograph):
    """Bytes of the photograph in each format at low quality."""
    out = {}
    for name, quality in (("AVIF", 25), ("WEBP", 20), ("JPEG", 20)):
        buffer = io.BytesIO()
        photograph.save(buffer, name, quality=quality)
        out[name] = buffer.getvalue()
    return out


@pytest.fixture(scope="session")
def with_header():
    """Bytes of a network's file with other metadata."""
    onnx = pytest.importorskip("onnx")
    from veridical.photo.weights import LAYOUT

    def changed(data, header):
        model = onnx.load_from_string(data)
        onnx.helper.set_model_props(model, {"veridical": json.dumps({"layout": LAYOUT, **header})})
        return model.SerializeToString()

    return changed


@pytest.fixture(scope="session")
def truth(photograph):
    return np.asarray(photograph)
