"""Mutated files through every reader: what comes back is a result or a typed error, in bounded time.

    python benchmarks/fuzz.py --count 100000 --jobs 2

Each reader gets its share of the count. A mutation flips bytes, cuts or repeats a piece, swaps
two, or puts an extreme number in the place of one; where a checksum stands before the content, every second mutation repairs it, so that what
lies behind it is tested as well. Prints one line a reader; exits with 1 if anything but a typed error
came out.
"""

import argparse
import contextlib
import functools
import hashlib
import io
import json
import os
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image

from veridical.errors import VeridicalError

EXTREMES = [0, 1, 127, 128, 255, 65_535, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, -1, -2]
Read = Callable[[bytes], object]
Repair = Callable[[bytes], bytes]


def picture() -> Image.Image:
    """A small smooth picture."""
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    return Image.fromarray(pixels)


def coded(format_name: str) -> tuple[bytes, Read, Repair | None]:
    """A file of a conventional format through its decoder and the header reader behind it."""
    from veridical.photo.encode import encode
    from veridical.photo.formats import open_image
    from veridical.photo.options import DecodeOptions

    options = DecodeOptions(max_pixels=1_000_000)
    data = encode(picture(), format=format_name, quality=30)
    return data, lambda b: open_image(b, options), None


def by_file(suffix: str, data: bytes, read: Callable[[Path], object]) -> tuple[bytes, Read, None]:
    """A reader of files: each mutation is written first."""
    folder = Path(tempfile.mkdtemp())

    def through_file(content: bytes) -> object:
        path = folder / f"mutated{suffix}"
        path.write_bytes(content)
        return read(path)

    return data, through_file, None


def message() -> tuple[bytes, Read, Repair]:
    """An entropy-coded message, with and without its checksum repaired."""
    from veridical.bitstream.entropy import FrequencyTables, decode_symbols, encode_symbols

    rng = np.random.default_rng(0)
    tables = FrequencyTables.from_law(rng.dirichlet(np.ones(40), size=3))
    contexts = rng.integers(0, 3, 200)
    data = encode_symbols(rng.integers(0, 40, 200), contexts, tables)
    return (
        data,
        lambda b: decode_symbols(b, contexts, tables),
        lambda b: struct.pack("<I", zlib.crc32(b[4:])) + b[4:],
    )


def record() -> tuple[bytes, Read, None]:
    """The record of a study."""
    from veridical.studies.records import Record, load_record, save_record

    path = save_record(Record("x", {"a": 1}, {"y": np.arange(9.0)}), Path(tempfile.mkdtemp()))
    return by_file(".npz", path.read_bytes(), load_record)


def source() -> tuple[bytes, Read, None]:
    """The NPZ of ``veridical limits discrete``."""
    from veridical.cli.limits_finite import _read

    buffer = io.BytesIO()
    np.savez(buffer, source=np.full(3, 1 / 3), distortion=1.0 - np.eye(3))
    return by_file(".npz", buffer.getvalue(), lambda p: _read(p, ("source", "distortion")))


def journal() -> tuple[bytes, Read, None]:
    """The journal of a batch: damaged lines are skipped."""
    from veridical.batch import Journal

    lines = [{"key": str(k), "fingerprint": "f", "state": "done", "result": k} for k in range(9)]
    data = "\n".join(json.dumps(line) for line in lines).encode()
    return by_file(".jsonl", data, Journal)


def weights() -> tuple[bytes, Read, None]:
    """A small network, with a card that has the digest of what came of it."""
    from veridical.photo.weights import load_network

    golden = Path(__file__).parents[1] / "tests/photo/vdc/golden/tiny-spread.onnx"
    path = Path(tempfile.mkdtemp()) / "w.onnx"
    kind = kind_of(golden)

    def read(content: bytes) -> object:
        path.write_bytes(content)
        card = {"sha256": hashlib.sha256(content).hexdigest()}
        path.with_suffix(".json").write_text(json.dumps(card))
        return load_network(path, kind=kind, device="cpu", threads=1)

    return golden.read_bytes(), read, None


def kind_of(path: Path) -> str:
    """What the metadata of a network says it is."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes())
    return json.loads(session.get_modelmeta().custom_metadata_map["veridical"])["kind"]


def samples() -> tuple[bytes, Read, None]:
    """The NPY of ``veridical design``."""
    from veridical.cli.samples import read_samples

    buffer = io.BytesIO()
    np.save(buffer, np.arange(12.0).reshape(6, 2))
    return by_file(".npy", buffer.getvalue(), read_samples)


def vdc(*, partial: bool) -> tuple[bytes, Read, Repair]:
    """A `.vdc` file of the golden tests, whole or in parts, with chunk checksums repaired or not."""
    import veridical

    golden = Path(__file__).parents[1] / "tests/photo/vdc/golden"
    if partial:
        # One step behind the parse: what is whole of a damaged file is shown.
        def read(data: bytes) -> object:
            return veridical.decode(
                data, weights=golden / "tiny.npz", allow_partial=True, max_pixels=1_000_000
            )
    else:

        def read(data: bytes) -> object:
            return veridical.decode(data, weights=golden / "tiny.npz", max_pixels=1_000_000)

    return (golden / "rounded.vdc").read_bytes(), read, repaired_chunks


def repaired_chunks(data: bytes) -> bytes:
    """The file with the checksum of every chunk that its lengths still lead to."""
    out, at = bytearray(data), 10
    while at + 12 <= len(out):
        length = int.from_bytes(out[at : at + 4], "little")
        end = at + 8 + length
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack("<I", zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


READERS: dict[str, Callable[[], tuple[bytes, Read, Repair | None]]] = {
    "AVIF": functools.partial(coded, "AVIF"),
    "WebP": functools.partial(coded, "WEBP"),
    "JPEG": functools.partial(coded, "JPEG"),
    "vdc": functools.partial(vdc, partial=False),
    "vdc, partial": functools.partial(vdc, partial=True),
    "entropy-coded message": message,
    "record of a study": record,
    "source of limits": source,
    "journal": journal,
    "weights": weights,
    "samples": samples,
}


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four random changes."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if not out:
            break
        a, b = sorted(int(x) for x in rng.integers(0, len(out), 2))
        kind = int(rng.integers(0, 7))
        if kind <= 1:
            out[a] = int(rng.integers(0, 256))
        elif kind == 2:
            out[a] ^= 1 << int(rng.integers(0, 8))
        elif kind == 3:
            del out[a : len(out) if rng.random() < 0.5 else min(b, a + 64)]
        elif kind == 4:
            out[a:a] = out[a : min(b, a + 64)]
        elif kind == 5:  # a size or a count of any width that a format may have
            width = int(rng.choice([2, 4, 8]))
            value = int(rng.choice(EXTREMES)) % (1 << 8 * width)
            out[a : a + width] = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")
        else:
            size = int(rng.integers(1, 9))
            out[a : a + size], out[b : b + size] = out[b : b + size], out[a : a + size]
    return bytes(out)


def run(job: tuple[str, int, int]) -> dict[str, Any]:
    """Some mutations through one reader."""
    name, seed, count = job
    data, read, repair = READERS[name]()
    read(data)
    rng = np.random.default_rng([sorted(READERS).index(name), seed])
    found = {"read": 0, "refused": 0, "slowest_s": 0.0, "faults": []}
    for k in range(count):
        mutated = mutate(data, rng)
        if repair is not None and k % 2 and len(mutated) >= 8:
            mutated = repair(mutated)
        start = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(mutated)
            found["read"] += 1
        except VeridicalError:
            found["refused"] += 1
        except BaseException:  # noqa: BLE001 (whatever else comes out is what is looked for)
            found["faults"].append({"hex": mutated.hex()[:4000], "trace": traceback.format_exc()})
        found["slowest_s"] = max(found["slowest_s"], time.perf_counter() - start)
    return found


def main() -> None:
    """Share the count among the readers and print what came of it."""
    from veridical.batch import Engine, Task, run_batch

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--only", nargs="*", default=list(READERS))
    options.add_argument("--faults", type=Path, help="where to write what went wrong, as JSON")
    chosen = options.parse_args()
    parts = 8
    each = -(-chosen.count // (len(chosen.only) * parts))
    tasks = [Task(f"{name} {k}", (name, k, each)) for name in chosen.only for k in range(parts)]
    start = time.perf_counter()
    summary = run_batch(run, tasks, engine=Engine(jobs=chosen.jobs))
    faults: list[Any] = [o.error for o in summary.failed]
    print(
        "| reader | mutated files | read | refused | other | slowest s |\n|---|---|---|---|---|---|"
    )
    for name in chosen.only:
        found = [
            o.result for o in summary.outcomes if o.key.rpartition(" ")[0] == name and o.result
        ]
        wrong = [fault for f in found for fault in f["faults"]]
        faults += wrong
        read, refused = (sum(f[k] for f in found) for k in ("read", "refused"))
        slowest = max((f["slowest_s"] for f in found), default=float("nan"))
        total = read + refused + len(wrong)
        print(f"| {name} | {total:,} | {read:,} | {refused:,} | {len(wrong)} | {slowest:.3f} |")
    print(f"{time.perf_counter() - start:.0f} s")
    if chosen.faults is not None:
        with contextlib.suppress(OSError):
            chosen.faults.write_text(json.dumps(faults, indent=1))
    for fault in faults[:3]:
        print(fault if isinstance(fault, str) else fault["trace"])
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
