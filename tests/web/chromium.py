"""Chromium, driven through its DevTools protocol over a pipe: messages are JSON that ends in a zero byte."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """One tab; ``requests`` are the addresses it asked for, ``faults`` what its console said was wrong."""

    def __init__(self, width=1200, height=900, *, phone=False, folder=None):
        self._profile = tempfile.mkdtemp(dir=folder)
        to_read, self._out = os.pipe()
        self._in, to_write = os.pipe()
        words = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
            "--force-color-profile=srgb", f"--user-data-dir={self._profile}", "about:blank",
        ]  # fmt: skip

        # The browser reads from 3 and writes to 4; the ends are brought there by way of numbers above.
        wired = (
            "import fcntl, os, sys; r, w = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3]); "
            "os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", wired, str(to_read), str(to_write), *words],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._held, self._number, self._session = b"", 0, None
        self.requests, self.faults = [], []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for name in ("Page", "Runtime", "Network", "DOM", "Log"):
            self.send(f"{name}.enable")
        self.send(
            "Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True
        )
        self.size(width, height, phone=phone)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _message(self):
        while b"\0" not in self._held:
            more = os.read(self._in, 1 << 20)
            if not more:
                raise RuntimeError("Chromium ended")
            self._held += more
        line, self._held = self._held.split(b"\0", 1)
        return json.loads(line)

    def send(self, method, **params):
        """A command's result; events that come before it are noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while (found := self._message()).get("id") != self._number:
            self._note(found)
        if "error" in found:
            raise RuntimeError(f"{method}: {found['error']}")
        return found["result"]

    def _note(self, event):
        name, params = event.get("method"), event.get("params", {})
        if name == "Target.attachedToTarget":  # a worker: its requests count too
            body = {"id": 0, "method": "Network.enable", "sessionId": params["sessionId"]}
            os.write(self._out, json.dumps(body).encode() + b"\0")
        elif name == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif name == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(params)[:2000])
        elif name == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.faults.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))

    def size(self, width, height, *, phone=False, dots=1):
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=dots, mobile=phone
        )  # fmt: skip
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)

    def open(self, url):
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def fresh(self, url):
        """A page whose requests and faults are its own: the one before has ended."""
        self.open("about:blank")
        self.requests.clear()
        self.faults.clear()
        self.size(1200, 900)
        self.open(url)

    def run(self, expression):
        """The value of an expression of JavaScript, awaited."""
        out = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in out:
            raise RuntimeError(json.dumps(out["exceptionDetails"])[:2000])
        return out["result"].get("value")

    def wait(self, expression, seconds=240):
        """Until an expression is true; for a bounded time, so that what is broken fails."""
        end = time.monotonic() + seconds
        while not (value := self.run(expression)):
            if time.monotonic() > end:
                raise TimeoutError(f"{expression}; {self.faults}")
            time.sleep(0.1)
        return value

    def choose(self, selector, path):
        """Choose a file, as a person does in the dialogue."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def key(self, key, code=None):
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent", type=kind, key=key, code=code or key,
                **({"text": key} if len(key) == 1 and kind == "keyDown" else {}),
                windowsVirtualKeyCode={"Tab": 9, "Enter": 13, " ": 32, "ArrowRight": 39, "ArrowLeft": 37}.get(key, 0),
            )  # fmt: skip

    def downloads_to(self, folder):
        self.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def screenshot(self, path=None):
        data = base64.b64decode(self.send("Page.captureScreenshot")["data"])
        if path:
            Path(path).write_bytes(data)
        return data


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
