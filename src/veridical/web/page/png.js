// PNG files (PNG specification, third edition): 8 bits, with a colour profile and Exif where there are any.
import { joined } from "./formats/bits.js";

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ n >>> 1 : n >>> 1;
  return n;
});

function crc(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = TABLE[(c ^ byte) & 255] ^ c >>> 8;
  return ~c >>> 0;
}

function chunk(name, body) {
  const out = new Uint8Array(body.length + 12), view = new DataView(out.buffer);
  view.setUint32(0, body.length);
  for (let k = 0; k < 4; k++) out[4 + k] = name.charCodeAt(k);
  out.set(body, 8);
  view.setUint32(out.length - 4, crc(out.subarray(4, out.length - 4)));
  return out;
}

async function deflated(parts) {
  const packed = new Blob(parts).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

/** @param pixels uint8 of height x width x channels; channels 1 to 4 are grey, grey and alpha, RGB, RGBA. */
export async function png(pixels, width, height, channels, { profile = null, exif = null } = {}) {
  const head = new Uint8Array(13), view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, [0, 4, 2, 6][channels - 1], 0, 0, 0], 8);
  const stride = width * channels, rows = [];
  for (let y = 0; y < height; y++) { // filter "sub" on every row
    const row = new Uint8Array(1 + stride), from = y * stride;
    row[0] = 1;
    for (let x = 0; x < stride; x++) row[1 + x] = pixels[from + x] - (x < channels ? 0 : pixels[from + x - channels]);
    rows.push(row);
  }
  const parts = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), chunk("IHDR", head)];
  if (profile) parts.push(chunk("iCCP", joined([[0x69, 0x63, 0x63, 0, 0], await deflated([profile])])));
  if (exif) parts.push(chunk("eXIf", exif));
  parts.push(chunk("IDAT", await deflated(rows)), chunk("IEND", new Uint8Array(0)));
  return new Blob(parts, { type: "image/png" });
}
