// Windows of a picture and the core that is kept of each: the rules of photo/tiles.py; and the windows that a
// price is read from (photo/restoration.py).

export const GRID = 16, MARGIN = 64;

function along(length, side, margin) {
  if (length <= side + margin) return [[0, length, 0, length]];
  const out = [];
  for (let first = 0; first < length;) {
    let last = Math.min(length, first + side - 2 * margin);
    if (length - last < margin) last = length;
    out.push([Math.max(0, first - margin), Math.min(length, last + margin), first, last]);
    first = last;
  }
  return out;
}

const box = (top, bottom, left, right) => ({ top, bottom, left, right, height: bottom - top, width: right - left });

export function tiles(height, width, side, margin = MARGIN) {
  return along(height, side, margin).flatMap(([y0, y1, top, bottom]) =>
    along(width, side, margin).map(([x0, x1, left, right]) => ({
      window: box(y0, y1, x0, x1), core: box(top, bottom, left, right),
    })));
}

const WINDOW = 128, WHOLE = 32, MOST_WINDOWS = 64;

/** A side as the networks take it. */
export const grown = side => Math.ceil(side / GRID) * GRID;

export function priceWindows(height, width) {
  if (height * width <= WHOLE * WINDOW ** 2) return [box(0, grown(height), 0, grown(width))];
  const high = Math.min(height, WINDOW), wide = Math.min(width, WINDOW);
  const columns = Math.min(Math.max(1, Math.round(Math.sqrt(MOST_WINDOWS * width / height))), MOST_WINDOWS, Math.floor(width / wide));
  const rows = Math.max(1, Math.min(Math.floor(MOST_WINDOWS / columns), Math.floor(height / high)));
  const places = (end, n) => Array.from({ length: n }, (_, k) =>
    n === 1 ? 0 : Math.floor(Math.floor(k * end / (n - 1)) / GRID) * GRID);
  return places(height - high, rows).flatMap(t => places(width - wide, columns).map(x => box(t, t + high, x, x + wide)));
}
