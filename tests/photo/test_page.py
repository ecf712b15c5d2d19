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
from veridical.photo.view import PageFile, page

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


def test_nothing_outside_is_needed(html, pictures):
    # Oracle: the text itself: no address, and the pictures inside are the pictures; bit-exact.
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", html)
    assert "</script> file" not in html
    data = json.loads(re.search(r"const DATA = (\{.*\});", html).group(1))
    assert data["files"][0]["title"] == "one </script> file"
    encoded = data["files"][0]["x_mmse"].removeprefix("data:image/webp;base64,")
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        assert picture.convert("RGB").tobytes() == pictures[1].tobytes()


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


# Each step does something that a person does and notes what then is.
STEPS = """
const key = (k, more = {}, at = document.body) => at.dispatchEvent(
  new KeyboardEvent(more.type ?? "keydown", {key: k, bubbles: true, ...more}));
const touch = (type, id, x, y) => stage.dispatchEvent(new PointerEvent(type, {
  pointerId: id, pointerType: "touch", clientX: x, clientY: y, bubbles: true}));
const notes = [];
const note = name => notes.push([name, Number($("realism").value), view.k, view.x, view.y, !$("second").hidden,
  Number($("other").style.opacity), Number($("point").getAttribute("cy")), stage.classList.contains("sharp")]);
stage.style.height = "200px"; stage.style.width = "302px"; view.place();
note("start");
key("ArrowRight"); key("ArrowRight"); note("right");
key("ArrowLeft"); note("left");
key("s", {ctrlKey: true}); key("o", {altKey: true}); key("1", {metaKey: true}); note("modified");
key("o"); note("ordinary"); key("o", {type: "keyup"}); note("released");
key("+"); note("plus"); key("+"); note("plusplus"); key("-"); note("minus");
key("ArrowRight", {}, stage); key("ArrowDown", {}, stage); note("panned");
key("0"); note("zero");
const c = view.box;
stage.dispatchEvent(new WheelEvent("wheel", {deltaY: -300 * Math.LN2, clientX: c.left, clientY: c.top, cancelable: true}));
note("wheel");
touch("pointerdown", 1, c.left + 60, c.top + 60); touch("pointermove", 1, c.left + 50, c.top + 60);
touch("pointerup", 1, c.left + 50, c.top + 60); note("drag");
key("0");
touch("pointerdown", 1, c.left + 40, c.top + 50); touch("pointerdown", 2, c.left + 60, c.top + 50);
touch("pointermove", 2, c.left + 100, c.top + 50); touch("pointerup", 1, 0, 0); touch("pointerup", 2, 0, 0);
note("pinch");
key("s"); note("alone"); key("s"); note("beside");
$("realism").value = 1; $("realism").dispatchEvent(new Event("input")); note("full");
document.body.innerHTML = "<pre>" + JSON.stringify(notes) + "</pre>";
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_keys_wheel_touch_and_curve(html, tmp_path):
    # Oracle: what each action stands for. Panes of 150 x 200 pixels hold a picture of 96 x 64 once: it fits at true
    # pixels. 0.05 of realism and 40 pixels a key; the next power of two a plus; a factor of 2 by the wheel and 3
    # by fingers that part from 20 to 60 pixels; D - d = a^2 C on an axis of 112 pixels.
    source = tmp_path / "page.html"
    source.write_text(html.replace("</html>", f"<script>{STEPS}</script></html>"), encoding="utf-8")
    dom = browse(source, "--dump-dom", "--window-size=900,700")
    steps = {n[0]: n[1:] for n in json.loads(re.search(r"<pre>(.*)</pre>", dom).group(1))}
    a, k, x, y, second, other, cy, _ = range(8)
    assert steps["start"] == [0, 1, 27, 68, True, 0, 132, True]
    assert steps["right"][a] == pytest.approx(0.1)
    assert steps["right"][cy] == pytest.approx(132 - 112 * 0.1**2)
    assert steps["left"][a] == pytest.approx(0.05)
    assert steps["modified"] == steps["left"]
    assert steps["ordinary"][other] == 1
    assert steps["released"] == steps["left"]
    assert [steps[name][k] for name in ("plus", "plusplus", "minus")] == [2, 4, 2]
    assert steps["panned"][a] == steps["left"][a]
    assert steps["panned"][x] == max(steps["minus"][x] - 40, 150 - 192)
    assert steps["panned"][y] == 36  # 128 rows in a pane of 200 stay in its middle
    assert steps["zero"][k] == 1
    assert steps["wheel"][k] == pytest.approx(2)
    assert steps["drag"][x] == pytest.approx(steps["wheel"][x] - 10)
    assert steps["pinch"][k] == pytest.approx(3)
    assert steps["alone"][second] is False
    assert steps["beside"][second] is True
    assert steps["full"][cy] == pytest.approx(20)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_it_opens_with_the_comparison_in_sight(html, tmp_path):
    # Oracle: both panes lie inside a window of a laptop and of a phone before anything is scrolled.
    look = """<script>const boxes = layers.map(l => l.parentElement.getBoundingClientRect());
      document.body.innerHTML = "<pre>" + JSON.stringify([boxes.map(b => [b.top, b.bottom, b.width]),
        innerHeight, innerWidth, document.documentElement.scrollWidth]) + "</pre>";</script></html>"""
    source = tmp_path / "page.html"
    source.write_text(html.replace("</html>", look), encoding="utf-8")
    for size in ("1280,720", "500,900"):  # Chromium makes no narrower window
        dom = browse(source, "--dump-dom", f"--window-size={size}")
        boxes, height, width, needed = json.loads(re.search(r"<pre>(.*)</pre>", dom).group(1))
        assert len(boxes) == 2
        assert all(top >= 0 and bottom <= height and wide > 200 for top, bottom, wide in boxes)
        assert needed <= width


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize(("realism", "k"), [(0.0, 1), (0.3, 4), (1.0, 1)])
def test_the_slider_is_the_interpolation(html, pictures, tmp_path, realism, k):
    # Oracle: (1-a) x_mmse + a x_real on the pictures, at true pixels and enlarged four times, where each pixel is a
    # square of four; the screenshot may differ by the browser's rounding, 2 levels.
    _, mmse, real, _ = (np.asarray(p).astype(float) for p in pictures)
    expected = (1 - realism) * mmse + realism * real
    move = f"""<style>.stage {{ position: fixed; inset: 0; width: {96 * k}px; height: {64 * k}px !important;
      z-index: 9 }} .tag {{ display: none }}</style>
      <script>const r = $("realism"); r.value = {realism}; r.dispatchEvent(new Event("input"));
      $("beside").value = ""; beside(); view.fit();</script></html>"""
    source = tmp_path / "page.html"
    source.write_text(html.replace("</html>", move), encoding="utf-8")
    shot = tmp_path / "shot.png"
    browse(source, f"--screenshot={shot}", "--window-size=600,500")
    with Image.open(shot) as picture:
        seen = np.asarray(picture.convert("RGB")).astype(float)[: 64 * k, : 96 * k]
    assert np.abs(seen - np.kron(expected, np.ones((k, k, 1)))).max() <= 2


# What the page offers for each file, with an original and without: [what may stand beside, what does, its
# picture is that of ..., button for the ordinary decoder, curve, price, kinds of cells in the table's head].
OFFERS = """
const offers = [];
function note() {
  const is = {original: DATA.original, ordinary: item.ordinary, x_mmse: item.x_mmse};
  offers.push([[...$("beside").options].map(o => o.text), $("beside").value,
    Object.keys(is).find(k => is[k] === $("plain").src), !$("ordinary").hidden,
    $("chart").style.display !== "none", $("price").textContent,
    [...document.querySelectorAll("thead *")].map(e => e.tagName + e.textContent)]);
}
function all() { DATA.files.forEach((_, i) => { $("file").value = i; choose(); note(); }); }
all(); DATA.original = null; all();
dispatchEvent(new KeyboardEvent("keydown", {key: "o"}));
document.body.innerHTML = "<pre>" + JSON.stringify([offers, Number($("other").style.opacity)]) + "</pre>";
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_what_a_file_lacks_is_not_offered(pictures, tmp_path):
    # Oracle: contract: first beside stands the ordinary decoder, else the original, else realism 0;
    # no button, key, curve or head of a table for what there is not.
    original, mmse, real, ordinary = pictures
    price = Calibration(1e-3, 8e-4)
    both = [
        PageFile("conventional", mmse, real, ordinary, price, ["", "PSNR"], [["realism 0", "30"]]),
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
    ends = ["realism 0", "realism 1"]
    assert conventional[0] == ["nothing", "ordinary decoder", "original", *ends]
    assert conventional[1:5] == ["ordinary decoder", "ordinary", True, True]
    assert "30.00 dB" in conventional[5]
    assert conventional[6] == ["TRPSNR", "TD", "THPSNR"]
    assert learned[0] == ["nothing", "original", *ends]
    assert learned[1:5] == ["original", "original", False, False]
    assert learned[6] == []
    assert conventional_alone[0] == ["nothing", "ordinary decoder", *ends]
    assert learned_alone[0:5] == [["nothing", *ends], "realism 0", "x_mmse", False, False]
    assert "No price" in learned[5]
    assert opacity == 0
