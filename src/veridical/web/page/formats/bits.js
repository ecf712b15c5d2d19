// Readers of numbers from bytes. Reading past the end throws RangeError, as IndexError in Python.

/** What a reader gives; null where it meets what is damaged or not covered. */
export function orNull(read) {
  try {
    return read();
  } catch (fault) {
    if (fault instanceof RangeError || fault instanceof TypeError) return null;
    throw fault;
  }
}

export function joined(parts) {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  parts.reduce((at, p) => (out.set(p, at), at + p.length), 0);
  return out;
}

export function uint(data, pos, n) {
  if (pos + n > data.length) throw new RangeError("past the end");
  let value = 0;
  for (let k = 0; k < n; k++) value = value * 256 + data[pos + k];
  return value;
}

export const name4 = (data, pos) => String.fromCharCode(...data.subarray(pos, pos + 4));

export const begins = (data, text, pos = 0) =>
  [...text].every((c, k) => data[pos + k] === c.charCodeAt(0));

/** Most-significant-bit-first reader. */
export class Bits {
  constructor(data) {
    this.data = data;
    this.pos = 0;
  }
  f(n) {
    let value = 0;
    for (let k = 0; k < n; k++) {
      const byte = this.data[this.pos >> 3];
      if (byte === undefined) throw new RangeError("past the end");
      value = value * 2 + ((byte >> (7 - (this.pos & 7))) & 1);
      this.pos++;
    }
    return value;
  }
}
