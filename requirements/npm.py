"""Fetch pinned files of npm packages and check their digests; nothing of npm itself is needed.

python requirements/npm.py onnxruntime-web      the vendored runtime of the page, anew
python requirements/npm.py axe-core             the checker of accessibility, for one test
"""

import base64
import gzip
import hashlib
import io
import sys
import tarfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "src/veridical/web/page/vendor"

# Version, digest of the archive as npm states it (dist.integrity), and which members go where.
PACKAGES = {
    "onnxruntime-web": (
        "1.30.0",
        "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        {
            "package/dist/ort.wasm.bundle.min.mjs": VENDOR / "ort.wasm.bundle.min.mjs",
            "package/dist/ort-wasm-simd-threaded.wasm": VENDOR / "ort-wasm-simd-threaded.wasm.gz",
        },
    ),
    "axe-core": (
        "4.14.1",
        "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        {"package/axe.min.js": Path(sys.prefix) / "axe.min.js"},
    ),
}


def fetch(name: str) -> None:
    """Write the files of a package; a name that ends in .gz is compressed."""
    version, integrity, members = PACKAGES[name]
    address = f"https://registry.npmjs.org/{name}/-/{name}-{version}.tgz"
    with urllib.request.urlopen(address, timeout=120) as answer:
        archive = answer.read()
    kind, expected = integrity.split("-", 1)
    found = base64.b64encode(hashlib.new(kind, archive).digest()).decode()
    if found != expected:
        sys.exit(f"{address} has the digest {found}, not {expected}: nothing was written")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member, place in members.items():
            data = files.extractfile(member).read()
            if place.suffix == ".gz":
                data = gzip.compress(data, 9, mtime=0)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)


for package in sys.argv[1:]:
    fetch(package)
