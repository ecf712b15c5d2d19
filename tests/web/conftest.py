"""Chromium and the page, once for all tests of this folder."""

import base64
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helpers of this folder

from chromium import CHROMIUM, Page  # noqa: E402 - the path above comes first

from veridical.web.server import PageServer  # noqa: E402 - the same

READ = """(id => {
  const i = document.getElementById(id), c = document.createElement('canvas');
  [c.width, c.height] = [i.naturalWidth, i.naturalHeight];
  const x = c.getContext('2d');
  x.drawImage(i, 0, 0);
  const u = x.getImageData(0, 0, c.width, c.height).data;
  let s = '';
  for (let k = 0; k < u.length; k += 8192) s += String.fromCharCode(...u.subarray(k, k + 8192));
  return [c.width, c.height, btoa(s)];
})"""


def served(**settings):
    server = PageServer(0, **settings)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="session")
def server():
    """Of a page whose browser runs the networks, as on the static site."""
    with served(local=False) as found:
        yield found
        found.shutdown()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with Page(folder=tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture
def page(browser, server):
    """The page as it opens."""
    browser.requests.clear()
    browser.faults.clear()
    browser.size(1200, 900)
    browser.open(server.url)
    return browser


def status(page):
    return page.run("document.getElementById('status').textContent")


def restored(page, path):
    """Choose a file and wait until it is restored."""
    page.choose("#file", path)
    page.wait(
        f"document.getElementById('status').textContent !== 'Reading {path.name}' && "
        "(/^Done|lossless/.test(document.getElementById('status').textContent) && "
        f"document.title.startsWith('{path.name}') || document.getElementById('status').className)"
    )
    assert not page.faults
    return status(page)


def pixels(page, name):
    """What one of the page's pictures shows, RGBA."""
    width, height, data = page.run(f"{READ}('{name}')")
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
