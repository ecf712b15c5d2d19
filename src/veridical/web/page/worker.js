// The worker: one file at a time; it holds the pixels and gives PNG files.
// in:  {kind: "decode", data} or {kind: "save", realism}
// out: {kind: "ordinary", info, blob}, {kind: "progress", title, done, total}, {kind: "done", mmse, real, price},
//      {kind: "saved", blob}, {kind: "error", message}
import { Refused, blend, colours, decodePixels, describe, openFile, restore, withAlpha } from "./decode.js";
import { png } from "./png.js";

let held = null;

async function encode(pixels) {
  const { file, info, rgba } = held, [data, channels] = withAlpha(pixels, info, rgba);
  return png(data, info.width, info.height, channels, fitting(file, info));
}

/** A colour profile must be one of the pixels' colours (ICC.1:2022, table 17). */
function fitting({ profile, exif }, { grey }) {
  const space = profile && String.fromCharCode(...profile.subarray(16, 20));
  return { profile: space === (grey ? "GRAY" : "RGB ") ? profile : null, exif };
}

async function decode(data) {
  const file = openFile(data), pixels = await decodePixels(file), info = describe(file, pixels);
  held = { file, info, rgba: pixels.rgba };
  postMessage({ kind: "ordinary", info, blob: await encode(colours(pixels, info)) });
  const progress = (title, done, total) => postMessage({ kind: "progress", title, done, total });
  const { mmse, real, price } = await restore(file, pixels, info, { progress });
  Object.assign(held, { mmse, real });
  postMessage({ kind: "done", mmse: await encode(mmse), real: await encode(real), price });
}

onmessage = async ({ data: message }) => {
  try {
    if (message.kind === "decode") await decode(new Uint8Array(message.data));
    else postMessage({ kind: "saved", blob: await encode(blend(held.mmse, held.real, message.realism)) });
  } catch (fault) {
    const memory = fault instanceof RangeError || /memory|bad_alloc/i.test(fault?.message ?? "");
    const said = fault instanceof Refused ? fault.message
      : memory ? "There is not enough memory for this picture; use the command: veridical decode."
        : `The picture could not be restored (${fault?.message ?? fault}).`;
    postMessage({ kind: "error", message: said });
  }
};
