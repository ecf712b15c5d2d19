// Weights files: an ONNX network whose metadata say what it needs besides; run by ONNX Runtime Web.
import * as ort from "./vendor/ort.wasm.bundle.min.mjs";

let ready = null;

/** ONNX Runtime with its WebAssembly module, which lies here compressed: no server has to know how. */
function runtime() {
  return ready ??= (async () => {
    const packed = await fetched(new URL("vendor/ort-wasm-simd-threaded.wasm.gz", import.meta.url));
    const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    ort.env.wasm.wasmBinary = await new Response(plain).arrayBuffer();
    ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1;
    ort.env.logLevel = "error";
    return ort;
  })();
}

async function fetched(url, progress = () => {}) {
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok) throw new Error(`${url.pathname.split("/").pop()} cannot be loaded from where this page lies.`);
  const total = Number(answer.headers.get("content-length")) || 0, parts = [];
  let done = 0;
  for (const reader = answer.body.getReader();;) {
    const { done: ended, value } = await reader.read();
    if (ended) break;
    parts.push(value);
    progress(done += value.length, Math.max(total, done));
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const networks = new Map();

/** @returns {header, digest, run(inputs) -> outputs}; inputs and outputs by name as {data, dims}. */
export function loadNetwork(name, progress) {
  if (!networks.has(name)) networks.set(name, load(name, progress).catch(fault => {
    networks.delete(name);
    throw fault;
  }));
  return networks.get(name);
}

async function load(name, progress) {
  const { InferenceSession, Tensor } = await runtime();
  const data = await fetched(new URL(`weights/${name}.onnx`, import.meta.url), progress);
  const text = metadata(data).get("veridical");
  if (!text) throw new Error(`weights/${name}.onnx is no weights file of veridical.`);
  const digest = self.crypto.subtle ? hex(await crypto.subtle.digest("SHA-256", data)) : null;
  const session = await InferenceSession.create(data, { executionProviders: ["wasm"], enableMemPattern: false });
  return {
    header: JSON.parse(text), digest, inputs: session.inputNames,
    async run(inputs) {
      const fed = Object.fromEntries(session.inputNames.map(n => [n, new Tensor("float32", inputs[n].data, inputs[n].dims)]));
      return session.run(fed);
    },
  };
}

const hex = buffer => Array.from(new Uint8Array(buffer), b => b.toString(16).padStart(2, "0")).join("");

/** `metadata_props` (field 14) of an ONNX file, a protobuf message whose other fields are passed over. */
export function metadata(data) {
  const out = new Map(), text = new TextDecoder();
  for (const [field, value] of messageFields(data)) {
    if (field !== 14) continue;
    const entry = new Map([...messageFields(value)].map(([f, v]) => [f, text.decode(v)]));
    out.set(entry.get(1), entry.get(2));
  }
  return out;
}

/** Fields of a message that hold bytes, as [number, bytes]. */
function* messageFields(data) {
  let pos = 0;
  const varint = () => {
    let value = 0;
    for (let k = 0; k < 10; k++) {
      const byte = data[pos++];
      value += (byte & 127) * 2 ** (7 * k);
      if (!(byte & 128)) break;
    }
    return value;
  };
  while (pos < data.length) {
    const tag = varint(), kind = tag % 8;
    if (kind === 0) varint();
    else if (kind === 1) pos += 8;
    else if (kind === 5) pos += 4;
    else if (kind === 2) {
      const length = varint();
      yield [Math.floor(tag / 8), data.subarray(pos, pos + length)];
      pos += length;
    } else return;
  }
}
