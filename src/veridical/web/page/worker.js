// The worker: one file at a time; it holds the pixels and gives PNG files.
// in:  {kind: "decode", data, local} or {kind: "save", realism}; local: the server decodes what browsers do not
// out: {kind: "ordinary", info, blob}, {kind: "progress", title, done, total}, {kind: "done", mmse, real, price},
//      {kind: "saved", blob}, {kind: "error", message}
import { Refused, blend, colours, decodePixels, describe, openFile, restore, withAlpha } from "./decode.js";
import { formatOf } from "./formats/index.js";
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

/** The package's answer: a line of JSON and PNG files, or with a realism one PNG file (web/server.py). */
async function ask(data, query = "") {
  const answer = await fetch(`decode${query}`, { method: "POST", body: data });
  if (!answer.ok) throw new Refused((await answer.text()).trim());
  return new Uint8Array(await answer.arrayBuffer());
}

const pngOf = data => new Blob([data], { type: "image/png" });

async function decodeThere(data) {
  postMessage({ kind: "progress", title: "Decoding by the package on this machine", done: 0, total: 0 });
  const answer = await ask(data);
  let at = answer.indexOf(10) + 1;
  const { info, price, sizes } = JSON.parse(new TextDecoder().decode(answer.subarray(0, at)));
  const [blob, mmse, real] = sizes.map(n => pngOf(answer.subarray(at, at += n)));
  held = { data };
  postMessage({ kind: "ordinary", info, blob });
  postMessage({ kind: "done", mmse, real, price });
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
    const data = message.data && new Uint8Array(message.data);
    if (data) await (message.local && !formatOf(data) ? decodeThere : decode)(data);
    else if (held.data) postMessage({ kind: "saved", blob: pngOf(await ask(held.data, `?realism=${message.realism}`)) });
    else postMessage({ kind: "saved", blob: await encode(blend(held.mmse, held.real, message.realism)) });
  } catch (fault) {
    const memory = fault instanceof RangeError || /memory|bad_alloc/i.test(fault?.message ?? "");
    const said = fault instanceof Refused ? fault.message
      : memory ? "There is not enough memory for this picture; use the command: veridical decode."
        : `The picture could not be restored (${fault?.message ?? fault}).`;
    postMessage({ kind: "error", message: said });
  }
};
