"""The page under the hands of people: keyboard, fingers, screen readers, phones, and without a network."""

import base64
import functools
import io
import json
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from chromium import pixels, restored
from PIL import Image

from veridical.web.site import site_files, write_site

AXE = Path(sys.prefix) / "axe.min.js"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    data = pytest.importorskip("skimage.data")
    path = tmp_path_factory.mktemp("tiny") / "tiny.jpg"
    Image.fromarray(data.coffee()[100:148, 200:264]).save(path, quality=20)
    return path


def focused(page):
    return page.run("document.activeElement.id")


def test_keyboard_alone(page, tiny):
    # Oracle: what a person who has no mouse does: every control is reached in the order of reading, the slider
    # moves by its arrows, the picture by keys while it has the focus, and by none with Ctrl.
    restored(page, tiny)
    page.run("document.getElementById('file').focus()")
    reached = [focused(page)]
    for _ in range(11):
        page.key("Tab")
        reached.append(focused(page))
    expected = [
        "file",
        "sample",
        "realism",
        "save",
        "ordinary",
        "beside",
        "fit",
        "true",
        "out",
        "in",
        "stage",
    ]
    assert reached[: len(expected)] == expected
    page.run("document.getElementById('realism').focus()")
    for _ in range(3):
        page.key("ArrowRight")
    assert page.run("document.getElementById('value').textContent") == "0.03"
    assert page.run("document.getElementById('real').style.opacity") == "0.03"
    scale = "document.getElementById('scale').textContent"
    fitted = page.run(scale)
    page.run("document.getElementById('stage').focus()")
    page.key("1")
    assert page.run(scale) == "100 %"
    page.key("+")
    assert page.run(scale) == "200 %"
    press = "stage.dispatchEvent(new KeyboardEvent('keydown', {key: '+', ctrlKey: true}))"
    page.run(f"(stage => {press})(document.getElementById('stage'))")
    assert page.run(scale) == "200 %"
    page.key("0")
    assert page.run(scale) == fitted


def test_true_pixels_on_a_dense_screen(page, tiny):
    # Oracle: at 1:1 a picture of 64 x 48 covers 64 x 48 dots of the screen: 32 x 24 of the page's units.
    page.size(800, 900, dots=2)
    restored(page, tiny)
    page.run("document.getElementById('true').click()")
    box = "(r => [r.width, r.height, r.left * 2 % 1, r.top * 2 % 1])(document.getElementById('plain').getBoundingClientRect())"
    assert page.run(box) == [32, 24, 0, 0]


FINGERS = """(stage => {
  const box = stage.getBoundingClientRect(), x = box.left + 100, y = box.top + 100;
  const touch = (type, id, dx) => stage.dispatchEvent(new PointerEvent(type, { pointerId: id, pointerType: 'touch',
    clientX: x + dx, clientY: y, bubbles: true }));
  stage.setPointerCapture = () => {};
  const width = () => document.getElementById('plain').getBoundingClientRect().width, before = width();
  touch('pointerdown', 1, -10); touch('pointerdown', 2, 10); touch('pointermove', 2, 50);
  touch('pointerup', 1, 0); touch('pointerup', 2, 0);
  return width() / before;
})(document.getElementById('stage'))"""


@pytest.mark.parametrize("width", [320, 390])
def test_phone(page, tiny, width):
    # Oracle: nothing is wider than the screen, and both pictures end above its lower edge; controls are 44 units high
    # (WCAG 2.5.5); fingers that part from 20 to 60 units enlarge three times.
    page.size(width, 700, phone=True)
    restored(page, tiny)
    page.run("document.getElementById('beside').click()")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("document.getElementById('stage').getBoundingClientRect().bottom") <= 700
    heights = page.run(
        "[...document.querySelectorAll('button, label[for=file], input[type=range]')].filter(e => e.offsetParent)"
        ".map(e => e.getBoundingClientRect().height)"
    )
    assert min(heights) >= 44
    assert page.run(FINGERS) == pytest.approx(3, rel=1e-3)


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: python requirements/npm.py axe-core")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_fault_that_axe_finds(page, tiny, scheme):
    # Oracle: axe-core: nothing above minor, as the page opens, with a result, and with a fault.
    page.send(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )

    def faults():
        page.run(AXE.read_text(encoding="utf-8") + "; 0")
        found = json.loads(page.run("axe.run().then(r => JSON.stringify(r.violations))"))
        return [
            (v["id"], v["impact"], [n["html"] for n in v["nodes"]])
            for v in found
            if v["impact"] != "minor"
        ]

    try:
        assert not faults()
        restored(page, tiny)
        page.run("document.getElementById('beside').click()")
        assert not faults()
        bad = tiny.with_name("bad.txt")
        bad.write_text("text")
        page.choose("#file", bad)
        page.wait("document.getElementById('status').classList.contains('fault')")
        assert not faults()
    finally:
        page.send("Emulation.setEmulatedMedia", features=[])


def test_a_file_can_be_dropped_and_replaced(page, tiny):
    # Oracle: contract: a dropped file is taken as a chosen one, and the later of two counts.
    drop = """(async () => {
      const bytes = Uint8Array.from(atob('DATA'), c => c.charCodeAt(0));
      for (const name of ['first.jpg', 'second.jpg']) {
        const carried = new DataTransfer();
        carried.items.add(new File([bytes], name));
        document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: carried, bubbles: true, cancelable: true }));
      }
    })()"""
    page.run(drop.replace("DATA", base64.b64encode(tiny.read_bytes()).decode()))
    page.wait("document.title.startsWith('second.jpg')")
    assert pixels(page, "mmse").shape == (48, 64, 4)
    assert not page.faults


@pytest.fixture
def static_site(tmp_path):
    """The static files behind a server that knows nothing of them."""
    assert write_site(tmp_path) > 1e6

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_static_site_works_offline(browser, static_site, tiny):
    # Oracle: after one file the server is stopped; the page opens again, restores another, and is isolated.
    page = browser
    page.faults.clear()
    page.size(1200, 900)
    page.open(f"http://127.0.0.1:{static_site.server_port}/")
    page.wait("crossOriginIsolated && document.readyState === 'complete'")
    restored(page, tiny)
    static_site.shutdown()
    static_site.server_close()
    page.send("Page.reload")
    time.sleep(0.5)
    page.wait("document.readyState === 'complete' && document.title.startsWith('veridical')")
    other = tiny.with_name("other.jpg")
    Image.open(tiny).rotate(90, expand=True).save(other, quality=30)
    page.choose("#file", other)
    page.wait("document.title.startsWith('other.jpg')")
    assert pixels(page, "real").shape == (64, 48, 4)


def test_the_service_worker_keeps_every_file():
    # Oracle: the files of the page, but for weights, documents and itself.
    files = site_files()
    listed = files["sw.js"].read_text(encoding="utf-8").split("const SHELL = [")[1].split("]")[0]
    kept = {name.strip().strip('"') for name in listed.split(",")}
    wanted = {
        name for name in files if not name.startswith("weights/") and not name.endswith(".md")
    }
    assert kept == wanted - {"sw.js", "index.html"} | {"./"}


def test_sample_is_restored(page):
    # Oracle: the size of the sample.
    page.run("document.getElementById('sample').click()")
    page.wait("document.getElementById('plain').naturalWidth > 0")
    with Image.open(io.BytesIO(site_files()["sample.jpg"].read_bytes())) as sample:
        size = [*sample.size]
    assert (
        page.run(
            "[document.getElementById('plain').naturalWidth, document.getElementById('plain').naturalHeight]"
        )
        == size
    )
