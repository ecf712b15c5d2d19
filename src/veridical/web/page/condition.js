// What the networks are told about a picture, and what its decoding costs: the rules of photo/condition.py
// and photo/price.py.

const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const dot = (x, w) => x.reduce((sum, v, k) => sum + v * w[k], 0);

/** @param payload what a format's `read` gave; width and height in pixels. */
export function conditionOf(payload, width, height) {
  const log2bpp = clamp(Math.log2(8 * payload.bytes / (width * height)), -5, 3);
  const q = payload.quantizer, chroma = Number(payload.chromaFull);
  const named = {
    half_log2_bpp: log2bpp / 2, quantizer: q === null ? 0 : 2 * q - 1, quantizer_known: Number(q !== null),
    chroma_full: chroma, ...payload.more,
  };
  return { log2bpp, quantizer: q, chroma, named };
}

export function features(condition, names) {
  const missing = names.filter(name => !(name in condition.named));
  if (missing.length) throw new Error(`These weights want to know ${missing.join(", ")}, which this page does not read.`);
  return Float32Array.from(names, name => condition.named[name]);
}

/** Expected root-mean-square error of the ordinary decoder on the [0, 1] scale: the unit of the networks. */
export function residualScale(tables, { log2bpp: b, quantizer, chroma }) {
  const q = quantizer ?? 0;
  const terms = [1, b, b * b, q, q * q, b * q, chroma];
  return clamp(2 ** (dot(terms, tables[quantizer === null ? 1 : 0]) / 2), 0.001, 0.3);
}

const LEAST = 1e-6;

/**
 * Error d, transport cost C and uncertainty of a picture.
 * @param predicted what the price network says of windows, and what part of each is taken for exact:
 *   [{area, certain, numbers: [log(d + LEAST), log(C + LEAST), log variance]}].
 */
export function priceOf(predicted) {
  const area = predicted.reduce((sum, w) => sum + w.area, 0);
  const mean = (k, low, high, weight) =>
    predicted.reduce((sum, w) => sum + w.area * weight(w) * Math.exp(clamp(w.numbers[k], low, high)), 0) / area;
  const bounded = k => clamp(mean(k, -Infinity, 0, w => 1 - w.certain) - LEAST, LEAST / 10, 0.25);
  const uncertaintyDb = Math.min(12, 10 / Math.LN10 * Math.sqrt(mean(2, -20, 5, () => 1)));
  return { mmse: bounded(0), transportCost: bounded(1), uncertaintyDb };
}
