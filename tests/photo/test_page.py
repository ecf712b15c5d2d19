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
    data = json.loads(re.search(r"const DATA = (\{.*\});", html).group(1))
    assert data["files"][0]["title"] == "one </script> file"
    encoded = data["files"][0]["x_mmse"].removeprefix("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        assert picture.size == (96, 64)


def browse(source, *options):
    """What headless Chromium prints when it shows a page."""
    words = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--disable-quic", "--force-color-profile=srgb", "--hide-scrollbars",
        f"--user-data-dir={source.parent / 'profile'}", "--virtual-time-budget=3000",
        *options, source.as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(words, check=True, capture_output=True, timeout=120)
    return shown.stdout.decode("utf-8")


# Each step does something that a person does and notes what then is: [a, scale, x, second pane].
STEPS = """
const key = (k, type = "keydown") => dispatchEvent(new KeyboardEvent(type, {key: k, bubbles: true}));
const touch = (type, id, x, y) => stage.dispatchEvent(new PointerEvent(type, {
  pointerId: id, pointerType: "touch", clientX: x, clientY: y, bubbles: true}));
const box = () => layers[0].parentElement.getBoundingClientRect();
const notes = [];
const note = name => notes.push([name, Number($("realism").value), view.z, view.x, !$("second").hidden,
  Number($("other").style.opacity), Number($("point").getAttribute("cy"))]);
document.querySelectorAll("img").forEach(i => i.style.height = "200px");
note("start");
key("ArrowRight"); key("ArrowRight"); note("right");
key("ArrowLeft"); note("left");
key("o"); note("ordinary"); key("o", "keyup"); note("released");
key("+"); note("plus"); key("0"); note("zero");
const c = box();
stage.dispatchEvent(new WheelEvent("wheel", {deltaY: -300 * Math.LN2, clientX: c.left, clientY: c.top, cancelable: true}));
note("wheel");
touch("pointerdown", 1, c.left + 60, c.top + 60); touch("pointermove", 1, c.left + 50, c.top + 60);
touch("pointerup", 1, c.left + 50, c.top + 60); note("drag");
key("0");
touch("pointerdown", 1, c.left + 40, c.top + 50); touch("pointerdown", 2, c.left + 60, c.top + 50);
touch("pointermove", 2, c.left + 100, c.top + 50); touch("pointerup", 1, 0, 0); touch("pointerup", 2, 0, 0);
note("pinch");
key("0"); key("s"); note("beside");
$("realism").value = 1; $("realism").dispatchEvent(new Event("input")); note("full");
document.body.innerHTML = "<pre>" + JSON.stringify(notes) + "</pre>";
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_keys_wheel_touch_and_curve(html, tmp_path):
    # Oracle: what each action stands for: 0.05 of realism a key, 1.5 of scale, a factor of 2 by the
    # wheel and 3 by fingers that part from 20 to 60 pixels; D - d = a^2 C on an axis of 112 pixels.
    source = tmp_path / "page.html"
    source.write_text(html.replace("</html>", f"<script>{STEPS}</script></html>"), encoding="utf-8")
    dom = browse(source, "--dump-dom", "--window-size=900,700")
    steps = {n[0]: n[1:] for n in json.loads(re.search(r"<pre>(.*)</pre>", dom).group(1))}
    a, z, x, second, other, cy = range(6)
    assert steps["start"] == [0, 1, 0, False, 0, 132]
    assert steps["right"][a] == pytest.approx(0.1)
    assert steps["right"][cy] == pytest.approx(132 - 112 * 0.1**2)
    assert steps["left"][a] == pytest.approx(0.05)
    assert steps["ordinary"][other] == 1
    assert steps["released"][other] == 0
    assert steps["plus"][z] == pytest.approx(1.5)
    assert steps["zero"][z] == 1
    assert steps["wheel"][z] == pytest.approx(2)
    assert steps["drag"][x] == pytest.approx(steps["wheel"][x] - 10)
    assert steps["pinch"][z] == pytest.approx(3)
    assert steps["beside"][second] is True
    assert steps["full"][cy] == pytest.approx(20)


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
    browse(source, f"--screenshot={shot}", "--window-size=500,400")
    with Image.open(shot) as picture:
        seen = np.asarray(picture.convert("RGB")).astype(float)[:64, :96]
    expected = (1 - realism) * mmse + realism * real
    assert np.abs(seen - expected).max() <= 2


# What the page offers for each file, with an original and without: [side by side, its picture is that
# of ..., button for the ordinary decoder, curve].
OFFERS = """
const offers = [];
function note() {
  const is = {original: DATA.original, ordinary: item.ordinary, x_mmse: item.x_mmse};
  offers.push([$("beside").textContent, Object.keys(is).find(k => is[k] === $("plain").src),
    !$("ordinary").hidden, $("chart").style.display !== "none", $("price").textContent]);
}
function all() { DATA.files.forEach((_, i) => { $("file").value = i; choose(); note(); }); }
all(); DATA.original = null; all();
dispatchEvent(new KeyboardEvent("keydown", {key: "o"}));
document.body.innerHTML = "<pre>" + JSON.stringify([offers, Number($("other").style.opacity)]) + "</pre>";
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_what_a_file_lacks_is_not_offered(pictures, tmp_path):
    # Oracle: contract: side by side stands the ordinary decoder, else the original, else realism 0;
    # no button, key or curve for what there is not.
    original, mmse, real, ordinary = pictures
    price = Calibration(1e-3, 8e-4)
    both = [
        PageFile("conventional", mmse, real, ordinary, price, [], []),
        PageFile("learned", mmse, real, None, None, [], []),
    ]
    source = tmp_path / "page.html"
    html = page(original, both)
    source.write_text(
        html.replace("</html>", f"<script>{OFFERS}</script></html>"), encoding="utf-8"
    )
    dom = browse(source, "--dump-dom", "--window-size=900,700")
    offers, opacity = json.loads(re.search(r"<pre>(.*)</pre>", dom).group(1))
    conventional, learned, conventional_alone, learned_alone = offers
    assert conventional == conventional_alone
    assert conventional[:4] == ["Side by side: ordinary decoder", "ordinary", True, True]
    assert "30.00 dB" in conventional[4]
    assert learned[:4] == ["Side by side: original", "original", False, False]
    assert learned_alone[:4] == ["Side by side: realism 0", "x_mmse", False, False]
    assert "No price" in learned[4]
    assert opacity == 0
