"""The files of the page, by the path under which it asks for them."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from veridical.photo.weights import SHIPPED
from veridical.writing import write_whole

PAGE = Path(__file__).parent / "page"
_NETWORKS = (
    *(
        f"{name}{part}"
        for name in ("avif", "webp", "jpeg")
        for part in ("", "-generator", "-price")
    ),
    "jpeg-cells",
)
_TYPES = {
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".gz": "application/gzip",
    ".onnx": "application/octet-stream",
}


def site_files() -> dict[str, Path]:
    """Every file of the page by its path below the page's address, with "/" between parts."""
    found = {p.relative_to(PAGE).as_posix(): p for p in sorted(PAGE.rglob("*")) if p.is_file()}
    networks = {f"weights/{n}.onnx": SHIPPED / f"{n}.onnx" for n in _NETWORKS}
    found["view.js"] = SHIPPED.with_name("view.js")  # which the page of veridical.view has too
    return found | {name: path for name, path in networks.items() if path.is_file()}


def content_type(path: str) -> str:
    """What a file is, for a browser."""
    suffix = Path(path).suffix
    kind = _TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "text/plain"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def write_site(folder: Path) -> int:
    """Copy the page to a folder, which any web server can then offer; gives the number of bytes.

    Raises:
        UnwritableOutput: A file cannot be written.
    """
    total = 0
    for name, path in site_files().items():
        data = path.read_bytes()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, lambda file, data=data: file.write(data))
        total += len(data)
    return total
