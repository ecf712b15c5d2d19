"""A small web server for the page, on this machine alone.

It listens on the loopback address, answers only requests that name it as their host (another site whose name
was made to point here is refused), and tells the browser to load nothing from elsewhere. The headers for
cross-origin isolation let ONNX Runtime Web use several threads.
"""

from __future__ import annotations

import io
import json
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from PIL import Image

from veridical.errors import InvalidSetting, SystemFault, VeridicalError
from veridical.notices import silent
from veridical.photo.formats import open_image
from veridical.photo.image import CodedImage
from veridical.photo.metadata import prepared_for
from veridical.photo.windows import decode_at
from veridical.web.site import content_type, site_files

HOST = "127.0.0.1"
MOST_BYTES = 256 * 2**20
_PATIENCE = 60.0
"""Seconds that may pass in silence, and in which a file is sent."""

_UNSAID = 80
"""The port that browsers leave out of a host's name (RFC 9110, 4.2.1)."""
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def pictures(data: bytes) -> bytes:
    """A line of JSON, then PNG files: ordinary decoder (or realism 0 where there is none), realism 0, realism 1.

    The line has ``info`` and ``price`` as the page's own decoder gives them, and ``sizes`` of the PNG files in bytes.

    Raises:
        VeridicalError: See :func:`veridical.open` and :func:`veridical.decode`.
    """
    image = open_image(_Sent(data), notice=silent)
    ends = decode_at(image, [0.0, float(image.has_generator)], notice=silent)
    ordinary = ends[0] if image.ordinary is None else image.ordinary
    i, parts, price = image.info, [_png(p) for p in (ordinary, *ends)], None
    if i.price is not None:
        price = {"mmse": i.price.mmse, "transportCost": i.price.transport_cost}
    head = {
        "info": {
            "format": i.format, "width": i.width, "height": i.height, "bytes": i.n_bytes, "lossless": i.lossless,
            "bitsPerPixel": i.bits_per_pixel, "quantizer": i.quantizer, "grey": i.grey, "alpha": i.alpha,
            "notices": i.notices,
        },
        "price": price,
        "sizes": [len(p) for p in parts],
    }  # fmt: skip
    return json.dumps(head).encode() + b"\n" + b"".join(parts)


def picture_at(data: bytes, realism: float) -> bytes:
    """The PNG file of a file's picture at a realism.

    Raises:
        VeridicalError: As :func:`pictures`.
    """
    image: CodedImage = open_image(_Sent(data), notice=silent)
    return _png(decode_at(image, [realism], notice=silent)[0])


class _Sent(io.BytesIO):
    """A file as messages call it: the page does not tell its name."""

    name = "The file"


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    out, kept = prepared_for(picture, "PNG", silent)
    out.save(buffer, "PNG", compress_level=1, **kept)
    return buffer.getvalue()


class PageServer(ThreadingHTTPServer):
    """Listens on the loopback address from the moment it is made; ``serve_forever`` answers.

    Args:
        port: 0 takes a free one.
        local: Whether files that the browser does not decode are decoded here.

    Raises:
        InvalidSetting: No such port.
        SystemFault: The port is taken.
    """

    daemon_threads = True

    def __init__(self, port: int = 0, *, local: bool = True) -> None:
        if not 0 <= port <= 65_535:
            raise InvalidSetting(f"a port is a number from 0 (any free one) to 65535, got {port}")
        self.files, self.turn = site_files(), threading.Lock()
        self.local = local
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as cause:
            raise SystemFault(
                f"cannot listen on {HOST}:{port} ({cause.strerror or cause}); name another port (--port N)"
            ) from cause
        names = (HOST, "localhost")
        self.hosts = {f"{name}:{self.server_port}" for name in names}
        if self.server_port == _UNSAID:
            self.hosts |= set(names)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing of whoever hung up or fell silent; anything else is printed."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_port}/"


def _parsed(address: str) -> SplitResult:
    """The parts of an address; of one that is none, such as brackets around no host, a path of nothing here."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("/no-address")


def _decoded(data: bytes, realism: str | None) -> tuple[HTTPStatus, bytes, str]:
    """Status, content and kind of the answer to a file."""
    try:
        if realism is None:
            return HTTPStatus.OK, pictures(data), "application/octet-stream"
        return HTTPStatus.OK, picture_at(data, float(realism)), "image/png"
    except (VeridicalError, ValueError, MemoryError) as cause:
        said = f"{cause or 'there is not enough memory'}\n".encode()
        return HTTPStatus.UNPROCESSABLE_ENTITY, said, "text/plain; charset=utf-8"


class _Handler(BaseHTTPRequestHandler):
    server: PageServer  # type: ignore[assignment]
    protocol_version = "HTTP/1.1"
    server_version = "veridical"
    sys_version = ""
    timeout = _PATIENCE

    def do_GET(self) -> None:
        """A file of the page."""
        if not self._is_for_us():
            return
        name = unquote(_parsed(self.path).path).removeprefix("/") or "index.html"
        path = self.server.files.get(name)
        if path is None:
            self._answer(HTTPStatus.NOT_FOUND, b"no such file\n", "text/plain")
            return
        body = path.read_bytes()
        if name == "index.html":  # the page need not keep itself for offline use
            served = b'data-served="' + (b"local" if self.server.local else b"browser") + b'"'
            body = body.replace(b"<html ", b"<html " + served + b" ", 1)
        self._answer(HTTPStatus.OK, body, content_type(name))

    do_HEAD = do_GET  # noqa: N815 (the base class names it)

    def do_POST(self) -> None:
        """The pictures of the file that is sent, or with ``?realism=`` the one at it; for this page alone."""
        self.close_connection = True  # what is refused is not read
        if not self._is_for_us():
            return
        asked, length = _parsed(self.path), self.headers.get("Content-Length", "")
        if asked.path != "/decode" or not self.server.local:
            self._answer(HTTPStatus.NOT_FOUND, b"nothing is decoded here\n", "text/plain")
        elif self.headers.get("Origin") not in {f"http://{h}" for h in self.server.hosts}:
            self._answer(
                HTTPStatus.FORBIDDEN, b"this is for the page of this server\n", "text/plain"
            )
        elif not (
            length.isascii() and length.isdigit() and len(length) < 20 and int(length) <= MOST_BYTES
        ):
            said = f"a file has at most {MOST_BYTES:,} bytes; use the command: veridical decode\n"
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said.encode(), "text/plain")
        else:
            data = self._body(int(length))
            if data is None:
                self._answer(
                    HTTPStatus.REQUEST_TIMEOUT, b"the file came too slowly\n", "text/plain"
                )
                return
            realism = parse_qs(asked.query).get("realism", [None])[0]
            # One at a time: each takes memory and all cores. Who sends or reads slowly keeps nobody waiting.
            with self.server.turn:
                answer = _decoded(data, realism)
            self._answer(*answer)

    def _body(self, length: int) -> bytes | None:
        """What is sent, which may be less than was said; None if it takes longer than a silence may."""
        end, data = time.monotonic() + _PATIENCE, bytearray()
        while len(data) < length and (part := self.rfile.read1(min(1 << 20, length - len(data)))):
            data += part
            if time.monotonic() > end:
                return None
        return bytes(data)

    def _is_for_us(self) -> bool:
        named = self.headers.get_all("Host", [])
        if len(named) == 1 and named[0] in self.server.hosts:
            return True
        self._answer(
            HTTPStatus.MISDIRECTED_REQUEST, b"this server has another name\n", "text/plain"
        )
        return False

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it)
        """Nothing: what is opened here is nobody's business."""
