"""Every reader of the package with small files that it reads, for ``fuzz.py`` and ``fuzz_guided.py``."""

import functools
import hashlib
import io
import itertools
import json
import os
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_changes import (
    ENTROPY,
    JSON,
    JSON_LINES,
    KEPT,
    LAYOUTS,
    LINES,
    MESSAGE,
    NPY,
    NPZ,
    PROTO,
    Layout,
    repaired,
)
from PIL import Image, ImageOps

GOLDEN = Path(__file__).parents[1] / "tests/photo/vdc/golden"
MOST_PIXELS = 1_000_000
Read = Callable[[bytes], object]


@dataclass(frozen=True)
class Reader:
    """A reader to be attacked.

    Attributes:
        read: Called with the bytes of a file; all that it takes from memory and time is counted.
        seeds: Files that it reads, each with how it is taken apart.
    """

    read: Read
    seeds: list[tuple[bytes, Layout | None]]


def picture(side: int = 16) -> Image.Image:
    """A small smooth picture."""
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (side // 8, side // 8, 3)), np.ones((8, 8, 1)))
    return Image.fromarray(pixels.astype(np.uint8))


def saved(
    name: str, image: Image.Image | None = None, **options: Any
) -> tuple[bytes, Layout | None]:
    """A picture as Pillow writes it."""
    buffer = io.BytesIO()
    (image or picture()).save(buffer, name, **options)
    data = buffer.getvalue()
    return data, None if data[:2] == b"\xff\x0a" else LAYOUTS.get(name)


def conventional(name: str) -> list[tuple[bytes, Layout | None]]:
    """Files of a conventional format: grey, transparent, lossless, moving, progressive, with metadata."""
    im = picture()
    clear = im.convert("RGBA")
    clear.putalpha(99)
    more = {
        "exif": b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0",
        "icc_profile": b"p" * 140,
    }
    kinds: dict[str, list[tuple[Image.Image, dict[str, Any]]]] = {
        "JPEG": [
            (im, {"quality": 30}),
            (im, {"progressive": True, "subsampling": "4:4:4", **more}),
            (im.convert("L"), {"quality": 5}),
            (im.convert("CMYK"), {"quality": 50}),
            (im, {"restart_marker_blocks": 1, "xmp": b"<x/>", "comment": b"c"}),
        ],
        "WEBP": [
            (im, {"quality": 30}),
            (im, {"lossless": True}),
            (clear, {"quality": 40, **more}),
            (im, {"save_all": True, "append_images": [im.rotate(90)], "quality": 10}),
        ],
        "AVIF": [
            (im, {"quality": 20}),
            (im, {"quality": 70, "subsampling": "4:4:4", **more}),
            (clear, {"quality": 20}),
            (im.convert("L"), {"quality": 20}),
        ],
        "JXL": [
            (im, {"quality": 60}),
            (im, {"lossless": True}),
            (clear, {"quality": 20, "use_container": True}),
            (im.convert("L"), {"quality": 90, "xmp": b"<x/>", "use_container": True}),
            (im.resize((300, 40)), {"quality": 30, "effort": 4}),
        ],
    }
    if name == "JXL":
        import pillow_jxl  # noqa: F401 (teaches Pillow the format)

    return [saved(name, image, **options) for image, options in kinds[name]]


def coded(name: str) -> Reader:
    """A conventional format: ordinary decoder, header reader, cells; every second file whatever is left of it."""
    from veridical.photo.formats import open_image
    from veridical.photo.image import RestoredImage
    from veridical.photo.options import DecodeOptions
    from veridical.photo.tiles import Box

    turn = itertools.cycle([False, True])

    def read(data: bytes) -> None:
        image = open_image(
            data, DecodeOptions(max_pixels=MOST_PIXELS, allow_partial=next(turn)), lambda text: None
        )
        if isinstance(image, RestoredImage):
            window = image.window(Box(0, min(64, image.height), 0, min(64, image.width)))
            window.project(np.float32(window.pixels.transpose(2, 0, 1)) / 255)
            image.finish(image.pixels)

    return Reader(read, conventional(name))


def vdc_files() -> list[tuple[bytes, Layout | None]]:
    """Small files of one tile and of two, of each quantizer, one with metadata."""
    from veridical.bitstream.chunks import write_chunk
    from veridical.photo.options import EncodeOptions, Target
    from veridical.photo.vdc.encode import VdcEncoder
    from veridical.photo.vdc.model import load_model

    model, out = load_model(GOLDEN / "tiny.npz"), []
    for quantizer, size in (("scalar", (16, 16)), ("dither", (80, 16)), ("e8", (24, 80))):
        encoder = VdcEncoder(model, EncodeOptions(quantizer=quantizer, seed=5), tile=64)
        out.append(encoder.encode(picture().resize(size), Target(quality=60.0)))
    end = write_chunk("VEND", b"")
    out.append(out[0][: -len(end)] + write_chunk("exif", b"Exif\0\0II*\0") + end)
    return [(data, LAYOUTS["VDC"]) for data in out]


def vdc(*, partial: bool) -> Reader:
    """``info`` and ``decode`` of ``.vdc`` files, whole or what is left of damaged ones."""
    import veridical

    settings: dict[str, Any] = {
        "weights": GOLDEN / "tiny.npz",
        "max_pixels": 1 << 16,
        "allow_partial": partial,
    }

    def read(data: bytes) -> None:
        veridical.info(data, notice=lambda text: None, **settings)
        veridical.decode(data, realism=0.0, notice=lambda text: None, **settings)

    return Reader(read, vdc_files())


def pictures() -> Reader:
    """Originals in any format that is opened."""
    from veridical.photo.metadata import prepared_for
    from veridical.photo.reader import open_source

    im = picture()
    palette = im.convert("P")
    seeds = [
        saved("PNG"), saved("PNG", palette, transparency=0), saved("PNG", im.convert("1")),
        saved("PNG", Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 257)),
        saved("TIFF"), saved("TIFF", compression="tiff_lzw"), saved("TIFF", compression="jpeg"),
        saved("TIFF", im.convert("CMYK")), saved("TIFF", im.convert("F")), saved("GIF"),
        saved("GIF", palette, save_all=True, append_images=[ImageOps.flip(palette)]), saved("BMP"), saved("DIB"),
        saved("BMP", palette), saved("PPM"), saved("PPM", im.convert("1")), saved("JPEG2000"), saved("TGA"),
        saved("TGA", palette, compression="tga_rle"), saved("QOI"), saved("ICO"), saved("ICNS"), saved("PCX"),
        saved("PCX", palette), saved("SGI"), saved("DDS"), saved("MPO", save_all=True, append_images=[im]),
        (photoshop(), None), *(conventional("AVIF")[:1]), *(conventional("WEBP")[:1]), *(conventional("JPEG")[:1]),
    ]  # fmt: skip

    def read(data: bytes) -> None:
        image = open_source(data, max_pixels=1 << 21, notice=lambda text: None)
        prepared_for(image, "PNG", lambda text: None)

    return Reader(read, seeds)


def photoshop() -> bytes:
    """A PSD file, which Pillow only reads: header, three empty sections, packed channels."""
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 16, 16, 8, 3)
    return head + bytes(12) + struct.pack(">H", 0) + picture().tobytes()


class OnDisk:
    """A reader of files: each changed file is written to the same place first."""

    def __init__(self, suffix: str, read: Callable[[Path], object]) -> None:
        self.path, self.read = Path(tempfile.mkdtemp()) / f"changed{suffix}", read

    def __call__(self, data: bytes) -> object:
        """What the reader makes of the bytes."""
        self.path.write_bytes(data)
        return self.read(self.path)


def claims() -> Reader:
    """What the header of a file claims, before a batch; it never fails."""
    from veridical.photo.loading import claimed_pixels

    seeds = [saved("PNG"), saved("TIFF"), saved("GIF"), *conventional("AVIF")[:1], *vdc_files()[:1]]
    return Reader(OnDisk(".png", lambda p: claimed_pixels(p, MOST_PIXELS)), seeds)


def entropy() -> Reader:
    """Entropy-coded messages."""
    from veridical.bitstream.entropy import FrequencyTables, decode_symbols, encode_symbols

    rng = np.random.default_rng(0)
    tables = FrequencyTables.from_law(rng.dirichlet(np.ones(40), size=3))
    contexts = rng.integers(0, 3, 200)
    data = encode_symbols(rng.integers(0, 40, 200), contexts, tables)
    return Reader(lambda b: decode_symbols(b, contexts, tables), [(data, ENTROPY)])


@functools.cache
def kept_codec(name: str) -> tuple[Any, np.ndarray]:
    """A codec of a kind that can be kept, with samples for it."""
    import veridical
    from veridical.block.group_design import Effort, design_group_codec
    from veridical.block.lattice import lattice_codec
    from veridical.block.random_coding import random_code
    from veridical.block.trellis import trellis_codec
    from veridical.oneshot.circle import circle_codec
    from veridical.quantize.group import NestedChain
    from veridical.quantize.lattice import gosset, hexagonal
    from veridical.sources.alphabet import quantized_gaussian
    from veridical.sources.circle import circle_samples

    rng = np.random.default_rng(1)
    x, less = rng.normal(size=(60, 2)), {"rate_bits": 1.0, "samples": 500, "rng": rng}
    chain = NestedChain(p=3, n=20, period=5, shaping=0, message=2, seed=1, memory=(0, 2, 1))
    letters, effort = quantized_gaussian(15, width=0.5), Effort(blocks=4, calibration_blocks=8)
    makers: dict[str, Callable[[], tuple[Any, np.ndarray]]] = {
        "design": lambda: (veridical.design(x, rate_bits=1.2, seeds=2, rng=rng), x),
        "variable length": lambda: (
            veridical.design(x, rate_bits=1.2, rng=rng, variable_length=True),
            x,
        ),
        "circle": lambda: (circle_codec(3, float("inf")), circle_samples(9, rng)),
        "random": lambda: (random_code(6, 1.0, 0.5, codebook_seed=3), rng.normal(size=(3, 6))),
        "hexagonal": lambda: (lattice_codec(hexagonal(), common_bits=1.0, **less), x),
        "E8": lambda: (
            lattice_codec(gosset(), common_bits=float("inf"), fixed_length=True, **less),
            rng.normal(size=(9, 8)),
        ),
        "group": lambda: (
            design_group_codec(letters, chain, rng=rng, effort=effort).codec,
            letters.nearest(rng.normal(size=(2, 20))),
        ),
        "trellis": lambda: (trellis_codec(8, common_bits=0.5, **less), rng.normal(size=(9, 7))),
    }
    return makers[name]()


KINDS = ("design", "variable length", "circle", "random", "hexagonal", "E8", "group", "trellis")


def message(kind: str) -> Reader:
    """Messages of a codec."""
    from veridical.kept import open_message

    codec, x = kept_codec(kind)

    def read(data: bytes) -> None:
        found = open_message(codec, data)
        codec.decode(found.index, np.random.default_rng(0), seed=found.seed)

    data = codec.to_message(codec.encode(x[:3], seed=7), seed=7)
    return Reader(read, [(data, MESSAGE)])


def kept(kind: str) -> Reader:
    """Files of codecs, the digest repaired, used for samples."""
    from veridical.kept import load_codec, open_message, save_codec

    codec, x = kept_codec(kind)

    def read(path: Path) -> None:
        found = load_codec(path)
        data = found.to_message(found.encode(x[:3], seed=7), seed=7)
        found.decode(open_message(found, data).index, np.random.default_rng(0), seed=7)

    path = Path(tempfile.mkdtemp()) / "c.npz"
    save_codec(codec, path)
    return Reader(OnDisk(".npz", read), [(path.read_bytes(), KEPT)])


def record() -> Reader:
    """Records of studies."""
    from veridical.studies.records import Record, load_record, save_record

    path = save_record(Record("x", {"a": 1}, {"y": np.arange(9.0)}), Path(tempfile.mkdtemp()))
    return Reader(OnDisk(".npz", load_record), [(path.read_bytes(), NPZ)])


def source() -> Reader:
    """Sources of ``veridical limits discrete``, as NPZ and CSV."""
    from veridical.cli.limits_finite import _read
    from veridical.limits import FiniteSource

    def read(path: Path) -> None:
        arrays = _read(path, ("source", "distortion"))
        FiniteSource(arrays["source"], arrays["distortion"])

    buffer = io.BytesIO()
    np.savez(buffer, source=np.full(3, 1 / 3), distortion=1.0 - np.eye(3))
    return Reader(OnDisk(".npz", read), [(buffer.getvalue(), NPZ)])


def samples(suffix: str) -> Reader:
    """Samples of ``veridical design``."""
    from veridical.cli.samples import read_samples

    buffer = io.BytesIO()
    np.save(buffer, np.arange(12.0).reshape(6, 2))
    tables = [b"x,y\n1,2\n3,4e5\n-6,7\n", b"\xef\xbb\xbf1,2\r\n3,4\r\n", b"# a, b\n1,2\n"]
    seeds: list[tuple[bytes, Layout | None]] = [(t, LINES) for t in tables]
    return Reader(
        OnDisk(suffix, read_samples), [(buffer.getvalue(), NPY)] if suffix == ".npy" else seeds
    )


def journal() -> Reader:
    """Journals of batches, with the lines' checksums repaired half of the time."""
    from veridical.batch import Journal, Task
    from veridical.batch.tasks import _check

    entries = [
        {"key": str(k), "fingerprint": "f", "state": state, "result": k}
        for k in range(3)
        for state in ("begun", "done")
    ]
    entries.append({"state": "digest", "path": __file__, "seen": [1, 2, 3], "sha256": "0"})
    turn = itertools.cycle([False, True])

    def read(path: Path) -> None:
        if next(turn):
            path.write_bytes(b"\n".join(map(checked, path.read_bytes().split(b"\n"))))
        found = Journal(path)
        found.digest(Path(__file__))
        found.finished(Task("1", None, "f"))
        found.has_begun(Task("1", None, "f"))

    def checked(line: bytes) -> bytes:
        try:
            entry = json.loads(line)
            entry.pop("check", None)
            return json.dumps(entry | {"check": _check(entry)}).encode()
        except Exception:  # noqa: BLE001 (no line)
            return line

    data = b"\n".join(json.dumps(e).encode() for e in entries)
    return Reader(OnDisk(".jsonl", read), [(data, JSON_LINES)])


def network() -> Reader:
    """Networks whose card fits, run once."""
    from veridical.photo.weights import load_network

    path = GOLDEN / "tiny-spread.onnx"
    kind, inputs = about(path)

    def read(place: Path) -> None:
        card = {"sha256": hashlib.sha256(place.read_bytes()).hexdigest()}
        place.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
        load_network(place, kind=kind, device="cpu", threads=1)(**inputs)

    return Reader(OnDisk(".onnx", read), [(path.read_bytes(), PROTO)])


def about(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """What the metadata of a network says it is, and inputs of the smallest size."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes())
    shapes = {
        i.name: [n if isinstance(n, int) else 4 for n in i.shape] for i in session.get_inputs()
    }
    kind = json.loads(session.get_modelmeta().custom_metadata_map["veridical"])["kind"]
    return kind, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def model() -> Reader:
    """The model of ``.vdc`` files whose card fits, decoding a file."""
    from veridical.photo.vdc.model import load_model

    def read(place: Path) -> None:
        card = {"sha256": hashlib.sha256(place.read_bytes()).hexdigest()}
        place.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
        load_model(place, device="cpu", threads=1)

    return Reader(OnDisk(".npz", read), [((GOLDEN / "tiny.npz").read_bytes(), NPZ)])


def card() -> Reader:
    """Cards of weights, as ``veridical models`` shows them."""
    from veridical.cli.models import models

    folder = Path(tempfile.mkdtemp())
    (folder / "changed.onnx").write_bytes(b"x")

    def read(data: bytes) -> None:
        (folder / "changed.json").write_bytes(data)
        models(folder)

    from veridical.cli import terminal

    terminal.out.file = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (for the process)
    shipped = Path(__file__).parents[1] / "src/veridical/photo/weights"
    cards = [(shipped / f"{name}.json").read_bytes() for name in ("jpeg", "vdc", "avif-generator")]
    return Reader(read, [(c, JSON) for c in cards])


def lists() -> Reader:
    """Lists of inputs."""
    from veridical.cli.files import jobs, read_list

    folder = Path(tempfile.mkdtemp())
    os.chdir(tempfile.mkdtemp())

    def read(path: Path) -> None:
        found = read_list(path)
        if not any(p.is_absolute() or ".." in p.parts for p in found):  # not the whole file system
            jobs([], folder, ".png", (".jpg",), lambda a, b: True, found)

    data = b"a.jpg\nb/c.jpg\r\n*.jpg\nx/./y.jpg\n\xff.jpg\n"
    return Reader(OnDisk(".lst", read), [(data, LINES)])


def digits() -> Reader:
    """The idx files of MNIST, gzipped or not."""
    import gzip

    from veridical.studies.mnist.data import read_idx

    data = struct.pack(">HBB3I", 0, 8, 3, 2, 4, 4) + bytes(range(32))
    return Reader(lambda b: read_idx(b, "x"), [(data, None), (gzip.compress(data), None)])


READERS: dict[str, tuple[int, Callable[[], Reader]]] = {
    "JPEG": (190, lambda: coded("JPEG")),
    "WebP": (120, lambda: coded("WEBP")),
    "AVIF": (120, lambda: coded("AVIF")),
    "JPEG XL": (20, lambda: coded("JXL")),
    ".vdc": (60, lambda: vdc(partial=False)),
    ".vdc, partial": (20, lambda: vdc(partial=True)),
    "originals": (160, pictures),
    "claims of headers": (30, claims),
    "entropy-coded message": (40, entropy),
    "record of a study": (20, record),
    "source of limits": (20, source),
    "samples, NPY": (20, lambda: samples(".npy")),
    "samples, CSV": (20, lambda: samples(".csv")),
    "journal": (20, journal),
    "network": (10, network),
    "model of .vdc": (5, model),
    "card of weights": (5, card),
    "list of inputs": (10, lists),
    "idx": (20, digits),
    **{f"message of {kind}": (8, functools.partial(message, kind)) for kind in KINDS},
    **{f"codec of {kind}": (3, functools.partial(kept, kind)) for kind in KINDS},
}
"""How many of a thousand changed files each gets, and what makes it; a process makes one."""


def repaired_chunks(data: bytes) -> bytes:
    """A ``.vdc`` file with the checksum of every chunk that its lengths still lead to."""
    return repaired(data, LAYOUTS["VDC"])
