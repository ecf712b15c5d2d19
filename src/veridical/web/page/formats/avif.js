// AVIF: boxes (ISO/IEC 14496-12, 23008-12), whether the AV1 sequence has film grain, and its frame header as far as
// the quantizer (AV1 specification, 5.5, 5.9, 5.9.12); the rules of photo/avif_boxes.py and photo/formats/avif.py.
import { Bits, begins, joined, name4, orNull, uint } from "./bits.js";

export function isAvif(data) {
  if (!begins(data, "ftyp", 4)) return false;
  for (let k = 8; k + 4 <= Math.min(64, data.length); k++)
    if (begins(data, "avif", k) || begins(data, "avis", k)) return true;
  return false;
}

export function readAvif(data) {
  const item = primaryItem(data);
  if (!item.coded) return { bytes: Math.max(1, data.length), quantizer: null, chromaFull: false, grey: false };
  const frame = orNull(() => firstFrame(item.coded));
  return {
    bytes: item.coded.length, quantizer: frame && frame.index / 255, chromaFull: item.chromaFull, grey: item.grey,
    grain: Boolean(frame?.grain),
  };
}

/**
 * The colour profile, or null; and the file without its alpha, so that the browser leaves the colours as they are,
 * also where they cannot be seen. Turns are part of the picture and stay with the browser's decoder.
 */
export function splitAvif(data) {
  const profile = orNull(() => {
    const item = primaryItem(data);
    const box = item.properties.find(b => b.name === "colr" && ["prof", "rICC"].includes(name4(data, b.start)));
    return box ? data.slice(box.start + 4, box.end) : null;
  });
  const plain = data.slice();
  const linked = orNull(() => {
    const meta = boxes(data, 0, data.length).find(b => b.name === "meta");
    const iref = boxes(data, meta.start + 4, meta.end).find(b => b.name === "iref");
    return boxes(data, iref.start + 4, iref.end).filter(b => b.name === "auxl");
  }) ?? [];
  for (const { start } of linked) plain.set([0x78, 0x78, 0x78, 0x78], start - 4);
  return { plain, profile, exif: null, alpha: linked.length > 0 };
}

function boxes(data, start, end) {
  const out = [];
  while (start + 8 <= end) {
    let size = uint(data, start, 4), head = 8;
    const name = name4(data, start + 4);
    if (size === 1) [size, head] = [uint(data, start + 8, 8), 16];
    else if (size === 0) size = end - start;
    if (size < head || start + size > end) break;
    out.push({ name, start: start + head, end: start + size });
    start += size;
  }
  return out;
}

function primaryItem(data) {
  const nothing = { coded: null, chromaFull: false, grey: false, properties: [] };
  return orNull(() => {
    const meta = boxes(data, 0, data.length).find(b => b.name === "meta");
    if (!meta) return nothing;
    const inner = new Map(boxes(data, meta.start + 4, meta.end).map(b => [b.name, b]));
    const pitm = inner.get("pitm").start;
    const primary = uint(data, pitm + 4, data[pitm] ? 4 : 2);
    const spans = ilocSpans(data, inner.get("iloc"), primary);
    const total = spans.reduce((n, s) => n + s[1], 0);
    if (!spans.length || total > data.length) return nothing;
    const coded = joined(spans.map(([s, n]) => data.subarray(s, s + n)));
    if (!coded.length) return nothing;
    const iprp = inner.get("iprp");
    const parts = new Map((iprp ? boxes(data, iprp.start, iprp.end) : []).map(b => [b.name, b]));
    const ipco = parts.get("ipco"), ipma = parts.get("ipma");
    const held = ipco ? boxes(data, ipco.start, ipco.end) : [];
    const own = ipma ? associated(data, ipma, primary) : [];
    const properties = [...own.filter(k => k > 0 && k <= held.length).map(k => held[k - 1]), ...held];
    const av1c = properties.find(b => b.name === "av1C");
    if (!av1c) return { ...nothing, coded, properties };
    const flags = uint(data, av1c.start + 2, 1); // AV1-ISOBMFF, section 2.3.3
    return { coded, chromaFull: !(flags & 12), grey: Boolean(flags & 16), properties };
  }) ?? nothing;
}

function associated(data, { start: pos, end }, primary) {
  if (end - pos < 8) return [];
  const nIdent = data[pos] ? 4 : 2, wide = 1 + (data[pos + 3] & 1), mask = (1 << (8 * wide - 1)) - 1;
  pos += 8;
  while (pos + nIdent + 1 <= end) {
    const ident = uint(data, pos, nIdent), count = data[pos + nIdent];
    pos += nIdent + 1;
    if (ident === primary) return Array.from({ length: count }, (_, k) => uint(data, pos + k * wide, wide) & mask);
    pos += count * wide;
  }
  return [];
}

/** Where an item's bytes are, as [start, length]; empty if the box does not say it plainly. */
function ilocSpans(data, { start: pos, end }, primary) {
  const version = data[pos], sizes = uint(data, pos + 4, 2);
  const [nOffset, nLength, nBase, index] = [12, 8, 4, 0].map(s => sizes >> s & 15);
  const nIndex = version ? index : 0, each = nOffset + nLength + nIndex, wide = version === 2 ? 4 : 2;
  pos += 6;
  const count = uint(data, pos, wide), spans = [];
  pos += wide;
  for (let i = 0; i < count; i++) {
    const ident = uint(data, pos, wide);
    pos += wide;
    if (version) {
      if (uint(data, pos, 2) & 15) return []; // data inside another box: not covered
      pos += 2;
    }
    pos += 2;
    const base = uint(data, pos, nBase), extents = uint(data, pos + nBase, 2);
    pos += nBase + 2;
    if (pos + extents * each > end) throw new RangeError("past the end");
    if (ident === primary) {
      if (extents > 1 && !each) return []; // many times the whole file
      for (let k = 0; k < extents; k++) {
        const at = pos + nIndex + k * each;
        spans.push([base + uint(data, at, nOffset), uint(data, at + nOffset, nLength)]);
      }
    }
    pos += extents * each;
  }
  return spans;
}

/** base_q_idx of the first key frame, and whether there is film grain; null for what is not covered. */
function firstFrame(coded) {
  let pos = 0, sequence = null;
  while (pos < coded.length) {
    const header = coded[pos], kind = header >> 3 & 15, extension = header >> 2 & 1;
    pos += 1 + extension;
    let size = coded.length - pos;
    if (header >> 1 & 1) [size, pos] = leb128(coded, pos);
    const body = new Bits(coded.subarray(pos, pos + size));
    if (kind === 1) sequence = sequenceHeader(body);
    else if ((kind === 3 || kind === 6) && sequence) {
      const index = frameHeader(body, sequence);
      return index === null ? null : { index, grain: sequence.grain };
    }
    pos += size;
  }
  return null;
}

/** A number of at most eight bytes (AV1 specification, section 4.10.5), and where it ends. */
function leb128(data, pos) {
  let value = 0;
  for (let k = 0; k < 8; k++) {
    const byte = uint(data, pos + k, 1);
    value += (byte & 127) * 2 ** (7 * k);
    if (!(byte & 128)) return [value, pos + k + 1];
  }
  throw new RangeError("a number without end");
}

function sequenceHeader(b) {
  const profile = b.f(3);
  b.f(1); // still_picture
  const reduced = b.f(1);
  if (reduced) b.f(5);
  else {
    if (b.f(1)) return null; // timing information: not covered
    const delay = b.f(1);
    for (let n = b.f(5) + 1; n--;) {
      b.f(12);
      if (b.f(5) > 7) b.f(1);
      if (delay && b.f(1)) b.f(4);
    }
  }
  const s = { reduced, widthBits: b.f(4) + 1, heightBits: b.f(4) + 1, frameIdBits: 0, orderHintBits: 0 };
  s.width = b.f(s.widthBits) + 1;
  s.height = b.f(s.heightBits) + 1;
  if (!reduced && b.f(1)) {
    s.frameIdBits = b.f(4) + 2;
    s.frameIdBits += b.f(3) + 1;
  }
  s.wide = b.f(1);
  b.f(2); // filter_intra, intra_edge_filter
  s.forceScreen = s.forceIntegerMv = 2;
  if (!reduced) {
    b.f(4);
    const orderHint = b.f(1);
    if (orderHint) b.f(2);
    s.forceScreen = b.f(1) ? 2 : b.f(1);
    if (s.forceScreen) s.forceIntegerMv = b.f(1) ? 2 : b.f(1);
    if (orderHint) s.orderHintBits = b.f(3) + 1;
  }
  s.superres = b.f(1);
  s.grain = orNull(() => hasGrain(b, profile));
  return s;
}

/** The rest of a sequence header, from enable_cdef on (5.5.2). */
function hasGrain(b, profile) {
  b.f(2); // cdef, restoration
  const twelve = b.f(1) && profile === 2 && b.f(1), mono = profile !== 1 && b.f(1);
  const described = b.f(1) ? [b.f(8), b.f(8), b.f(8)] : [2, 2, 2];
  if (mono) b.f(1);
  else {
    if (String(described) !== "1,13,0") { // not sRGB without a matrix
      b.f(1);
      let columns = profile !== 1, rows = profile === 0;
      if (twelve) [columns, rows] = b.f(1) ? [1, b.f(1)] : [0, 0];
      if (columns && rows) b.f(2);
    }
    b.f(1); // separate_uv_delta_q
  }
  return b.f(1);
}

function frameHeader(b, s) {
  if (!s.reduced && (b.f(1) || b.f(2) !== 0 || !b.f(1))) return null; // only a shown key frame
  const disableCdfUpdate = b.f(1), screen = s.forceScreen === 2 ? b.f(1) : s.forceScreen;
  if (screen && s.forceIntegerMv === 2) b.f(1);
  b.f(s.frameIdBits);
  const override = s.reduced ? 0 : b.f(1);
  b.f(s.orderHintBits);
  let { width, height } = s;
  if (override) [width, height] = [b.f(s.widthBits) + 1, b.f(s.heightBits) + 1];
  const upscaled = width;
  if (s.superres && b.f(1)) {
    const denominator = b.f(3) + 9;
    width = Math.floor((upscaled * 8 + (denominator >> 1)) / denominator);
  }
  if (b.f(1)) b.f(32);
  if (screen && upscaled === width) b.f(1);
  if (!s.reduced && !disableCdfUpdate) b.f(1);
  return skipTileInfo(b, width, height, s.wide) ? b.f(8) : null;
}

function tileLog2(block, target) {
  let k = 0;
  while (block * 2 ** k < target) k++;
  return k;
}

function skipTileInfo(b, width, height, wide) {
  const shift = wide ? 5 : 4, [cols, rows] = [width, height].map(n => 2 * (n + 7 >> 3) + (1 << shift) - 1 >> shift);
  const maxWidth = 4096 >> shift + 2, maxArea = 4096 * 2304 >> 2 * (shift + 2);
  let log2Cols = tileLog2(maxWidth, cols);
  const minTiles = Math.max(log2Cols, tileLog2(maxArea, rows * cols));
  if (!b.f(1)) return false; // non-uniform tiles: not covered
  while (log2Cols < tileLog2(1, Math.min(cols, 64)) && b.f(1)) log2Cols++;
  let log2Rows = Math.max(minTiles - log2Cols, 0);
  while (log2Rows < tileLog2(1, Math.min(rows, 64)) && b.f(1)) log2Rows++;
  if (log2Cols || log2Rows) b.f(log2Cols + log2Rows + 2);
  return true;
}
