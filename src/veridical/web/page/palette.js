// Blocks of an AVIF picture that are drawn in few colours: the rules of photo/formats/av1_palette.py.
import { GRID as SIDE, grown } from "./tiles.js";

const MOST_COLOURS = 8, LEAST_CONTRAST = 64;

/** Whether the block at a place is drawn in few colours that are far apart; pixels beyond the picture repeat its last ones and change nothing. */
function isDrawn({ rgba, width, height }, channels, top, left) {
  const low = [255, 255, 255], high = [0, 0, 0], colours = new Set();
  for (let y = top; y < Math.min(top + SIDE, height); y++)
    for (let x = left; x < Math.min(left + SIDE, width); x++) {
      let colour = 0;
      for (let c = 0; c < 3; c++) {
        const v = rgba[4 * (y * width + x) + (channels === 1 ? 1 : c)];
        colour = colour << 8 | v;
        low[c] = Math.min(low[c], v);
        high[c] = Math.max(high[c], v);
      }
      if (colours.add(colour).size > MOST_COLOURS) return false;
    }
  return low.some((v, c) => high[c] - v >= LEAST_CONTRAST);
}

/** Such blocks of a picture: drawn(top, left) of the one at a place, multiples of 16. */
export function drawnBlocks(pixels, channels) {
  const columns = grown(pixels.width) / SIDE;
  const found = Array.from({ length: columns * grown(pixels.height) / SIDE }, (_, i) =>
    isDrawn(pixels, channels, SIDE * Math.floor(i / columns), SIDE * (i % columns)));
  return (top, left) => found[(top * columns + left) / SIDE];
}

/** Part of a window's blocks that are taken for exact. */
export function certainPart({ top, bottom, left, right }, drawn) {
  let n = 0;
  for (let t = top; t < bottom; t += SIDE)
    for (let l = left; l < right; l += SIDE) n += drawn(t, l);
  return n * SIDE ** 2 / ((bottom - top) * (right - left));
}

/** Pixels of the ordinary decoder in these blocks of a window, in place; x: planes of [0, 1], top and left multiples of 16. */
export function keepDrawn(x, { top, left, height, width }, pixels, channels, drawn) {
  for (let t = 0; t < height; t += SIDE)
    for (let l = 0; l < width; l += SIDE) {
      if (!drawn(top + t, left + l)) continue;
      for (let c = 0; c < 3; c++)
        for (let r = t; r < Math.min(t + SIDE, height); r++)
          for (let z = l; z < Math.min(l + SIDE, width); z++)
            x[(c * height + r) * width + z] = pixels.rgba[4 * ((top + r) * pixels.width + left + z) + (channels === 1 ? 1 : c)] / 255;
    }
}
