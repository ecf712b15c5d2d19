// From a coded file to its pictures at realism 0 and 1, window by window: photo/decode.py in the browser.
import { conditionOf, features, priceOf, residualScale } from "./condition.js";
import { formatOf } from "./formats/index.js";
import { readCoefficients } from "./formats/jpeg_scan.js";
import { expected, project } from "./jpeg_cells.js";
import { loadNetwork } from "./network.js";
import { certainPart, drawnBlocks, keepDrawn } from "./palette.js";
import { grown, priceWindows, tiles } from "./tiles.js";

/** What a person can do something about; every other error is a defect. */
export class Refused extends Error {}

const MOST_BYTES = 256 * 2 ** 20, MOST_PIXELS = 64e6, TILE = 640;

export function openFile(data) {
  if (data.length > MOST_BYTES) throw new Refused("The file is larger than 256 MB; use the command: veridical decode.");
  const format = formatOf(data);
  if (!format) {
    const vdc = String.fromCharCode(...data.subarray(1, 4)) === "VDC";
    throw new Refused(vdc
      ? "A .vdc file is decoded by the package: run veridical decode."
      : "This is no AVIF, WebP or JPEG file: only these hold something to restore.");
  }
  return { data, format, payload: format.read(data), ...format.split(data) };
}

/** Pixels as the browser decodes them: {rgba, width, height}; colours under transparent parts are the file's. */
export async function decodePixels(file) {
  const out = await rgbaOf(file.plain, file.format.type);
  if (!file.alpha) return out;
  const { rgba } = await rgbaOf(file.data, file.format.type);
  for (let i = 3; i < rgba.length; i += 4) out.rgba[i] = rgba[i];
  return out;
}

async function rgbaOf(data, type) {
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(new Blob([data], { type }), options).catch(() => {
    throw new Refused("The browser cannot decode this file: is it complete? Old browsers do not know AVIF.");
  });
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) throw new Refused("The picture has more than 64 million pixels; use the command: veridical decode.");
  const rgba = new Uint8ClampedArray(4 * width * height), rows = Math.max(1, Math.min(height, Math.floor(2 ** 22 / width)));
  const canvas = new OffscreenCanvas(width, rows), context = canvas.getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < height; top += rows) {
    const high = Math.min(rows, height - top);
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    rgba.set(context.getImageData(0, 0, width, high).data, 4 * width * top);
  }
  bitmap.close();
  return { rgba, width, height };
}

const NOTICES = { // colours: as the package says it (photo/formats/jpeg.py)
  colours: "The file codes RGB or CMYK instead of luma and chroma; no such file was trained on, so that little is gained and the predicted error may be some dB off",
  grain: "The file asks its decoder for film grain, which this page does not set apart: realism 0 keeps some of it, and the predicted price is too good. The command sets it apart: veridical decode.",
};

/** What is known before any network runs. */
export function describe(file, { rgba, width, height }) {
  const { payload, format } = file;
  let alpha = false, neutral = true;
  for (let i = 0; i < rgba.length; i += 4) {
    alpha ||= rgba[i + 3] < 255;
    neutral &&= Math.abs(rgba[i] - rgba[i + 1]) <= 1 && Math.abs(rgba[i] - rgba[i + 2]) <= 1;
  }
  const grey = neutral && (payload.grey || !format.tellsGrey) || (format.name === "JPEG" && payload.grey);
  return {
    format: format.name, width, height, bytes: file.data.length, bitsPerPixel: 8 * file.data.length / (width * height),
    quantizer: payload.quantizer, lossless: Boolean(payload.lossless), grey, alpha,
    notices: [payload.header && !payload.header.lumaChroma && NOTICES.colours, payload.grain && NOTICES.grain].filter(Boolean),
  };
}

/**
 * @param pixels {rgba, width, height}; info of `describe`.
 * @returns {mmse, real, price}: pixels without alpha, 1 or 3 channels.
 */
export async function restore(file, pixels, info, { tile = TILE, progress = () => {} } = {}) {
  const { width, height } = pixels, name = info.format.toLowerCase(), channels = info.grey ? 1 : 3;
  if (info.lossless) {
    const same = colours(pixels, info);
    return { mmse: same, real: same, price: null };
  }
  const loading = title => (done, total) => progress(title, done, total);
  const estimator = await loadNetwork(name, loading("Loading the estimator"));
  const generator = await loadNetwork(`${name}-generator`, loading("Loading the generator"));
  const prices = await loadNetwork(`${name}-price`, loading("Loading the prices")).catch(() => null); // own weights may have none
  const means = name === "jpeg" ? await loadNetwork("jpeg-cells", loading("Loading the cells")).catch(() => null) : null;
  const { header } = estimator;
  if (estimator.digest && [generator, prices, means].some(network => network && network.header.estimator !== estimator.digest))
    throw new Refused("The weights of a format's networks do not belong together; install the package again.");
  const condition = conditionOf(file.payload, width, height), told = features(condition, header.features);
  const unit = residualScale(header.scale, condition);
  const cells = file.payload.header ? readCoefficients(file.data, file.payload.header) : null;
  const drawn = name === "avif" ? drawnBlocks(pixels, channels) : null;
  const inside = (x, box) => { // what the file allows
    if (cells) project(x, box, cells);
    else if (drawn) keepDrawn(x, box, pixels, channels, drawn);
  };
  const mmse = new Uint8Array(channels * width * height), real = new Uint8Array(channels * width * height);
  const priced = priceWindows(height, width), places = tiles(height, width, tile);
  const predicted = [];
  let done = 0;
  const step = () => progress("Restoring", done++, 2 * places.length);
  for (const { window: box, core } of places) {
    step();
    const y = planes(pixels, info, box);
    const state = { y, features: { data: told, dims: [1, told.length] }, scale: { data: Float32Array.of(unit), dims: [1, 1, 1, 1] } };
    Object.assign(state, await estimator.run(state));
    const seen = { // the core with what the picture was grown by
      ...core, bottom: core.bottom === height ? grown(height) : core.bottom, right: core.right === width ? grown(width) : core.right,
    };
    for (const part of prices ? priced.map(w => common({ ...w, bottom: grown(w.bottom), right: grown(w.right) }, seen)) : []) {
      const area = Math.max(0, part.bottom - part.top) * Math.max(0, part.right - part.left);
      if (!area) continue;
      const { price } = await prices.run({ ...state, ...cutTo(state, box, part) });
      predicted.push({ area, certain: drawn ? certainPart(part, drawn) : 0, numbers: price.data });
    }
    const first = cropped(state.x_mmse, box), x = first.slice();
    if (cells && means) await expected(x, box, cells, cropped(state.size, box).map(v => v * unit * 255), means);
    else inside(x, box);
    keep(mmse, x, box, core, width, channels);
    step();
    const sample = cropped((await generator.run(state)).x_real, box).map((v, i) => v + (x[i] - first[i]));
    inside(sample, box);
    keep(real, sample, box, core, width, channels);
  }
  return { mmse, real, price: predicted.length ? priceOf(predicted) : null };
}

const common = (a, b) => ({
  top: Math.max(a.top, b.top), bottom: Math.min(a.bottom, b.bottom),
  left: Math.max(a.left, b.left), right: Math.min(a.right, b.right),
});

/** A part of planes from a place on. */
function cut({ data, dims: [, channels, rows, columns] }, top, left, high, wide) {
  const out = new Float32Array(channels * high * wide);
  for (let c = 0; c < channels; c++)
    for (let r = 0; r < high; r++) {
      const from = (c * rows + top + r) * columns + left;
      out.set(data.subarray(from, from + wide), (c * high + r) * wide);
    }
  return { data: out, dims: [1, channels, high, wide] };
}

/** Pictures of a window on a part of it. */
function cutTo(state, { top, left }, part) {
  const names = ["y", "x_mmse", "size"], sides = [part.bottom - part.top, part.right - part.left];
  return Object.fromEntries(names.map(name => [name, cut(state[name], part.top - top, part.left - left, ...sides)]));
}

/** The decoded picture without alpha. */
export function colours({ rgba }, { grey }) {
  const channels = grey ? 1 : 3, out = new Uint8Array(rgba.length / 4 * channels);
  for (let i = 0, o = 0; i < rgba.length; i += 4)
    for (let c = 0; c < channels; c++) out[o++] = rgba[i + (grey ? 1 : c)];
  return out;
}

/** A window as the networks take it: planes in [0, 1], its sides grown to multiples of 16 by their last pixels. */
function planes({ rgba, width }, { grey }, { top, left, height, width: wide }) {
  const rows = grown(height), columns = grown(wide);
  const data = new Float32Array(3 * rows * columns);
  for (let c = 0, o = 0; c < 3; c++)
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++)
        data[o++] = Math.fround(rgba[4 * ((top + Math.min(y, height - 1)) * width + left + Math.min(x, wide - 1)) + (grey ? 1 : c)]) / 255;
  return { data, dims: [1, 3, rows, columns] };
}

/** A window without what its sides were grown by. */
const cropped = (planes, { height, width }) => cut(planes, 0, 0, height, width).data;

/** Write the core of a window to a picture, rounded to 8 bits. */
function keep(out, x, box, core, width, channels) {
  const n = box.height * box.width;
  const level = (c, at) => Math.min(255, Math.max(0, evenRound(Math.fround(x[c * n + at] * 255))));
  for (let r = core.top; r < core.bottom; r++)
    for (let z = core.left; z < core.right; z++) {
      const at = (r - box.top) * box.width + z - box.left, o = channels * (r * width + z);
      if (channels === 3) for (let c = 0; c < 3; c++) out[o + c] = level(c, at);
      else out[o] = Math.floor((level(0, at) + level(1, at) + level(2, at) + 1) / 3);
    }
}

/** To the nearest whole number, halves to even, as numpy rounds. */
function evenRound(v) {
  const r = Math.round(v);
  return r - v === 0.5 && r % 2 ? r - 1 : r;
}

/** The picture at a realism, ends exact; both from 8 bits, so that it is within one level of the blend of floats. */
export function blend(mmse, real, realism) {
  if (realism === 0) return mmse;
  if (realism === 1) return real;
  return mmse.map((m, i) => evenRound(m + realism * (real[i] - m)));
}

/** Pixels with the alpha of the file, for a PNG: [pixels, channels]. */
export function withAlpha(pixels, info, rgba) {
  const channels = info.grey ? 1 : 3;
  if (!info.alpha) return [pixels, channels];
  const n = rgba.length / 4, out = new Uint8Array(n * (channels + 1));
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < channels; c++) out[i * (channels + 1) + c] = pixels[i * channels + c];
    out[i * (channels + 1) + channels] = rgba[4 * i + 3];
  }
  return [out, channels + 1];
}
