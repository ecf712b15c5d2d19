// Where a picture stands in its panes: fitting, true pixels, zoom and panning by wheel, fingers and keys.
// For the page that veridical.view writes, and for the one that decodes in the browser.

const MOST = 32, FAR = 40, clamp = (x, low, high) => Math.min(high, Math.max(low, x));

export class View {
  /**
   * @param stage holds panes, each with a layer; changed is called with k, the device pixels that a picture's pixel covers.
   * x and y are where the picture begins in each pane.
   */
  constructor(stage, changed) {
    Object.assign(this, { stage, changed, k: 1, x: 0, y: 0, width: 1, height: 1, fitted: true });
    this.touches = new Map();
    new ResizeObserver(() => this.place()).observe(stage);
    stage.addEventListener("wheel", e => {
      e.preventDefault();
      this.zoom(this.k * Math.exp(-e.deltaY / 300), this.inside(e));
    }, { passive: false });
    stage.addEventListener("pointerdown", e => {
      this.touches.set(e.pointerId, e);
      try { stage.setPointerCapture(e.pointerId); } catch { /* a pointer that is gone already */ }
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
    this.fit();
  }
  get whole() {
    const { width, height } = this.box;
    return devicePixelRatio * Math.min(width / this.width, height / this.height);
  }
  /** Of the whole picture; enlarged by whole numbers, unless pixels are too small to see. */
  get fitting() {
    const k = this.whole;
    return k >= 1 ? Math.min(MOST, devicePixelRatio < 2 ? Math.floor(k) : k) : k;
  }
  fit() {
    this.fitted = true;
    this.place();
  }
  /** One pixel of the picture on one of the screen. */
  truePixels() {
    this.zoom(1);
  }
  /** By powers of two, so that true pixels are never stepped over. */
  step(up) {
    const { k } = this;
    if (up) this.zoom(k >= 1 ? 2 ** (Math.floor(Math.log2(k) + 1e-9) + 1) : Math.min(1, 1.5 * k));
    else this.zoom(k > 1 ? 2 ** (Math.ceil(Math.log2(k) - 1e-9) - 1) : k / 1.5);
  }
  /** At a place of the pane, its middle if none is told. */
  zoom(k, [x, y] = [this.box.width / 2, this.box.height / 2]) {
    k = clamp(k, Math.min(this.whole, 1), MOST);
    const f = k / this.k;
    Object.assign(this, { k, x: x - (x - this.x) * f, y: y - (y - this.y) * f, fitted: k === this.fitting });
    this.place();
  }
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.place();
  }
  /** All panes show the same part, and a picture never leaves its pane. */
  place() {
    if (this.fitted) this.k = this.fitting;
    const { width, height, left, top } = this.box, d = devicePixelRatio, scale = this.k / d;
    const inside = (at, room, size) => size <= room ? (room - size) / 2 : clamp(at, room - size, 0);
    this.x = inside(this.x, width, this.width * scale);
    this.y = inside(this.y, height, this.height * scale);
    const even = (at, from) => Math.round((from + at) * d) / d - from; // pixels of the picture on those of the screen
    const shift = `translate(${even(this.x, left)}px, ${even(this.y, top)}px) scale(${scale})`;
    for (const layer of this.stage.querySelectorAll(".layer")) layer.style.transform = shift;
    this.stage.classList.toggle("sharp", this.k > 0.999);
    this.stage.style.touchAction = this.fitted ? "pan-y" : "none"; // a finger still scrolls the page
    this.changed(this.k);
  }
  /** A pointer's place in the pane that it is in. */
  inside({ clientX, clientY }) {
    const boxes = this.panes.map(p => p.getBoundingClientRect());
    const box = boxes.find(b => clientX >= b.left && clientX <= b.right && clientY >= b.top && clientY <= b.bottom) ?? boxes[0];
    return [clientX - box.left, clientY - box.top];
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
    this.zoom(this.k * span(now) / span(before), this.inside(from));
    this.pan(to.clientX - from.clientX, to.clientY - from.clientY);
  }
  /** Arrows move the picture, plus, minus, 0 and 1 zoom; keys with a modifier are the browser's. */
  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const act = {
      ArrowLeft: () => this.pan(FAR, 0), ArrowRight: () => this.pan(-FAR, 0),
      ArrowUp: () => this.pan(0, FAR), ArrowDown: () => this.pan(0, -FAR),
      "+": () => this.step(true), "=": () => this.step(true), "-": () => this.step(false),
      0: () => this.fit(), 1: () => this.truePixels(),
    }[e.key];
    if (!act) return;
    act();
    e.preventDefault();
    e.stopPropagation(); // what is done here is not done again for the page
  }
}
