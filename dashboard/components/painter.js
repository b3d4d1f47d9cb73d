// A grid to paint a pattern on. See painter.py for what `data` holds and how cells are written as letters.
const LETTERS = "0123456789abcdef";
const TOP = 15;
const WAIT = 160; // milliseconds after the last key before the pattern is sent

class PainterView {
  constructor(root) {
    this.root = root;
    this.stage = element("div", "stage");
    this.canvas = element("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.tools = element("div", "controls");
    this.spoken = announcer();
    this.hint = element("div", "hint", "Drag to paint. Keys: arrows move, space paints, Delete erases.");
    this.stage.append(this.canvas);
    root.append(this.stage, this.tools, this.hint, this.spoken);
    this.cursor = 0;
    this.past = [];
    this.pending = [];
    this.listen();
  }

  buildTools() {
    this.tools.replaceChildren();
    this.swatches = this.brushes().map(([level, name]) => {
      const swatch = button("", () => this.pick(level), `brush: ${name}`);
      swatch.className = "swatch";
      swatch.title = name;
      swatch.style.background = `rgb(${this.colour(level)})`;
      swatch.dataset.level = level;
      return swatch;
    });
    const eraser = button("erase", () => this.pick(this.zero), "brush: erase");
    eraser.dataset.level = this.zero;
    this.swatches.push(eraser);
    const undo = button("undo", () => this.undo(), "undo the last stroke");
    this.tools.append(...this.swatches, undo, button("clear", () => this.clear(), "clear all cells"));
    this.pick(this.brush === undefined || this.data.signed !== this.wasSigned ? TOP : this.brush);
    this.wasSigned = this.data.signed;
  }

  brushes() {
    return this.data.signed
      ? [[0, "strongly against"], [4, "against"], [12, "for"], [15, "strongly for"]]
      : [[4, "faint"], [8, "medium"], [12, "strong"], [15, "full"]];
  }

  colour(level) {
    // A signed scale has 8 levels below zero and 7 above, its colour table 128 and 127.
    const share = this.data.signed ? 128 + ((level - 8) / 7) * 127 : (level / TOP) * 255;
    return rgb(this.table, Math.round(clamp(share, 0, 255)));
  }

  pick(level) {
    this.brush = level;
    for (const swatch of this.swatches) {
      const chosen = Number(swatch.dataset.level) === level;
      swatch.classList.toggle("picked", chosen);
      swatch.setAttribute("aria-pressed", String(chosen));
    }
  }

  show(data) {
    clearTimeout(this.timer); // what was about to be sent was painted on another pattern
    this.data = data;
    this.zero = data.signed ? 8 : 0;
    this.table = decode(data.table);
    const cells = data.height * data.width;
    this.levels = Array.from({ length: cells }, (_, cell) => (data.text ? LETTERS.indexOf(data.text[cell]) : this.zero));
    this.cursor = Math.min(this.cursor, cells - 1);
    this.canvas.setAttribute("aria-label", `pattern of ${data.height} by ${data.width} cells; arrow keys move, space paints, Delete erases`);
    this.buildTools();
    this.draw();
    this.root.dataset.painted = data.identity;
  }

  draw() {
    const { height, width } = this.data;
    const cell = Math.max(8, Math.floor(512 / Math.max(height, width)));
    this.canvas.width = width * cell;
    this.canvas.height = height * cell;
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    const pen = this.canvas.getContext("2d");
    fillCells(pen, this.data, cell, (at) => this.colour(this.levels[at]));
    pen.strokeStyle = "rgb(128 128 128 / .32)";
    pen.lineWidth = Math.max(1, cell / 48);
    pen.beginPath();
    for (let column = 1; column < width; column += 1) { pen.moveTo(column * cell, 0); pen.lineTo(column * cell, height * cell); }
    for (let row = 1; row < height; row += 1) { pen.moveTo(0, row * cell); pen.lineTo(width * cell, row * cell); }
    pen.stroke();
    if (this.walking) {
      pen.strokeStyle = getComputedStyle(this.root).getPropertyValue("--prediction");
      pen.lineWidth = Math.max(2, cell / 12);
      pen.strokeRect((this.cursor % width) * cell + 2, Math.floor(this.cursor / width) * cell + 2, cell - 4, cell - 4);
    }
  }

  set(cell, level) {
    if (this.levels[cell] === level) return false;
    this.levels[cell] = level;
    this.draw();
    return true;
  }

  remember() {
    this.past.push([...this.levels]);
    if (this.past.length > 60) this.past.shift();
  }

  undo() {
    if (!this.past.length) return;
    this.levels = this.past.pop();
    this.draw();
    this.later();
  }

  clear() {
    if (this.levels.every((level) => level === this.zero)) return;
    this.remember();
    this.levels.fill(this.zero);
    this.draw();
    this.later();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(this.levels.map((level) => LETTERS[level]).join("")), WAIT);
  }

  cellAt(event) {
    const { height, width } = this.data;
    const [row, column] = cellUnder(this.canvas, event, this.data);
    return row >= 0 && column >= 0 && row < height && column < width ? row * width + column : null;
  }

  listen() {
    const { canvas } = this;
    let stroke = null; // the level that this stroke paints; a stroke that begins on a cell of its level erases
    let changed = false;
    canvas.onpointerdown = (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      this.walking = false;
      clearTimeout(this.timer);
      const cell = this.cellAt(event);
      this.remember();
      stroke = this.levels[cell] === this.brush ? this.zero : this.brush;
      changed = cell !== null && this.set(cell, stroke);
      if (cell !== null) this.cursor = cell;
    };
    canvas.onpointermove = (event) => {
      if (stroke === null) return;
      for (const point of event.getCoalescedEvents?.() ?? [event]) {
        const cell = this.cellAt(point);
        if (cell !== null) { changed = this.set(cell, stroke) || changed; this.cursor = cell; }
      }
    };
    canvas.onpointerup = canvas.onpointercancel = () => {
      if (stroke === null) return;
      stroke = null;
      if (changed) this.later();
      else this.past.pop();
    };
    canvas.onkeydown = (event) => this.key(event);
    canvas.onblur = () => { this.walking = false; if (this.data) this.draw(); };
  }

  key(event) {
    const { height, width } = this.data;
    const move = { ArrowUp: -width, ArrowDown: width, ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const column = this.cursor % width;
    if ((event.ctrlKey || event.metaKey) && event.key === "z") this.undo();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (move) {
      const target = this.cursor + move;
      const wraps = (event.key === "ArrowLeft" && column === 0) || (event.key === "ArrowRight" && column === width - 1);
      if (!wraps && target >= 0 && target < height * width) this.cursor = target;
    } else if (event.key === " " || event.key === "Enter") this.stamp(this.levels[this.cursor] === this.brush ? this.zero : this.brush);
    else if (event.key === "Delete" || event.key === "Backspace") this.stamp(this.zero);
    else if (/^[1-4]$/.test(event.key)) this.pick(this.brushes()[Number(event.key) - 1][0]);
    else return;
    this.walking = true;
    this.draw();
    const brush = this.brushes().find(([level]) => level === this.levels[this.cursor]);
    const empty = this.levels[this.cursor] === this.zero ? "empty" : `level ${this.levels[this.cursor]}`;
    this.spoken.textContent = `row ${Math.floor(this.cursor / width) + 1}, column ${(this.cursor % width) + 1}: ${brush ? brush[1] : empty}`;
    event.preventDefault();
    event.stopPropagation();
  }

  stamp(level) {
    this.remember();
    if (this.set(this.cursor, level)) this.later();
    else this.past.pop();
  }
}

export default function ({ data: packed, parentElement, setTriggerValue }) {
  const data = unpack(packed);
  const view = viewOf(parentElement, "painter", PainterView);
  markTheme(view.root);
  view.send = (text) => { view.pending.push(text); setTriggerValue("pattern", text); };
  if (view.shown === data.identity) return;
  view.shown = data.identity;
  // The echo of what was painted here must not undo what has been painted since; any other pattern is shown.
  const echo = view.pending.lastIndexOf(data.text);
  view.pending = view.pending.slice(echo + 1);
  if (echo >= 0 && view.data.table === data.table) view.root.dataset.painted = data.identity;
  else view.show(data);
}
