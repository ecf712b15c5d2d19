// JPEG: what its headers tell (ITU-T T.81, annex B); the rules of photo/jpeg_header.py.
import { begins, joined } from "./bits.js";

const UNKNOWN_STEP = 16, MOST_COMPONENTS = 4;
const isFrame = m => m >= 0xc0 && m < 0xd0 && m !== 0xc4 && m !== 0xc8 && m !== 0xcc;
const hasNoLength = m => m === 1 || m === 0xd8 || (m >= 0xd0 && m < 0xd8);

/** Row-major index of each coefficient in the order of the file (T.81, figure A.6). */
export const ZIGZAG = Array.from({ length: 64 }, (_, n) => n).sort((a, b) => {
  const [ra, ca, rb, cb] = [a >> 3, a & 7, b >> 3, b & 7];
  return ra + ca - rb - cb || ((ra + ca) % 2 ? ra - rb : ca - cb);
});

export const isJpeg = data => data[0] === 0xff && data[1] === 0xd8 && data[2] === 0xff;

/** Where the next marker that is no restart begins, from pos on; -1 if there is none. */
function nextMarker(data, pos) {
  for (let at = data.indexOf(0xff, pos); at >= 0 && at + 1 < data.length; at = data.indexOf(0xff, at + 1)) {
    const m = data[at + 1];
    if (m !== 0 && m !== 0xff && !(m >= 0xd0 && m <= 0xd7)) return at;
  }
  return -1;
}

/** Segments as [marker, start of body, end, next]: from its end to the next marker lie the entropy-coded data of a scan. */
export function* segments(data) {
  for (let pos = 2, at; (at = nextMarker(data, pos)) >= 0;) {
    const marker = data[at + 1];
    pos = at + 2;
    if (marker === 0xd9) {
      yield [marker, pos, pos, pos];
      return;
    }
    if (hasNoLength(marker)) continue;
    if (pos + 2 > data.length) return;
    const start = pos + 2, end = Math.min(data.length, pos + Math.max(2, data[pos] << 8 | data[pos + 1]));
    const next = marker === 0xda ? nextMarker(data, end) : end;
    pos = next < 0 ? data.length : next;
    yield [marker, start, end, pos];
  }
}

export function parseJpegHeader(data) {
  const tables = new Map();
  const h = { width: 0, height: 0, components: [], progressive: false, scanBytes: 0 };
  let adobeTransform = null, jfif = false;
  for (const [marker, start, end, next] of segments(data)) {
    const body = data.subarray(start, end);
    if (marker === 0xdb) quantizationTables(tables, body);
    else if (isFrame(marker) && body.length >= 6 && !h.components.length) {
      h.height = body[1] << 8 | body[2];
      h.width = body[3] << 8 | body[4];
      h.progressive = marker === 0xc2 || marker === 0xc6;
      for (let i = 0; i < Math.min(body[5], MOST_COMPONENTS) && 9 + 3 * i <= body.length; i++) {
        const [ident, factors, table] = body.subarray(6 + 3 * i, 9 + 3 * i);
        h.components.push({ ident, h: factors >> 4, v: factors & 15, table });
      }
    } else if (marker === 0xee && begins(body, "Adobe") && body.length >= 12) adobeTransform = body[11];
    else if (marker === 0xe0 && begins(body, "JFIF\0")) jfif = true;
    else if (marker === 0xda) h.scanBytes += next - end;
  }
  h.tables = h.components.map(c => tables.get(c.table) ?? null);
  h.grey = h.components.length === 1;
  // Not RGB or CMYK, by the rules of libjpeg.
  h.lumaChroma = h.components.length < 3 || h.components.length === 3 && (jfif || (adobeTransform === null
    ? String.fromCharCode(...h.components.map(c => c.ident)) !== "RGB" : adobeTransform !== 0));
  const [luma, chroma] = h.components;
  h.chromaStep = h.components.length < 3 ? [1, 1]
    : [luma.h, luma.v].map((n, k) => Math.max(1, Math.floor(n / Math.max(1, [chroma.h, chroma.v][k]))));
  return h;
}

function quantizationTables(tables, body) {
  for (let pos = 0; pos < body.length;) {
    const wide = body[pos] >> 4, ident = body[pos] & 15, n = wide ? 128 : 64;
    if (pos + 1 + n > body.length) return;
    const table = new Float64Array(64);
    for (let k = 0; k < 64; k++) {
      const at = pos + 1 + (wide ? 2 * k : k);
      table[ZIGZAG[k]] = Math.max(1, wide ? body[at] << 8 | body[at + 1] : body[at]);
    }
    tables.set(ident, table);
    pos += 1 + n;
  }
}

export function readJpeg(data) {
  const h = parseJpegHeader(data);
  const luma = h.tables[0] ?? null, chroma = h.tables.length > 1 ? h.tables[1] : luma;
  const step = luma ? luma.reduce((a, b) => a + b, 0) / 64 : UNKNOWN_STEP;
  const [columns, rows] = h.chromaStep;
  const more = {
    grey: Number(h.grey), progressive: Number(h.progressive),
    chroma_columns: Math.log2(columns), chroma_rows: Math.log2(rows),
  };
  for (const [name, table] of [["luma", luma], ["chroma", chroma]])
    for (let k = 0; k < 64; k++) {
      const q = Math.min(4096, Math.max(1, table ? table[k] : UNKNOWN_STEP));
      more[`${name}_q_${String(k).padStart(2, "0")}`] = Math.log2(q) / 8;
    }
  return {
    bytes: Math.max(1, h.scanBytes),
    quantizer: luma ? Math.min(1, Math.max(0, Math.log2(step) / 8)) : null,
    chromaFull: columns === 1 && rows === 1,
    grey: h.grey, more, header: h,
  };
}

/** Colour profile and Exif, or null; and the file without them: the browser neither converts nor turns. */
export function splitJpeg(data) {
  const parts = [], kept = [data.subarray(0, 2)];
  let exif = null, from = 2;
  for (const [marker, start, end] of segments(data)) {
    const body = data.subarray(start, end);
    const isExif = marker === 0xe1 && begins(body, "Exif\0\0");
    const isProfile = marker === 0xe2 && begins(body, "ICC_PROFILE\0");
    if (isProfile) parts[body[12]] = body.subarray(14);
    if (isExif && !exif) exif = body.slice(6);
    if (isExif || isProfile) {
      kept.push(data.subarray(from, start - 4));
      from = end;
    }
  }
  kept.push(data.subarray(from));
  const profile = parts.filter(Boolean);
  return { plain: joined(kept), profile: profile.length ? joined(profile) : null, exif, alpha: false };
}
