// The quantized coefficients of a JPEG file: Huffman decoding of sequential and progressive scans (ITU-T T.81,
// annexes F and G). Whatever is not covered or damaged gives null: the picture is then restored without its cells.
import { orNull } from "./bits.js";
import { ZIGZAG, segments } from "./jpeg.js";

/** @returns {components: [{steps, levels: Int16Array of 64 a block, columns}], step, grey} or null */
export function readCoefficients(data, header) {
  const { components, tables, chromaStep, grey } = header;
  if (!(grey || components.length === 3) || !header.lumaChroma || tables.includes(null)) return null;
  const widest = Math.max(...components.map(c => c.h)), highest = Math.max(...components.map(c => c.v));
  if (components[0].h !== widest || components[0].v !== highest) return null;
  if (components.some(c => !c.h || !c.v || c.h > 4 || c.v > 4)) return null;
  const frame = {
    ...header, mcuColumns: Math.ceil(header.width / (8 * widest)), mcuRows: Math.ceil(header.height / (8 * highest)),
    components: components.map(c => ({
      ...c, wide: Math.ceil(header.width * c.h / widest / 8), high: Math.ceil(header.height * c.v / highest / 8),
    })),
  };
  for (const c of frame.components) {
    c.columns = frame.mcuColumns * c.h;
    c.levels = new Int16Array(64 * c.columns * frame.mcuRows * c.v);
  }
  if (!orNull(() => readScans(data, frame))) return null;
  const known = frame.components.map((c, k) => ({ steps: tables[k], levels: c.levels, columns: c.columns }));
  // Chroma is met where a sample is the mean of one or of four pixels.
  const [a, b] = chromaStep, alike = grey || (components[1].h === components[2].h && components[1].v === components[2].v);
  const met = alike && a === b && a <= 2 && widest === a * (components[1]?.h ?? 1);
  return { components: met ? known : known.slice(0, 1), step: a, grey };
}

/** Decode every scan into the frame's levels. */
function readScans(data, frame) {
  const codes = new Map();
  let interval = 0;
  for (const [marker, start, end, next] of segments(data)) {
    const body = data.subarray(start, end);
    if (marker >= 0xc5 && marker <= 0xcf && marker !== 0xc8) throw new RangeError("not sequential or progressive Huffman");
    if (marker === 0xc3) throw new RangeError("lossless");
    if (marker === 0xc0 + (frame.progressive ? 2 : 0) && body[0] !== 8) throw new RangeError("not 8 bits");
    if (marker === 0xc4) huffmanTables(codes, body);
    else if (marker === 0xdd) interval = body[0] << 8 | body[1];
    else if (marker === 0xda) {
      const n = body[0], parts = [];
      for (let i = 0; i < n; i++) {
        const c = frame.components.find(one => one.ident === body[1 + 2 * i]);
        parts.push({ c, dc: codes.get(body[2 + 2 * i] >> 4), ac: codes.get(16 | body[2 + 2 * i] & 15) });
      }
      const [from, to, bits] = body.subarray(1 + 2 * n, 4 + 2 * n);
      scan(new Reader(data.subarray(end, next)), frame, parts, interval, {
        from, to: frame.progressive ? to : 63, high: bits >> 4, low: bits & 15,
      });
    }
  }
  return frame;
}

/** A code as a table from its first 16 bits to length << 8 | symbol. */
function huffmanTables(codes, body) {
  for (let pos = 0; pos < body.length;) {
    const table = new Uint16Array(1 << 16), ident = body[pos], counts = body.subarray(pos + 1, pos + 17);
    let code = 0, at = pos + 17;
    for (let length = 1; length <= 16; length++) {
      for (let k = 0; k < counts[length - 1]; k++, code += 1 << 16 - length)
        table.fill(length << 8 | body[at++], code, code + (1 << 16 - length));
    }
    codes.set(ident, table);
    pos = at;
  }
}

class Reader {
  constructor(data) {
    this.data = data;
    this.restart();
    this.pos = 0;
  }
  restart() {
    this.held = 0;
    this.count = 0;
    this.run = 0; // blocks that the end-of-band run still covers
  }
  /** Behind the next restart marker. */
  next() {
    const { data } = this;
    while (this.pos < data.length && !(data[this.pos] === 0xff && data[this.pos + 1] >= 0xd0 && data[this.pos + 1] <= 0xd7)) this.pos++;
    this.pos += 2;
    this.restart();
  }
  fill(n) {
    while (this.count < n) {
      let byte = this.data[this.pos] ?? 0;
      if (byte === 0xff) {
        if (this.data[this.pos + 1] === 0) this.pos += 2;
        else byte = 0; // a marker ends the data: zeros from here
      } else this.pos++;
      this.held = (this.held & 0xffff) << 8 | byte;
      this.count += 8;
    }
  }
  bits(n) {
    if (!n) return 0;
    this.fill(n);
    this.count -= n;
    return this.held >> this.count & (1 << n) - 1;
  }
  symbol(table) {
    this.fill(16);
    const found = table[this.held >> this.count - 16 & 0xffff];
    if (!found) throw new RangeError("no such code");
    this.count -= found >> 8;
    return found & 255;
  }
  /** A signed number of n bits (T.81, F.2.2.1). */
  signed(n) {
    const value = this.bits(n);
    return n && value < 1 << n - 1 ? value - (1 << n) + 1 : value;
  }
}

function scan(reader, frame, parts, interval, band) {
  const alone = parts.length === 1 ? parts[0].c : null;
  const total = alone ? alone.wide * alone.high : frame.mcuColumns * frame.mcuRows;
  const decode = frame.progressive ? progressive(band) : sequential;
  for (const p of parts) p.last = 0;
  for (let n = 0; n < total; n++) {
    if (interval && n && n % interval === 0) {
      reader.next();
      for (const p of parts) p.last = 0;
    }
    if (alone) {
      decode(reader, parts[0], alone.levels, 64 * (Math.floor(n / alone.wide) * alone.columns + n % alone.wide));
      continue;
    }
    const row = Math.floor(n / frame.mcuColumns), column = n % frame.mcuColumns;
    for (const p of parts)
      for (let y = 0; y < p.c.v; y++)
        for (let x = 0; x < p.c.h; x++)
          decode(reader, p, p.c.levels, 64 * ((row * p.c.v + y) * p.c.columns + column * p.c.h + x));
  }
}

function sequential(r, part, levels, at) {
  levels[at] = part.last += r.signed(r.symbol(part.dc));
  for (let k = 1; k < 64; k++) {
    const rs = r.symbol(part.ac), size = rs & 15;
    k += rs >> 4;
    if (size) levels[at + ZIGZAG[k]] = r.signed(size);
    else if (rs >> 4 !== 15) return;
  }
}

function progressive({ from, to, high, low }) {
  if (from === 0) return high
    ? (r, part, levels, at) => { levels[at] |= r.bits(1) << low; }
    : (r, part, levels, at) => { levels[at] = (part.last += r.signed(r.symbol(part.dc))) * (1 << low); };
  return high ? refined : first;

  function first(r, part, levels, at) {
    if (r.run) return void r.run--;
    for (let k = from; k <= to; k++) {
      const rs = r.symbol(part.ac), run = rs >> 4, size = rs & 15;
      if (!size && run < 15) {
        r.run = (1 << run) - 1 + r.bits(run);
        return;
      }
      k += run;
      if (size) levels[at + ZIGZAG[k]] = r.signed(size) * (1 << low);
    }
  }

  function refined(r, part, levels, at) {
    const bit = 1 << low;
    const correct = place => {
      if (r.bits(1) && !(Math.abs(levels[place]) & bit)) levels[place] += levels[place] < 0 ? -bit : bit;
    };
    let k = from;
    while (!r.run && k <= to) {
      const rs = r.symbol(part.ac), size = rs & 15;
      let zeros = rs >> 4;
      if (!size && zeros < 15) {
        r.run = (1 << zeros) + r.bits(zeros);
        break;
      }
      const value = size ? (r.bits(1) ? bit : -bit) : 0;
      for (; k <= to; k++) {
        const place = at + ZIGZAG[k];
        if (levels[place]) correct(place);
        else if (zeros-- === 0) {
          levels[place] = value;
          break;
        }
      }
      k++;
    }
    if (!r.run) return;
    for (; k <= to; k++) if (levels[at + ZIGZAG[k]]) correct(at + ZIGZAG[k]);
    r.run--;
  }
}
