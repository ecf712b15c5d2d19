"""The server of the page: what it answers, to whom, and what it says about itself."""

import http.client
import io
import json
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from chromium import pixels, restored
from PIL import Image

import veridical
from veridical.errors import InvalidSetting, SystemFault
from veridical.web.server import HOST, PageServer


def ask(server, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    got = answer.read()
    connection.close()
    return answer.status, dict(answer.headers), got


def test_files_and_headers(server):
    # Oracle: the policy that the documentation promises; types that browsers ask of modules.
    status, headers, body = ask(server, "/")
    assert status == 200
    assert body.startswith(b"<!doctype html>")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "http" not in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    for name, kind in (("main.js", "text/javascript"), ("vendor/ort.wasm.bundle.min.mjs", "text/javascript"),
                       ("style.css", "text/css"), ("icon.svg", "image/svg+xml"), ("weights/jpeg.onnx", "application/octet-stream")):  # fmt: skip
        status, headers, body = ask(server, f"/{name}")
        assert (status, headers["Content-Type"].split(";")[0]) == (200, kind)
        assert "Content-Encoding" not in headers
        assert len(body) == int(headers["Content-Length"])
    status, headers, body = ask(server, "/main.js", "HEAD")
    assert (status, body) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py",
        "/%2e%2e/server.py",
        "/vendor",
        "/weights/../../x",
        "//etc/passwd",
        "/nothing",
        "/%00",
    ],
)
def test_nothing_but_the_page(server, path):
    # Oracle: contract: only files of the page have addresses.
    assert ask(server, path)[0] == 404


def test_only_by_its_own_name(server):
    # Oracle: contract: a name that was made to point here (DNS rebinding) is refused; loopback only is bound.
    assert ask(server, "/", Host=f"evil.example:{server.server_port}")[0] == 421
    assert ask(server, "/", Host=f"localhost:{server.server_port}")[0] == 200
    assert server.server_address[0] == "127.0.0.1"


def raw(server, request):
    """The status line of an answer to any bytes, and what the server printed is the caller's affair."""
    with socket.create_connection((HOST, server.server_port), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(1 << 16).partition(b"\r\n")[0]


def test_hostile_requests(server, capfd, monkeypatch):
    # Oracle: statuses of RFC 9110 and RFC 6585; a name beside ours is refused (RFC 9112, 3.2), the server
    # prints nothing and goes on answering.
    monkeypatch.setattr(server, "local", True)
    ours = f"Host: {HOST}:{server.server_port}\r\n".encode()
    for line, more, status in (
        (b"GET http://[::1 HTTP/1.1", b"", b"404"),
        (b"GET / HTTP/1.1", b"Host: evil.example\r\n", b"421"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1", b"", b"414"),
        (b"GET / HTTP/1.1", b"X: " + b"a" * 70_000 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1", b"X: a\r\n" * 200, b"431"),
        (b"POST / HTTP/1.1", b"Content-Length: 5\r\n", b"404"),
        (b"POST http://[::1 HTTP/1.1", b"Content-Length: 5\r\n", b"404"),
        (
            b"POST /decode HTTP/1.1",
            b"Origin: http://" + ours[6:] + b"Content-Length: " + b"9" * 5000 + b"\r\n",
            b"413",
        ),
        (b"TRACE / HTTP/1.1", b"", b"501"),
        (b"GET / HTTP/9.9", b"", b"505"),
    ):
        answer = raw(server, line + b"\r\n" + ours + more + b"Connection: close\r\n\r\n")
        assert status in answer or (not answer.startswith(b"HTTP") and status == b"505"), (
            line,
            answer,
        )
    for _ in range(5):  # whoever hangs up before the answer
        gone = socket.create_connection((HOST, server.server_port), timeout=30)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.sendall(b"GET /vendor/ort.wasm.bundle.min.mjs HTTP/1.1\r\n" + ours + b"\r\n")
        gone.close()
    assert ask(server, "/")[0] == 200
    assert capfd.readouterr().err == ""


def test_port_in_use_and_no_port():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(SystemFault, match="--port"):
            PageServer(taken.getsockname()[1])
    for port in (-1, 70_000):
        with pytest.raises(InvalidSetting):
            PageServer(port)


def test_command(tmp_path):
    # Oracle: exit codes of the documentation; the site is the page's files.
    def call(*words):
        command = [sys.executable, "-m", "veridical", "serve", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    done = call("--port", "70000")
    assert done.returncode == 2
    assert "65535" in done.stderr
    assert "Traceback" not in done.stderr
    done = call("--site", str(tmp_path / "site"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/index.html").is_file()
    assert (tmp_path / "site/weights/avif-generator.onnx").is_file()


def test_vendored_files_are_those_of_the_record(server):
    # Oracle: the digests in vendor/README.md.
    import gzip
    import hashlib

    folder = server.files["index.html"].parent / "vendor"
    said = (folder / "README.md").read_text(encoding="utf-8")
    module = (folder / "ort.wasm.bundle.min.mjs").read_bytes()
    binary = gzip.decompress((folder / "ort-wasm-simd-threaded.wasm.gz").read_bytes())
    for data in (module, binary):
        assert hashlib.sha256(data).hexdigest() in said


@pytest.fixture(scope="module")
def helping(helper):
    """A server that decodes what browsers do not, and a small .vdc file."""
    picture = Image.fromarray(pytest.importorskip("skimage.data").coffee()[100:164, 200:296])
    return helper, veridical.encode(picture, format="VDC", quality=20)


def test_the_package_decodes_what_browsers_do_not(helping):
    # Oracle: veridical.decode of the same file, to the level.
    server, data = helping
    own = {"Origin": f"http://{HOST}:{server.server_port}"}
    status, _, body = ask(server, "/decode", "POST", data, **own)
    assert status == 200
    line, rest = body.split(b"\n", 1)
    head = json.loads(line)
    image = veridical.open(data)
    assert (head["info"]["format"], head["info"]["bytes"]) == ("VDC", len(data))
    assert head["price"]["mmse"] == image.info.price.mmse
    for n, realism in zip(head["sizes"], (0, 0, 1), strict=True):
        part, rest = rest[:n], rest[n:]
        assert np.array_equal(Image.open(io.BytesIO(part)), image.decode(realism, as_array=True))
    assert not rest
    _, _, body = ask(server, "/decode?realism=0.3", "POST", data, **own)
    assert np.array_equal(Image.open(io.BytesIO(body)), image.decode(0.3, as_array=True))


def test_it_decodes_for_its_own_page_alone(server, helping):
    # Oracle: contract: another site, another name, no origin, a server that does not help, and what is no file or too large.
    helper, data = helping
    own = f"http://localhost:{helper.server_port}"
    for origin, status in ((own, 200), ("http://evil.example", 403), ("null", 403), (None, 403)):
        headers = {} if origin is None else {"Origin": origin}
        assert ask(helper, "/decode", "POST", data, **headers)[0] == status
    assert ask(helper, "/decode", "POST", data, Origin=own, Host="evil.example")[0] == 421
    assert ask(helper, "/other", "POST", data, Origin=own)[0] == 404
    own_of_other = f"http://localhost:{server.server_port}"
    assert ask(server, "/decode", "POST", data, Origin=own_of_other)[0] == 404
    assert (
        ask(helper, "/decode", "POST", None, Origin=own, **{"Content-Length": str(2**40)})[0] == 413
    )
    for bad, query in (
        (b"no picture", ""),
        (data[:40], ""),
        (data, "?realism=2"),
        (data, "?realism=x"),
    ):
        status, _, said = ask(helper, f"/decode{query}", "POST", bad, Origin=own)
        assert status == 422
        assert b"Traceback" not in said


def test_who_is_slow_keeps_nobody_waiting(helping, monkeypatch):
    # Oracle: a whole file is answered while another is half sent and a third's answer is not read; who sends byte by
    # byte is told so (RFC 9110, 15.5.9).
    server, data = helping
    own = f"http://{HOST}:{server.server_port}"
    head = (
        f"POST /decode HTTP/1.1\r\nHost: {HOST}:{server.server_port}\r\nOrigin: {own}\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    ).encode()
    with (
        socket.create_connection((HOST, server.server_port), timeout=30) as slow,
        socket.create_connection((HOST, server.server_port), timeout=30) as deaf,
    ):
        slow.sendall(head + data[:40])
        deaf.sendall(head + data)
        assert ask(server, "/decode", "POST", data, Origin=own)[0] == 200
        slow.sendall(data[40:])
        assert slow.recv(1 << 16).startswith(b"HTTP/1.1 200")
    monkeypatch.setattr("veridical.web.server._PATIENCE", -1.0)
    assert ask(server, "/decode", "POST", data, Origin=own)[0] == 408


def test_a_port_that_browsers_leave_out(server, monkeypatch):
    # Oracle: RFC 9110, 4.2.1: port 80 is not said in the name of a host.
    monkeypatch.setattr("veridical.web.server._UNSAID", 0)
    with PageServer(0) as other:
        assert HOST not in other.hosts
    monkeypatch.setattr(PageServer, "server_bind", lambda self: setattr(self, "server_port", 80))
    monkeypatch.setattr(PageServer, "server_activate", lambda self: None)
    monkeypatch.setattr("veridical.web.server._UNSAID", 80)
    with PageServer(0) as other:
        assert {HOST, f"{HOST}:80", "localhost"} <= other.hosts


def test_a_vdc_file_on_the_page(browser, helping, tmp_path):
    # Oracle: the pictures of the package, to the level; the saved file too; nothing else is asked for.
    server, data = helping
    path = tmp_path / "small.vdc"
    path.write_bytes(data)
    browser.fresh(server.url)
    assert restored(browser, path).startswith("Done")
    image = veridical.open(data)
    for name, realism in (("mmse", 0), ("real", 1)):
        expected = image.decode(realism, as_array=True)
        assert np.array_equal(pixels(browser, name)[:, :, :3], expected)
    browser.downloads_to(tmp_path)
    browser.run(
        "(s => { s.value = 0.5; s.dispatchEvent(new Event('input')); })(document.getElementById('realism'))"
    )
    browser.run("document.getElementById('save').click()")
    browser.wait("document.getElementById('status').textContent.startsWith('Saved')")
    saved, end = tmp_path / "small-realism-0.50.png", time.monotonic() + 30
    while not saved.exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert np.array_equal(Image.open(saved), image.decode(0.5, as_array=True))
    assert not [r for r in browser.requests if not r.startswith((server.url, "blob:"))]
