"""Chromium and the page, once for all tests of this folder."""

import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helpers of this folder

from chromium import CHROMIUM, Page

from veridical.web.server import PageServer


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
def helper():
    """Of the page as ``veridical serve`` offers it: the package decodes what the browser does not."""
    with served() as found:
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
    browser.fresh(server.url)
    return browser
