// WebP: what its headers say (VP8, RFC 6386, sections 9.2 to 9.6); the rules of photo/formats/webp.py.
import { begins, name4, orNull } from "./bits.js";

export const isWebp = data => begins(data, "RIFF") && begins(data, "WEBP", 8);

/** Chunks as [name, start, size]; those of an animation's first frame among them. */
function* chunks(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  for (let pos = 12; pos + 8 <= data.length;) {
    const name = name4(data, pos), size = view.getUint32(pos + 4, true);
    yield [name, pos + 8, size];
    pos += name === "ANMF" ? 8 + 16 : 8 + size + (size & 1);
  }
}

export function readWebp(data) {
  for (const [name, start, size] of chunks(data)) {
    if (name === "VP8L") return { bytes: Math.max(1, size), quantizer: null, chromaFull: true, lossless: true };
    if (name !== "VP8 ") continue;
    const quantizer = orNull(() => vp8Quantizer(data.subarray(start, start + size)));
    return { bytes: Math.max(1, size), quantizer, chromaFull: false };
  }
  return { bytes: Math.max(1, data.length), quantizer: null, chromaFull: false };
}

/**
 * The colour profile, or null; and the file without it and without its alpha, so that the browser leaves the
 * colours as they are, also where they cannot be seen.
 */
export function splitWebp(data) {
  let profile = null, alpha = false;
  const plain = data.slice(), flags = begins(plain, "VP8X", 12) ? 20 : -1;
  const hide = (start, flag) => {
    plain.set([0x78, 0x78, 0x78, 0x78], start - 8); // "xxxx": a chunk that no decoder knows
    if (flags > 0) plain[flags] &= ~flag;
  };
  for (const [name, start, size] of chunks(data)) {
    if (name === "ICCP") {
      profile = data.slice(start, start + size);
      hide(start, 0x20);
    } else if (name === "ALPH") {
      alpha = true;
      hide(start, 0x10);
    }
  }
  return { plain, profile, exif: null, alpha };
}

/** VP8's boolean entropy decoder at probability 1/2 (RFC 6386, section 7.3). */
class BoolDecoder {
  constructor(data) {
    if (data.length < 2) throw new RangeError("past the end");
    this.data = data;
    this.pos = 2;
    this.value = data[0] << 8 | data[1];
    this.range = 255;
    this.count = 0;
  }
  bit() {
    const split = 1 + ((this.range - 1) * 128 >> 8);
    const out = this.value >= split << 8 ? 1 : 0;
    if (out) {
      this.range -= split;
      this.value -= split << 8;
    } else this.range = split;
    while (this.range < 128) {
      this.value <<= 1;
      this.range <<= 1;
      if (++this.count === 8) {
        this.count = 0;
        this.value |= this.data[this.pos++] ?? 0;
      }
    }
    return out;
  }
  literal(n) {
    let value = 0;
    while (n--) value = value << 1 | this.bit();
    return value;
  }
  optionalSigned(n) {
    if (!this.bit()) return 0;
    const value = this.literal(n);
    return this.bit() ? -value : value;
  }
}

function vp8Quantizer(frame) {
  if (!frame.length) throw new RangeError("past the end");
  if (frame[0] & 1 || frame[3] !== 0x9d || frame[4] !== 1 || frame[5] !== 0x2a) return null;
  const d = new BoolDecoder(frame.subarray(10));
  d.literal(2); // colour space, clamping type
  let segments = [0, 0, 0, 0], absolute = false;
  if (d.bit()) { // segmentation_enabled
    const updateMap = d.bit(), updateData = d.bit();
    if (updateData) {
      absolute = Boolean(d.bit());
      segments = segments.map(() => d.optionalSigned(7));
      for (let k = 0; k < 4; k++) d.optionalSigned(6);
    }
    if (updateMap) for (let k = 0; k < 3; k++) if (d.bit()) d.literal(8);
  }
  d.literal(1 + 6 + 3); // filter type, level, sharpness
  if (d.bit() && d.bit()) for (let k = 0; k < 8; k++) d.optionalSigned(6); // loop filter deltas
  d.literal(2); // number of coefficient partitions
  const base = d.literal(7);
  const mean = segments.reduce((sum, s) => sum + (absolute ? s : base + s), 0) / 4;
  return Math.min(1, Math.max(0, mean / 127));
}
