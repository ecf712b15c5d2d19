"""What a file tells, windows and prices: one table for Python and JavaScript."""

import json

import numpy as np
import pytest
from golden import TABLE, table

GOLDEN = json.loads(TABLE.read_text(encoding="utf-8"))

# What JavaScript gives for each entry of the table, as Python wrote it.
EVALUATE = """(async golden => {
  const [formats, condition, tiles] = await Promise.all(
    ['formats/index.js', 'condition.js', 'tiles.js'].map(name => import(new URL(name, location))));
  const files = golden.files.map(({ name, data }) => {
    const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0)), format = formats.formatOf(bytes);
    const p = format.read(bytes);
    const out = { name, data, format: format.name, bytes: p.bytes, quantizer: p.quantizer, chromaFull: p.chromaFull,
      lossless: Boolean(p.lossless), grey: Boolean(p.grey) };
    if (p.header) out.lumaChroma = p.header.lumaChroma;
    if (format.name === "AVIF") out.grain = Boolean(p.grain);
    if (p.lossless) return out;
    const c = condition.conditionOf(p, 24, 20), names = Object.keys(golden.files.find(f => f.name === name).features);
    return { ...out, features: Object.fromEntries(names.map((n, k) => [n, condition.features(c, names)[k]])),
      scale: condition.residualScale(golden.scale, c) };
  });
  const flat = b => [b.top, b.bottom, b.left, b.right];
  return {
    ...golden, files,
    prices: golden.prices.map(([predicted, certain]) => {
      const p = condition.priceOf(predicted.map((numbers, k) => ({ area: 1, certain: certain[k], numbers })));
      return [predicted, certain, [p.mmse, p.transportCost, p.uncertaintyDb]];
    }),
    tiles: golden.tiles.map(([h, w, side]) => [h, w, side,
      tiles.tiles(h, w, side).map(t => [...flat(t.window), ...flat(t.core)])]),
    windows: golden.windows.map(([h, w]) => [h, w, tiles.priceWindows(h, w).map(flat)]),
  };
})"""


def differences(found, expected, place=""):
    """Where two structures differ; numbers agree within 1e-6 of their size (features are float32)."""
    if isinstance(expected, dict) and isinstance(found, dict) and found.keys() == expected.keys():
        pairs = [(f"{expected.get('name', '')}{k}", found[k], v) for k, v in expected.items()]
    elif isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        pairs = [(k, *both) for k, both in enumerate(zip(found, expected, strict=True))]
    else:
        if isinstance(expected, float):
            expected = pytest.approx(expected, rel=1e-6, abs=1e-9)
        return [] if found == expected else [f"{place}: {found!r} for {expected!r}"]
    return [d for k, x, y in pairs for d in differences(x, y, f"{place}/{k}")]


def test_python_gives_the_table():
    # Oracle: the committed table, on its own files: those that encoders write may change with their version.
    import base64

    import golden

    files = {f["name"]: base64.b64decode(f["data"]) for f in GOLDEN["files"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(golden, "files", lambda: files)
        found = table()
    assert differences(json.loads(json.dumps(found)), GOLDEN) == []


def test_javascript_gives_the_table(page):
    # Oracle: the same table; bytes, flags and boxes exact, numbers within 1e-6.
    assert differences(page.run(f"{EVALUATE}({json.dumps(GOLDEN)})"), GOLDEN) == []


def test_the_table_covers_what_headers_can_say():
    # Every format, a known and an unknown quantizer, grey, lossless, full and halved chroma.
    files = GOLDEN["files"]
    assert {f["format"] for f in files} == {"AVIF", "WEBP", "JPEG"}
    for key in ("quantizer", "grey", "lossless", "chromaFull", "lumaChroma", "grain"):
        assert len({f[key] in (None, False) for f in files if key in f}) == 2, key
    assert np.ptp([f["features"]["half_log2_bpp"] for f in files if "features" in f]) > 1
