// The page: takes a file, lets the worker restore it, and shows what comes back.
import { View } from "./view.js";

const $ = id => document.getElementById(id);
const slider = $("realism");
const local = document.documentElement.dataset.served === "local"; // what the browser cannot, the package decodes
let worker = null, current = null, urls = [];

const view = new View($("stage"), k => { $("scale").textContent = `${Math.round(100 * k)} %`; });
/** The stage ends where the window does (style.css); called when what stands above it has changed. */
const fill = () => $("stage").style.setProperty("--top", `${$("stage").getBoundingClientRect().top + scrollY}px`);
addEventListener("resize", fill);

function say(text, fault = false) {
  $("status").textContent = text;
  $("status").classList.toggle("fault", fault);
}

function open(file) {
  worker?.terminate();
  const mine = worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const told = handle => e => { if (mine === worker) handle(e); }; // what a replaced worker still says is old
  worker.onmessage = told(e => received[e.data.kind](e.data));
  worker.onerror = told(e => received.error({ message: `The worker could not be started (${e.message ?? "unknown"}).` }));
  urls.forEach(URL.revokeObjectURL);
  urls = [];
  current = { name: file.name };
  document.title = "veridical: one file, any realism";
  document.body.classList.add("opened");
  $("viewer").hidden = true;
  for (const id of ["realism", "save", "ordinary", "beside"]) $(id).disabled = true;
  press("ordinary", false);
  say(`Reading ${file.name}`);
  file.arrayBuffer().then(data => mine.postMessage({ kind: "decode", data, local }, [data]),
    told(() => received.error({ message: `${file.name} cannot be read; is it a folder?` })));
}

async function show(id, blob) {
  const url = URL.createObjectURL(blob);
  urls.push(url);
  $(id).src = url;
  await $(id).decode().catch(fault => {
    if (urls.includes(url)) throw fault; // else another file took its place
  });
}

const received = {
  async ordinary({ info, blob }) {
    current.info = info;
    for (const id of ["mmse", "real"]) $(id).removeAttribute("src");
    const mine = current;
    await Promise.all([show("plain", blob), show("plain2", blob)]);
    if (mine !== current) return;
    $("viewer").hidden = false;
    fill();
    view.show($("plain").naturalWidth, $("plain").naturalHeight);
    facts();
    draw();
  },
  progress({ title, done, total }) {
    $("progress").hidden = false;
    $("progress").max = total || 1;
    $("progress").value = done;
    const part = total ? ` ${Math.floor(100 * done / total)} %` : "";
    if ($("status").textContent !== title + part) say(title + part);
  },
  async done({ mmse, real, price }) {
    const mine = current;
    await Promise.all([show("mmse", mmse), show("real", real)]);
    if (mine !== current) return;
    Object.assign(current, { price, ready: true });
    $("progress").hidden = true;
    fill();
    for (const id of ["realism", "save", "ordinary", "beside"]) $(id).disabled = false;
    document.title = `${current.name}: one file, any realism`;
    say(current.info.lossless ? "The file is lossless: every realism is the picture itself." : "Done. Move the slider.");
    draw();
  },
  saved({ blob }) {
    const link = document.createElement("a"), url = URL.createObjectURL(blob);
    link.href = url;
    link.download = `${current.name.replace(/\.[^.]*$/, "")}-realism-${Number(slider.value).toFixed(2)}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    $("save").disabled = false;
    say(`Saved as ${link.download}.`);
  },
  error({ message }) {
    $("progress").hidden = true;
    say(message, true);
  },
};

function facts() {
  const i = current.info, rows = [
    ["File", `${i.format}, ${i.width} × ${i.height} pixels, ${i.bytes.toLocaleString("en")} bytes, ${i.bitsPerPixel.toFixed(3)} bits per pixel`],
    ["Quantizer", i.quantizer === null ? "not told by the file" : `${i.quantizer.toFixed(3)} (0 is finest, 1 coarsest)`],
  ];
  if (current.ready) {
    const { price } = current, a = Number(slider.value);
    rows.push(["Predicted price", !price ? "not measured"
      : `PSNR ${(-10 * Math.log10(price.mmse + a * a * price.transportCost)).toFixed(2)} dB${price.uncertaintyDb ? ` (standard deviation ${price.uncertaintyDb.toFixed(1)} dB)` : ""}; squared distance to the generator's law at most ${((1 - a) ** 2 * price.transportCost).toExponential(2)}`]);
  }
  for (const notice of i.notices) rows.push(["Note", notice]);
  $("facts").replaceChildren(...rows.flatMap(([name, text]) => {
    const [dt, dd] = ["dt", "dd"].map(tag => document.createElement(tag));
    [dt.textContent, dd.textContent] = [name, text];
    return [dt, dd];
  }));
}

/** The slider is the interpolation: the sample laid over the estimate with its own weight. */
function draw() {
  const a = Number(slider.value), plain = !current?.ready || pressed("ordinary");
  $("value").textContent = a.toFixed(2);
  $("real").style.opacity = a;
  $("plain").style.opacity = plain ? 1 : 0;
  $("shown").textContent = plain ? "Ordinary decoder" : `Realism ${a.toFixed(2)}`;
  $("stage").setAttribute("aria-label", `Picture, ${$("shown").textContent}`);
  if (current?.info) facts();
}

const pressed = id => $(id).getAttribute("aria-pressed") === "true";
const press = (id, on) => $(id).setAttribute("aria-pressed", on);

slider.addEventListener("input", draw);
$("ordinary").addEventListener("click", () => {
  press("ordinary", !pressed("ordinary"));
  draw();
});
$("beside").addEventListener("click", () => {
  press("beside", !pressed("beside"));
  $("second").hidden = !pressed("beside");
  view.place();
});
$("save").addEventListener("click", () => {
  $("save").disabled = true;
  worker.postMessage({ kind: "save", realism: Number(slider.value) });
});
$("fit").addEventListener("click", () => view.fit());
$("true").addEventListener("click", () => view.truePixels());
$("in").addEventListener("click", () => view.step(true));
$("out").addEventListener("click", () => view.step(false));

$("file").addEventListener("change", e => {
  if (e.target.files[0]) open(e.target.files[0]);
  e.target.value = "";
});
$("sample").addEventListener("click", async () => {
  const answer = await fetch("sample.jpg").catch(() => null);
  if (!answer?.ok) return received.error({ message: "The sample cannot be loaded from where this page lies." });
  open(new File([await answer.blob()], "sample.jpg"));
});
addEventListener("dragover", e => {
  e.preventDefault();
  $("drop").classList.add("over");
});
for (const end of ["dragleave", "drop"]) addEventListener(end, () => $("drop").classList.remove("over"));
addEventListener("drop", e => {
  e.preventDefault();
  if (e.dataTransfer.files[0]) open(e.dataTransfer.files[0]);
});
addEventListener("paste", e => {
  if (e.clipboardData.files[0]) open(e.clipboardData.files[0]);
});

/** On a web server that is not ours: offline afterwards, and isolated after one reload, for several threads. */
async function keepOffline() {
  if (document.documentElement.dataset.served || !navigator.serviceWorker) return;
  await navigator.serviceWorker.register("sw.js").catch(() => null);
  await navigator.serviceWorker.ready;
  if (!crossOriginIsolated && !current && !sessionStorage.getItem("reloaded")) {
    sessionStorage.setItem("reloaded", "1");
    location.reload();
  }
}
keepOffline();
if (local) $("file").accept += ",.vdc,.jxl";
