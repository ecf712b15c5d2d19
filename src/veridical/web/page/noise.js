// Private randomness of the generator, number for number that of photo/noise.py: blocks of 64 x 64 pixels, each
// from Philox4x64-10 (Salmon et al. 2011) with the seed as key and the block's row and column as counter, made
// normal by the ziggurat (Marsaglia and Tsang 2000) with 256 levels, as numpy's `standard_normal` does.

const BLOCK = 64, TWO_32 = 2 ** 32;

/** Philox4x64-10 as a stream of 32-bit words; 64-bit words are held as [low, high]. */
class Philox {
  constructor(seed, row, col) {
    this.key = [Number(BigInt.asUintN(32, seed)), Number(seed >> 32n & 0xffffffffn)];
    this.row = row;
    this.col = col;
    this.count = 0;
    this.out = new Uint32Array(8);
    this.at = 8;
  }
  next() {
    if (this.at === 8) {
      this.count++; // before the first block too, as numpy does
      this.block();
      this.at = 0;
    }
    return this.out[this.at++];
  }
  /** A float in [0, 1) of 24 bits. */
  unit() {
    return (this.next() >>> 8) / 2 ** 24;
  }
  block() {
    let x0l = this.count, x0h = 0, x1l = 0, x1h = 0, x2l = this.row, x2h = 0, x3l = this.col, x3h = 0;
    let [k0l, k0h] = this.key, k1l = 0, k1h = 0;
    for (let round = 0; round < 10; round++) {
      multiply(x2l, x2h, 0x95121157, 0xca5a8263, A);
      multiply(x0l, x0h, 0xe14c6c93, 0xd2e7470e, B);
      x0l = (A[2] ^ x1l ^ k0l) >>> 0;
      x0h = (A[3] ^ x1h ^ k0h) >>> 0;
      x2l = (B[2] ^ x3l ^ k1l) >>> 0;
      x2h = (B[3] ^ x3h ^ k1h) >>> 0;
      x1l = A[0];
      x1h = A[1];
      x3l = B[0];
      x3h = B[1];
      let low = k0l + 0x7f4a7c15;
      k0h = k0h + 0x9e3779b9 + (low >= TWO_32) >>> 0;
      k0l = low >>> 0;
      low = k1l + 0x84caa73b;
      k1h = k1h + 0xbb67ae85 + (low >= TWO_32) >>> 0;
      k1l = low >>> 0;
    }
    this.out.set([x0l, x0h, x1l, x1h, x2l, x2h, x3l, x3h]);
  }
}
const A = new Uint32Array(4), B = new Uint32Array(4);

/** Upper half of the product of two 32-bit numbers. */
function upper(a, b) {
  const al = a & 0xffff, ah = a >>> 16, bl = b & 0xffff, bh = b >>> 16;
  const u = ah * bl + (al * bl >>> 16), v = al * bh + (u & 0xffff);
  return ah * bh + (u >>> 16) + (v >>> 16);
}

/** The 128-bit product of two 64-bit numbers, as four words, lowest first. */
function multiply(al, ah, bl, bh, out) {
  out[0] = Math.imul(al, bl);
  let sum = upper(al, bl) + (Math.imul(al, bh) >>> 0) + (Math.imul(ah, bl) >>> 0);
  out[1] = sum;
  sum = Math.floor(sum / TWO_32) + upper(al, bh) + upper(ah, bl) + (Math.imul(ah, bh) >>> 0);
  out[2] = sum;
  out[3] = Math.floor(sum / TWO_32) + upper(ah, bh);
}

const R = 3.6541528853610088, V = 4.92867323397465524494e-3; // the last level, and the area of each
const K = new Uint32Array(256), W = new Float32Array(256), F = new Float32Array(256);
{
  const scale = 2 ** 23, f = x => Math.exp(-0.5 * x * x), q = V / f(R);
  [K[0], W[0], F[0]] = [R / q * scale, q / scale, 1];
  [W[255], F[255]] = [R / scale, f(R)];
  for (let i = 254, x = R; i >= 1; i--) {
    const next = Math.sqrt(-2 * Math.log(V / x + f(x)));
    [K[i + 1], W[i], F[i]] = [next / x * scale, next / scale, f(next)];
    x = next;
  }
  K[1] = 0;
}

const { fround } = Math;

function normal(bits) {
  for (;;) {
    const r = bits.next(), level = r & 0xff, size = r >>> 9;
    const x = (r >>> 8 & 1 ? -1 : 1) * fround(size * W[level]);
    if (size < K[level]) return x;
    if (level) {
      if (fround(fround(fround(F[level - 1] - F[level]) * bits.unit()) + F[level]) < Math.exp(-0.5 * x * x)) return x;
      continue;
    }
    for (;;) { // the tail
      const beyond = fround(-fround(1 / R) * fround(Math.log1p(-bits.unit()))), y = -fround(Math.log1p(-bits.unit()));
      if (y + y > beyond * beyond) return (size >>> 8 & 1 ? -1 : 1) * fround(fround(R) + beyond);
    }
  }
}

/** Standard normal noise over a window, planes of three channels; seed: a BigInt below 2^64. */
export function noiseWindow(seed, top, left, height, width) {
  const out = new Float32Array(3 * height * width);
  for (let row = Math.floor(top / BLOCK); row * BLOCK < top + height; row++)
    for (let col = Math.floor(left / BLOCK); col * BLOCK < left + width; col++) {
      const bits = new Philox(seed, row, col);
      for (let c = 0; c < 3; c++)
        for (let y = row * BLOCK - top; y < (row + 1) * BLOCK - top; y++)
          for (let x = col * BLOCK - left; x < (col + 1) * BLOCK - left; x++) {
            const value = normal(bits);
            if (y >= 0 && y < height && x >= 0 && x < width) out[(c * height + y) * width + x] = value;
          }
    }
  return out;
}
