// Where the picture stands in its panes: fitting, true pixels, zoom and panning by wheel, fingers and keys.

const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

export class View {
  /** @param stage holds panes, each with a layer; changed is called with the device pixels that a picture's pixel covers. */
  constructor(stage, changed) {
    Object.assign(this, { stage, changed, scale: 1, x: 0, y: 0, width: 1, height: 1, fitted: true });
    this.touches = new Map();
    new ResizeObserver(() => {
      this.fill();
      if (this.fitted) this.fit();
      else this.place();
    }).observe(stage);
    stage.addEventListener("wheel", e => {
      e.preventDefault();
      this.zoom(Math.exp(-e.deltaY / 300), this.inside(e));
    }, { passive: false });
    stage.addEventListener("pointerdown", e => {
      this.touches.set(e.pointerId, e);
      stage.setPointerCapture?.(e.pointerId);
    });
    stage.addEventListener("pointermove", e => this.move(e));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, e => this.touches.delete(e.pointerId));
    stage.addEventListener("keydown", e => this.key(e));
  }
  get panes() {
    return [...this.stage.children].filter(p => !p.hidden);
  }
  get box() {
    return this.panes[0].getBoundingClientRect();
  }
  show(width, height) {
    Object.assign(this, { width, height });
    this.fill();
    this.fit();
  }
  /** The stage ends where the window does (style.css); called when what stands above it has changed. */
  fill() {
    this.stage.style.setProperty("--top", `${this.stage.getBoundingClientRect().top + scrollY}px`);
  }
  /** The whole picture; enlarged by whole numbers, unless pixels are too small to see. */
  fit() {
    const { width, height } = this.box, k = devicePixelRatio;
    const scale = Math.min(width / this.width, height / this.height);
    this.fitted = true;
    this.scale = scale * k >= 1 && k < 2 ? Math.floor(scale * k) / k : scale;
    Object.assign(this, { x: this.width / 2, y: this.height / 2 });
    this.place();
  }
  /** One pixel of the picture on one of the screen. */
  truePixels() {
    this.zoom(1 / devicePixelRatio / this.scale);
  }
  zoom(factor, [px, py] = [0, 0]) {
    const least = Math.min(this.box.width / this.width, this.box.height / this.height, 1 / devicePixelRatio);
    const scale = clamp(this.scale * factor, least, 32);
    this.x += px / this.scale - px / scale;
    this.y += py / this.scale - py / scale;
    this.scale = scale;
    this.fitted = false;
    this.place();
  }
  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.fitted = false;
    this.place();
  }
  place() {
    const { width, height, left: x0, top: y0 } = this.box, dots = this.scale * devicePixelRatio;
    const middle = (at, side, whole) => side / this.scale >= whole ? whole / 2 : clamp(at, side / 2 / this.scale, whole - side / 2 / this.scale);
    this.x = middle(this.x, width, this.width);
    this.y = middle(this.y, height, this.height);
    const even = (v, from) => Math.round((from + v) * devicePixelRatio) / devicePixelRatio - from; // pixels on pixels
    const [left, top] = [even(width / 2 - this.x * this.scale, x0), even(height / 2 - this.y * this.scale, y0)];
    for (const layer of this.stage.querySelectorAll(".layer")) layer.style.transform = `translate(${left}px, ${top}px) scale(${this.scale})`;
    this.stage.classList.toggle("sharp", dots > 0.999);
    this.stage.style.touchAction = this.fitted ? "pan-y" : "none"; // a finger still scrolls the page
    this.changed(dots);
  }
  /** A pointer's place from the middle of the pane that it is in. */
  inside({ clientX, clientY }) {
    const boxes = this.panes.map(p => p.getBoundingClientRect());
    const box = boxes.find(b => clientX >= b.left && clientX <= b.right && clientY >= b.top && clientY <= b.bottom) ?? boxes[0];
    return [clientX - box.left - box.width / 2, clientY - box.top - box.height / 2];
  }
  move(e) {
    const was = this.touches.get(e.pointerId);
    if (!was) return;
    const before = [...this.touches.values()];
    this.touches.set(e.pointerId, e);
    const now = [...this.touches.values()];
    if (now.length === 1) return this.pan(e.clientX - was.clientX, e.clientY - was.clientY);
    const span = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
    const mid = ([a, b]) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });
    const [from, to] = [mid(before), mid(now)];
    this.zoom(span(now) / span(before), this.inside(to));
    this.pan(to.clientX - from.clientX, to.clientY - from.clientY);
  }
  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const step = 60, moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const acts = {
      "+": () => this.zoom(1.5), "=": () => this.zoom(1.5), "-": () => this.zoom(1 / 1.5),
      0: () => this.fit(), 1: () => this.truePixels(),
    };
    if (moves[e.key]) this.pan(...moves[e.key]);
    else if (acts[e.key]) acts[e.key]();
    else return;
    e.preventDefault();
  }
}
