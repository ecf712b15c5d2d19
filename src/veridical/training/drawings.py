"""Pictures that are no photographs: text, interfaces, drawings, patterns, noise.

Each kind is a function of a random generator; :func:`draw` is deterministic. The kinds of
:data:`HELD_OUT` are for benchmarks alone and never shown to a network in training.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

Colour = tuple[int, int, int]
_SCRIPTS = ((0x21, 0x7F), (0x41, 0x7B), (0x61, 0x7B), (0xC0, 0x17F), (0x391, 0x3CA), (0x410, 0x450))


@functools.cache
def _font_files() -> tuple[str, ...]:
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    return tuple(sorted(str(p) for p in folder.glob("DejaVuSans*.ttf") if "Display" not in p.name))


@functools.lru_cache(maxsize=512)
def _font(which: int, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    files = _font_files()
    if which >= len(files):
        return ImageFont.load_default(size)
    return ImageFont.truetype(files[which], size)


def _some_font(
    rng: np.random.Generator, size: int, *, mono: bool = False
) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    names = _font_files()
    choices = [k for k, n in enumerate(names) if ("Mono" in n) or not mono]
    return _font(int(rng.choice(choices + [len(names)] * (not mono))), size)


def _colour(rng: np.random.Generator) -> Colour:
    kind = rng.random()
    if kind < 0.25:
        return (0, 0, 0) if kind < 0.12 else (255, 255, 255)
    if kind < 0.4:
        return (int(rng.integers(256)),) * 3
    values = rng.choice([0, 64, 128, 192, 255], 3) if kind < 0.6 else rng.integers(0, 256, 3)
    return int(values[0]), int(values[1]), int(values[2])


def _two_colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    kind = rng.random()
    if kind < 0.35:
        return (255, 255, 255), (0, 0, 0)
    if kind < 0.45:
        return (int(rng.integers(10, 45)),) * 3, (int(rng.integers(180, 256)),) * 3
    while True:
        a, b = _colour(rng), _colour(rng)
        if sum(abs(x - y) for x, y in zip(a, b, strict=True)) > 120:
            return a, b


def _word(rng: np.random.Generator) -> str:
    lo, hi = _SCRIPTS[int(rng.choice(len(_SCRIPTS), p=[0.15, 0.1, 0.55, 0.05, 0.05, 0.1]))]
    word = "".join(map(chr, rng.integers(lo, hi, int(rng.geometric(0.2)))))
    return word.capitalize() if rng.random() < 0.2 else word


def _line(rng: np.random.Generator, n: int) -> str:
    return " ".join(_word(rng) for _ in range(n))


def _canvas(size: int, colour: Colour) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (size, size), colour)
    pen = ImageDraw.Draw(picture)
    pen.fontmode = "L"
    return picture, pen


def _points(rng: np.random.Generator, n: int, size: int) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in rng.uniform(-0.1, 1.1, (n, 2)) * size]


def _box(rng: np.random.Generator, size: int, most: float) -> tuple[int, int, int, int]:
    w, h = (int(v) for v in np.exp(rng.uniform(np.log(4), np.log(most * size), 2)))
    x, y = (int(v) for v in rng.integers(-20, size, 2))
    return x, y, x + w, y + h


def _text(rng: np.random.Generator, size: int) -> Image.Image:
    paper, ink = _two_colours(rng)
    picture, pen = _canvas(size, paper)
    if rng.random() < 0.15:
        pen.fontmode = "1"  # no grey at the edges of letters
    y = int(rng.integers(0, 10))
    main = int(rng.integers(8, 26))
    while y < size:
        height = int(rng.integers(24, 60)) if rng.random() < 0.1 else main
        font = _some_font(rng, height)
        for _ in range(int(rng.geometric(0.15))):
            pen.text((4, y), _line(rng, 14), fill=ink, font=font)
            y += int(height * 1.25)
        ink = _colour(rng) if rng.random() < 0.2 else ink
        y += int(rng.integers(0, 30))
    return picture


def _code(rng: np.random.Generator, size: int) -> Image.Image:
    dark = rng.random() < 0.6
    paper = (int(rng.integers(0, 50)) if dark else int(rng.integers(235, 256)),) * 3
    picture, pen = _canvas(size, paper)
    inks = [_two_colours(rng)[1] for _ in range(5)]
    height = int(rng.integers(9, 20))
    font = _some_font(rng, height, mono=True)
    for y in range(2, size, int(height * 1.3)):
        x = height * 2 * int(rng.integers(0, 5))
        while x < size and rng.random() < 0.88:
            word = _word(rng) + str(rng.choice(list(" ().,=[]{}:+-*/#'\"")))
            pen.text((x, y), word, fill=inks[int(rng.integers(5))], font=font)
            x += int(pen.textlength(word, font=font)) + height // 2
    return picture


def _interface(rng: np.random.Generator, size: int) -> Image.Image:
    picture, pen = _canvas(
        size, (int(rng.integers(200, 256)),) * 3 if rng.random() < 0.7 else _colour(rng)
    )
    for _ in range(int(rng.integers(8, 40))):
        box = _box(rng, size, 0.6)
        fill, edge = _colour(rng), _colour(rng)
        width = int(rng.integers(0, 3))
        kind = rng.random()
        if kind < 0.45:
            radius = int(rng.integers(0, 12))
            pen.rounded_rectangle(box, min(radius, (box[2] - box[0]) // 2), fill, edge, width)
        elif kind < 0.6:
            pen.ellipse(box, fill, edge, width)
        elif kind < 0.7:
            pen.line(box, edge, max(1, width))
        font = _some_font(rng, int(rng.integers(9, 22)))
        for row in range(int(rng.integers(0, 4))):
            pen.text((box[0] + 5, box[1] + 4 + 20 * row), _line(rng, 3), _colour(rng), font=font)
    return picture


def _lines(rng: np.random.Generator, size: int) -> Image.Image:
    scale = int(rng.integers(1, 4))  # 1: hard edges
    paper, ink = _two_colours(rng)
    picture, pen = _canvas(size * scale, paper)
    many = int(np.exp(rng.uniform(np.log(5), np.log(150))))
    for _ in range(many):
        width = scale * int(rng.geometric(0.6))
        colour = ink if rng.random() < 0.8 else _colour(rng)
        kind = rng.random()
        if kind < 0.5:
            pen.line(_points(rng, int(rng.integers(2, 5)), size * scale), colour, width, "curve")
        elif kind < 0.75:
            b = [scale * v for v in _box(rng, size, 0.8)]
            pen.arc(b, float(rng.integers(360)), float(rng.integers(360)), colour, width)
        else:
            pen.polygon(_points(rng, 3, size * scale), outline=colour, width=width)
    return picture.resize((size, size), Image.Resampling.BOX)


def _cartoon(rng: np.random.Generator, size: int) -> Image.Image:
    scale = int(rng.integers(1, 3))
    picture, pen = _canvas(size * scale, _colour(rng))
    outline = (0, 0, 0) if rng.random() < 0.6 else None
    for _ in range(int(rng.integers(5, 60))):
        width = scale * int(rng.integers(1, 5)) if outline else 0
        b = [scale * v for v in _box(rng, size, 0.9)]
        kind = rng.random()
        if kind < 0.4:
            pen.ellipse(b, _colour(rng), outline, width)
        elif kind < 0.6:
            pen.rectangle(b, _colour(rng), outline, width)
        else:
            x, y = b[0], b[1]
            around = [(x + px, y + py) for px, py in rng.uniform(-0.3, 0.3, (5, 2)) * size * scale]
            pen.polygon(around, _colour(rng), outline, max(1, width))
    return picture.resize(
        (size, size), Image.Resampling.LANCZOS if rng.random() < 0.5 else Image.Resampling.BOX
    )


def _pixels(rng: np.random.Generator, size: int) -> Image.Image:
    palette = np.array([_colour(rng) for _ in range(int(rng.integers(2, 17)))], np.uint8)
    cell = int(rng.choice([1, 2, 3, 4, 5, 6, 8, 8, 12, 16]))
    n = -(-size // cell)
    if rng.random() < 0.5:  # smooth shapes in few colours
        field = gaussian_filter(
            rng.standard_normal((n, n)), float(np.exp(rng.uniform(0, 3))), mode="wrap"
        )
        rank = np.searchsorted(np.quantile(field, np.linspace(0, 1, len(palette) + 1)[1:-1]), field)
        if rng.random() < 0.4:  # ordered dither between neighbours
            rank = np.minimum(rank + (np.indices((n, n)).sum(0) & 1), len(palette) - 1)
    else:
        weights = rng.dirichlet(np.full(len(palette), 0.5))
        rank = rng.choice(len(palette), (n, n), p=weights)
        if rng.random() < 0.5:  # sprites: mirrored tiles
            t = int(rng.choice([8, 12, 16]))
            m = -(-n // t)
            kinds = rng.choice(len(palette), (6, t, t), p=weights)
            kinds[:, :, t // 2 :] = kinds[:, :, t // 2 - 1 :: -1][:, :, : t - t // 2]
            rank = np.block([[kinds[int(rng.integers(6))] for _ in range(m)] for _ in range(m)])[
                :n, :n
            ]
    return Image.fromarray(palette[rank].repeat(cell, 0).repeat(cell, 1)[:size, :size])


def _flat(rng: np.random.Generator, size: int) -> Image.Image:
    picture, pen = _canvas(size, _colour(rng))
    kind = rng.random()
    if kind < 0.3:
        width = int(rng.integers(8, 80))
        for x in range(0, size, width):
            pen.rectangle((x, 0, x + width - 1, size), _colour(rng))
        return picture.rotate(90 * int(rng.integers(2)))
    for _ in range(int(rng.integers(0, 6))):
        pen.rectangle(_box(rng, size, 1.0), _colour(rng))
    return picture


def _gradient(rng: np.random.Generator, size: int) -> Image.Image:
    yy, xx = np.mgrid[:size, :size] / size
    ends = np.array([_colour(rng), _colour(rng), _colour(rng)], float)
    kind = rng.random()
    angle = rng.uniform(0, 2 * np.pi)
    if kind < 0.4:
        t = (np.cos(angle) * (xx - 0.5) + np.sin(angle) * (yy - 0.5)) / 1.41 + 0.5
    elif kind < 0.7:
        t = np.hypot(xx - rng.random(), yy - rng.random())
    else:
        t = gaussian_filter(
            rng.standard_normal((size, size)), float(rng.uniform(20, 60)), mode="wrap"
        )
        t = (t - t.min()) / np.ptp(t)
    t = np.clip(t * rng.uniform(0.3, 1.5), 0, 1)[..., None]
    x = np.where(
        t < 0.5, ends[0] + 2 * t * (ends[1] - ends[0]), ends[1] + (2 * t - 1) * (ends[2] - ends[1])
    )
    if rng.random() < 0.3:  # bands
        step = float(rng.integers(2, 32))
        x = np.round(x / step) * step
    if rng.random() < 0.3:  # dithered
        x = x + rng.uniform(-0.5, 0.5, x.shape)
    return Image.fromarray(x.round().clip(0, 255).astype(np.uint8))


def _noise(rng: np.random.Generator, size: int) -> Image.Image:
    channels = 3 if rng.random() < 0.5 else 1
    shape = (size, size, channels)
    kind = rng.random()
    sigma = float(np.exp(rng.uniform(0, np.log(80))))
    if kind < 0.6:
        noise = rng.standard_normal(shape)
    elif kind < 0.8:
        noise = rng.uniform(-1.7, 1.7, shape)
    else:
        noise = (rng.random(shape) < rng.uniform(0.002, 0.1)) * rng.choice([-5.0, 5.0], shape)
    if rng.random() < 0.4:
        blur = float(rng.uniform(0.4, 4))
        noise = gaussian_filter(noise, (blur, blur, 0), mode="wrap")
        noise /= noise.std() + 1e-9
    base = np.array(_colour(rng), float)
    if rng.random() < 0.3:
        base = np.asarray(_gradient(rng, size), float)
    return Image.fromarray((base + sigma * noise).round().clip(0, 255).astype(np.uint8))


def _pattern(rng: np.random.Generator, size: int) -> Image.Image:
    yy, xx = np.mgrid[:size, :size]
    a, b = (int(v) for v in rng.integers(1, 17, 2))
    kind = rng.random()
    if kind < 0.35:
        on = (xx // a + yy // b) % 2 == 0
    elif kind < 0.6:
        on = xx // a % 2 == 0 if rng.random() < 0.5 else yy // a % 2 == 0
    elif kind < 0.8:
        on = (xx % (a + 2) == 0) | (yy % (b + 2) == 0)
    else:
        on = (xx + int(rng.choice([-1, 1])) * yy) // a % (b + 1) == 0
    colours = np.array(_two_colours(rng), np.uint8)
    return Image.fromarray(colours[on.astype(int)])


def _document(rng: np.random.Generator, size: int) -> Image.Image:
    """Several kinds side by side, as a page or a screen has them."""
    picture = _text(rng, size)
    for _ in range(int(rng.integers(1, 5))):
        part = list(KINDS.values())[int(rng.integers(len(KINDS)))]
        if part is not _document:
            b = _box(rng, size, 0.9)
            picture.paste(part(rng, size).crop((0, 0, b[2] - b[0], b[3] - b[1])), b[:2])
    return picture


def _halftone(rng: np.random.Generator, size: int) -> Image.Image:
    yy, xx = np.mgrid[:size, :size]
    f, angle = rng.uniform(0.5, 1.6), rng.uniform(0, np.pi)
    u, v = np.cos(angle) * xx + np.sin(angle) * yy, np.cos(angle) * yy - np.sin(angle) * xx
    tone = gaussian_filter(rng.standard_normal((size, size)), 30, mode="wrap")
    tone = (tone - tone.min()) / np.ptp(tone)
    on = np.sin(u * f) * np.sin(v * f) * 0.5 + 0.5 > tone
    return Image.fromarray(np.array(_two_colours(rng), np.uint8)[on.astype(int)])


def _waves(rng: np.random.Generator, size: int) -> Image.Image:
    """A zone plate: every frequency in every direction."""
    yy, xx = np.mgrid[:size, :size] - rng.uniform(0.2, 0.8) * size
    wave = 127.5 + 127.5 * np.cos((xx**2 + yy**2) * rng.uniform(1.0, 3.0) / size)
    return Image.fromarray(wave.astype(np.uint8)).convert("RGB")


def _plot(rng: np.random.Generator, size: int) -> Image.Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size / 100, size / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    for k in range(4):
        axes = figure.add_subplot(2, 2, k + 1)
        x = np.sort(rng.random(30))
        kind = rng.random()
        if kind < 0.4:
            axes.plot(x, rng.standard_normal((30, 3)).cumsum(0))
        elif kind < 0.6:
            axes.scatter(x, rng.random(30), c=rng.random(30))
        elif kind < 0.8:
            axes.bar(np.arange(8), rng.random(8))
        else:
            axes.imshow(gaussian_filter(rng.standard_normal((40, 40)), 3))
        axes.grid(visible=rng.random() < 0.5)
        axes.set_title(_line(np.random.default_rng(k), 1)[:8])
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[:size, :size, :3].copy())


def _map(rng: np.random.Generator, size: int) -> Image.Image:
    height = gaussian_filter(rng.standard_normal((size, size)), 25, mode="wrap")
    height = (height - height.min()) / np.ptp(height)
    tints = np.array(
        [[170, 211, 223], [242, 239, 233], [205, 235, 176], [173, 209, 158], [220, 200, 180]],
        np.uint8,
    )
    band = np.digitize(height, [0.3, 0.5, 0.65, 0.8])
    picture = Image.fromarray(tints[band])
    pen = ImageDraw.Draw(picture)
    for _ in range(25):
        start, step = rng.random(2) * size, rng.standard_normal((12, 2)) * size / 14
        road = [(float(x), float(y)) for x, y in start + step.cumsum(0)]
        width = int(rng.integers(1, 6))
        pen.line(road, (110, 110, 110), width + 2, "curve")
        pen.line(road, _colour(rng), width, "curve")
    for x, y in rng.random((30, 2)) * size:
        pen.text((x, y), _word(rng), (40, 40, 40), font=_font(0, 10))
    return picture


KINDS: dict[str, Callable[[np.random.Generator, int], Image.Image]] = {
    "text": _text, "code": _code, "interface": _interface, "lines": _lines, "cartoon": _cartoon,
    "pixels": _pixels, "flat": _flat, "gradient": _gradient, "noise": _noise, "pattern": _pattern,
    "document": _document,
}  # fmt: skip
"""Kinds that networks are trained on."""

HELD_OUT: dict[str, Callable[[np.random.Generator, int], Image.Image]] = {
    "halftone": _halftone, "waves": _waves, "plot": _plot, "map": _map,
}  # fmt: skip
"""Kinds that no network is trained on."""


def draw(kind: str, seed: int, size: int = 512) -> Image.Image:
    """A picture of a kind, (size, size), mode RGB; the same for the same seed."""
    return (KINDS | HELD_OUT)[kind](np.random.default_rng([seed, sum(map(ord, kind))]), size)
