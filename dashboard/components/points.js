// Points on a canvas: see points.py for `data`. A second canvas on top has what follows the pointer, so that ten
// thousand points are drawn once for each view of them.
const MARGIN = 10; // pixels around the points
const CORNERS = 48; // of an area, at most: it travels in the address
const REACH = 14; // pixels from the pointer to the point that it means

const insideArea = (area, left, top) => {
  let inside = false;
  for (let here = 0, last = area.length - 1; here < area.length; last = here, here += 1) {
    const [ax, ay] = area[here], [bx, by] = area[last];
    if (ay > top !== by > top && left < ((bx - ax) * (top - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
};

class PointsView {
  constructor(root) {
    this.root = root;
    this.controls = element("div", "controls");
    this.stage = element("div", "stage");
    this.canvas = element("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.drawn = element("canvas", "drawn");
    this.drawn.setAttribute("aria-hidden", "true");
    this.tip = element("div", "tip");
    this.spoken = announcer();
    this.legend = element("div", "legend");
    this.stage.append(this.canvas, this.drawn, this.tip);
    this.byTouch = button("draw", () => this.toggleDrawing(), "draw around points by touch");
    this.byTouch.className = "by-touch";
    this.everything = button("show all", () => this.sendArea([]), "give up the area, show all images");
    zoomable(this, this.canvas, (event) => this.onPlane(...this.under(event)), "fit all points");
    this.controls.append(
      this.byTouch, this.everything,
      element("span", "hint", matchMedia("(hover: none)").matches
        ? "draw, then a line around points · tap one"
        : "draw around points (Shift: a box) · click one · arrows, Enter and Space"),
    );
    root.append(this.controls, this.stage, this.spoken, this.legend);
    this.view = { x: 0, y: 0, span: 1 };
    this.cursor = -1;
    this.path = [];
    this.listen();
    new ResizeObserver(() => this.data && this.draw()).observe(this.stage);
  }

  show(data) {
    this.data = data;
    this.places = new Uint16Array(decode(data.places).buffer);
    this.images = new Uint32Array(decode(data.images).buffer);
    this.labels = new Uint16Array(decode(data.labels).buffer);
    this.predictions = new Uint16Array(decode(data.predictions).buffer);
    this.confidences = decode(data.confidences);
    this.codes = decode(data.codes);
    this.area = data.area.map(([left, top]) => [left / 1000, top / 1000]);
    if (this.cursor >= this.codes.length) this.cursor = -1;
    this.everything.style.display = this.area.length ? "" : "none";
    this.canvas.setAttribute("aria-label", `${data.title}: ${this.codes.length} points. Arrow keys move from point to point, Enter opens its image, Space chooses those around it.`);
    this.legend.replaceChildren(...data.legend.map(([colour, text]) => {
      const kind = element("span", "kind");
      const swatch = element("span", "swatch");
      swatch.style.background = colour;
      kind.append(swatch, text);
      return kind;
    }));
    this.draw();
  }

  x(point) { return this.places[2 * point] / 65535; }
  y(point) { return this.places[2 * point + 1] / 65535; }
  onScreen(left, top) { return [MARGIN + ((left - this.view.x) / this.view.span) * this.inner, MARGIN + ((top - this.view.y) / this.view.span) * this.inner]; }
  onPlane(px, py) { return [this.view.x + ((px - MARGIN) / this.inner) * this.view.span, this.view.y + ((py - MARGIN) / this.inner) * this.view.span]; }

  under(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  draw() {
    const side = Math.min(this.stage.clientWidth, 640);
    if (!side) return;
    this.side = side;
    this.inner = side - 2 * MARGIN;
    this.canvas.style.width = this.drawn.style.width = `${side}px`;
    sharpPen(this.drawn, side, side);
    const pen = sharpPen(this.canvas, side, side);
    pen.fillStyle = getComputedStyle(this.root).getPropertyValue("--track");
    pen.globalAlpha = 0.3;
    pen.fillRect(0, 0, side, side);
    const size = clamp(130 / Math.sqrt(this.codes.length), 1.6, 4) / Math.sqrt(this.view.span);
    // By colour, and those outside of the area fainter: a stroke of the pen for each, not one for each point.
    const kinds = new Map();
    for (let point = 0; point < this.codes.length; point += 1) {
      const outside = this.area.length && !insideArea(this.area, this.x(point), this.y(point)) ? 256 : 0;
      const kind = this.codes[point] + outside;
      if (!kinds.has(kind)) kinds.set(kind, []);
      kinds.get(kind).push(point);
    }
    const rank = (kind) => (kind >= 256 ? 0 : 2) + (kind % 256 ? 1 : 0);
    for (const [kind, points] of [...kinds].sort(([a], [b]) => rank(a) - rank(b) || a - b)) {
      pen.fillStyle = this.data.colours[kind % 256];
      pen.globalAlpha = (kind >= 256 ? 0.2 : 0.85) * (kind % 256 ? 1 : 0.5);
      pen.beginPath();
      for (const point of points) {
        const [left, top] = this.onScreen(this.x(point), this.y(point));
        if (left < -size || top < -size || left > side + size || top > side + size) continue;
        pen.moveTo(left + size, top);
        pen.arc(left, top, size, 0, 2 * Math.PI);
      }
      pen.fill();
    }
    pen.globalAlpha = 1;
    this.drawOver();
    this.root.dataset.painted = this.data.identity;
  }

  // The line that is being drawn, the chosen area, and the point that is meant.
  drawOver() {
    const pen = this.drawn.getContext("2d");
    pen.clearRect(0, 0, this.side, this.side);
    pen.strokeStyle = getComputedStyle(this.root).color;
    pen.lineWidth = 1.5;
    const line = (corners) => {
      pen.beginPath();
      corners.forEach(([left, top], place) => pen[place ? "lineTo" : "moveTo"](...this.onScreen(left, top)));
      pen.closePath();
      pen.stroke();
    };
    if (this.path.length) line(this.path);
    else if (this.area.length) { pen.setLineDash([5, 4]); line(this.area); pen.setLineDash([]); }
    if (this.cursor < 0) return;
    const [left, top] = this.onScreen(this.x(this.cursor), this.y(this.cursor));
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.arc(left, top, 7, 0, 2 * Math.PI);
    pen.stroke();
  }

  words(point) {
    const { names } = this.data;
    const [label, prediction] = [this.labels[point], this.predictions[point]];
    const wrong = label === prediction ? "" : ` · true class ${names[label]}`;
    return `${wrong ? "✗" : "✓"} ${names[prediction]}, P ${(this.confidences[point] / 255).toFixed(2)}${wrong} · image ${this.images[point]}`;
  }

  mean(point) {
    if (point === this.cursor) return;
    this.cursor = point;
    this.drawOver();
    this.tip.style.display = point < 0 ? "none" : "block";
    if (point < 0) return;
    this.tip.textContent = this.words(point);
    const [left, top] = this.onScreen(this.x(point), this.y(point));
    this.tip.style.left = `${clamp(left + 12, 0, Math.max(0, this.stage.clientWidth - this.tip.offsetWidth))}px`;
    this.tip.style.top = `${top > this.side / 2 ? top - this.tip.offsetHeight - 10 : top + 12}px`;
  }

  nearest(px, py, allowed = () => true, reach = Infinity) {
    let [found, least] = [-1, reach * reach];
    for (let point = 0; point < this.codes.length; point += 1) {
      const [left, top] = this.onScreen(this.x(point), this.y(point));
      const distance = (left - px) ** 2 + (top - py) ** 2;
      if (distance < least && allowed(left - px, top - py, point)) [found, least] = [point, distance];
    }
    return found;
  }

  fit() { this.view = { x: 0, y: 0, span: 1 }; this.draw(); }

  zoom(factor, left = this.view.x + this.view.span / 2, top = this.view.y + this.view.span / 2) {
    const span = clamp(this.view.span * factor, 0.02, 1);
    const kept = span / this.view.span;
    this.view = { x: clamp(left - (left - this.view.x) * kept, 0, 1 - span), y: clamp(top - (top - this.view.y) * kept, 0, 1 - span), span };
    this.draw();
  }

  toggleDrawing() {
    const drawing = this.root.classList.toggle("drawing");
    this.byTouch.setAttribute("aria-pressed", drawing);
  }

  sendArea(corners) {
    const step = Math.max(1, Math.ceil(corners.length / CORNERS));
    const area = corners.filter((_, place) => place % step === 0);
    this.area = area;
    this.draw();
    this.send("area", area.map((corner) => corner.map((value) => Math.round(1000 * clamp(value, 0, 1)))));
  }

  listen() {
    const { canvas } = this;
    let start = null;
    canvas.onpointerdown = (event) => {
      start = this.under(event);
      if (event.pointerType !== "touch" || this.root.classList.contains("drawing")) canvas.setPointerCapture(event.pointerId);
    };
    canvas.onpointermove = (event) => {
      const [px, py] = this.under(event);
      const draws = event.pointerType !== "touch" || this.root.classList.contains("drawing");
      if (!start || event.buttons !== 1 || !draws) return this.mean(this.nearest(px, py, undefined, REACH));
      if (!this.path.length && Math.hypot(px - start[0], py - start[1]) < 5) return undefined;
      this.mean(-1);
      const [a, b] = [this.onPlane(...start), this.onPlane(px, py)];
      if (event.shiftKey) this.path = [a, [b[0], a[1]], b, [a[0], b[1]]];
      else this.path.push(...(this.path.length ? [b] : [a, b]));
      return this.drawOver();
    };
    canvas.onpointerup = (event) => {
      const path = this.path;
      this.path = [];
      if (path.length > 2) this.sendArea(path);
      else if (start) {
        const point = this.nearest(...this.under(event), undefined, REACH);
        if (point >= 0) this.send("open", this.images[point]);
      }
      start = null;
    };
    canvas.onpointercancel = () => { start = null; this.path = []; this.drawOver(); };
    canvas.onpointerleave = () => { if (!start) this.mean(-1); };
    canvas.onkeydown = (event) => this.key(event);
    canvas.onblur = () => this.mean(-1);
  }

  key(event) {
    const way = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    const here = this.cursor < 0 ? [this.side / 2, this.side / 2] : this.onScreen(this.x(this.cursor), this.y(this.cursor));
    if (way) {
      // The nearest point in this direction, within a quarter of a turn.
      const ahead = (dx, dy, point) => point !== this.cursor && dx * way[0] + dy * way[1] >= Math.abs(dx * way[1]) + Math.abs(dy * way[0]) && (dx || dy);
      const point = this.nearest(...here, this.cursor < 0 ? undefined : ahead);
      if (point >= 0) { this.mean(point); this.spoken.textContent = this.words(point); }
    } else if (event.key === "Enter" && this.cursor >= 0) this.send("open", this.images[this.cursor]);
    else if (event.key === " " && this.cursor >= 0) {
      const [left, top] = [this.x(this.cursor), this.y(this.cursor)];
      const around = Array.from({ length: 16 }, (_, corner) => (corner * Math.PI) / 8);
      this.sendArea(around.map((angle) => [left + 0.06 * Math.cos(angle), top + 0.06 * Math.sin(angle)]));
    } else if (event.key === "Escape" && this.area.length) this.sendArea([]);
    else if (event.key === "+" || event.key === "=") this.zoom(0.6, ...this.onPlane(...here));
    else if (event.key === "-") this.zoom(1 / 0.6);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

export default function ({ data: packed, parentElement, setTriggerValue }) {
  const data = unpack(packed);
  const view = viewOf(parentElement, "points", PointsView);
  view.send = (name, value) => setTriggerValue(name, value);
  const shown = `${data.identity}${markTheme(view.root)}`;
  if (view.shown === shown) return;
  view.shown = shown;
  view.show(data);
}
