"""The server of the page: what it answers, to whom, and what it says about itself."""

import http.client
import socket
import subprocess
import sys

import pytest

from veridical.errors import InvalidSetting, SystemFault
from veridical.web.server import HOST, PageServer


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.headers), body


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


def test_hostile_requests(server, capfd):
    # Oracle: statuses of RFC 9110 and RFC 6585; a name beside ours is refused (RFC 9112, 3.2), the server
    # prints nothing and goes on answering.
    ours = f"Host: {HOST}:{server.server_port}\r\n".encode()
    for line, more, status in (
        (b"GET http://[::1 HTTP/1.1", b"", b"404"),
        (b"GET / HTTP/1.1", b"Host: evil.example\r\n", b"421"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1", b"", b"414"),
        (b"GET / HTTP/1.1", b"X: " + b"a" * 70_000 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1", b"X: a\r\n" * 200, b"431"),
        (b"POST / HTTP/1.1", b"Content-Length: 5\r\n", b"501"),
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
