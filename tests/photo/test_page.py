"""The page: self-contained, and its slider is the interpolation, seen by a real browser."""

import base64
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from veridical.interpolate import Calibration
from veridical.photo.page import PageFile, page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(
            np.kron(rng.integers(0, 256, (4, 6, 3)), np.ones((16, 16, 1))).astype(np.uint8)
        )
        for _ in range(4)
    ]


@pytest.fixture(scope="module")
def html(pictures):
    original, mmse, real, ordinary = pictures
    price = Calibration(1e-3, 8e-4)
    file = PageFile(
        "one </script> file", mmse, real, ordinary, price, ["", "PSNR"], [["realism 0", "30"]]
    )
    return page(original, [file])


def test_nothing_outside_is_needed(html):
    # Oracle: the text itself: no address, and the pictures inside are the pictures; bit-exact.
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", html)
    assert "</script> file" not in html
    data = json.loads(re.search(r"const DATA = (\{.*\});", html).group(1).replace("<\\/", "</"))
    assert data["files"][0]["title"] == "one </script> file"
    encoded = data["files"][0]["x_mmse"].removeprefix("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        assert picture.size == (96, 64)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("realism", [0.0, 0.3, 1.0])
def test_the_slider_is_the_interpolation(html, pictures, tmp_path, realism):
    # Oracle: (1-a) x_mmse + a x_real on the pictures; the screenshot may differ by the browser's
    # rounding, 2 levels.
    _, mmse, real, _ = (np.asarray(p).astype(float) for p in pictures)
    move = f"""<style>body {{ margin: 0 !important; padding: 0 !important }}
      body > :not(.stage):not(script) {{ display: none !important }} .stage {{ width: 96px }}</style>
      <script>const r = document.getElementById("realism"); r.value = {realism};
      r.dispatchEvent(new Event("input"));</script></html>"""
    source = tmp_path / "page.html"
    source.write_text(html.replace("</html>", move), encoding="utf-8")
    shot = tmp_path / "shot.png"
    subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-quic", "--force-color-profile=srgb", "--hide-scrollbars",
            f"--user-data-dir={tmp_path / 'profile'}", "--window-size=500,400",
            "--virtual-time-budget=3000", f"--screenshot={shot}", source.as_uri(),
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    with Image.open(shot) as picture:
        seen = np.asarray(picture.convert("RGB")).astype(float)[:64, :96]
    expected = (1 - realism) * mmse + realism * real
    assert np.abs(seen - expected).max() <= 2
