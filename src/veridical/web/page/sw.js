// The service worker of the static site: keeps what the page has loaded, so that it works offline, and adds the
// headers that a plain web server lacks: isolation (several threads) and the policy for workers.
const CACHE = "veridical";
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp",
  "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    + "style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'",
};
const SHELL = ["./", "style.css", "icon.svg", "sample.jpg", "main.js", "view.js", "worker.js", "decode.js", "condition.js",
  "jpeg_cells.js", "network.js", "palette.js", "png.js", "tiles.js", "formats/index.js", "formats/avif.js",
  "formats/bits.js", "formats/jpeg.js", "formats/jpeg_scan.js", "formats/webp.js", "vendor/ort.wasm.bundle.min.mjs",
  "vendor/ort-wasm-simd-threaded.wasm.gz", "vendor/LICENSE"];

addEventListener("install", event => event.waitUntil((async () => {
  await (await caches.open(CACHE)).addAll(SHELL.map(name => new Request(name, { cache: "reload" })));
  await skipWaiting();
})()));
addEventListener("activate", event => event.waitUntil(clients.claim()));

/** Newest from the server where there is one, else what was kept; weights are kept when a format is first used. */
async function answer(request) {
  const cache = await caches.open(CACHE);
  let found;
  try {
    found = await fetch(request, { cache: "no-cache" }); // asks whether it changed
    if (found.ok) await cache.put(request, found.clone());
  } catch (fault) {
    found = await cache.match(request, { ignoreSearch: true });
    if (!found) throw fault;
  }
  const headers = new Headers(found.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(found.body, { status: found.status, statusText: found.statusText, headers });
}

addEventListener("fetch", event => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(registration.scope)) event.respondWith(answer(request));
});
