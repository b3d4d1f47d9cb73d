// A matrix of counts or shares that can be zoomed, walked with the keyboard and clicked. See matrix.py for `data`.
const GUTTER = { left: [64, 170], top: [60, 150], right: 4, bottom: 4 };

// Codes: 0 is an empty cell (transparent), 1..255 an entry of the colour table.
const offscreen = (data, codes, table) => {
  const canvas = element("canvas");
  canvas.width = data.columns.length;
  canvas.height = data.rows.length;
  const image = new ImageData(canvas.width, canvas.height);
  codes.forEach((code, cell) => {
    if (code) image.data.set([...rgb(table, code), 255], cell * 4);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
};

const valuesOf = (codes, bytes) => {
  const sparse = new Float32Array(bytes.buffer);
  const values = new Float32Array(codes.length);
  let next = 0;
  codes.forEach((code, cell) => { if (code) { values[cell] = sparse[next]; next += 1; } });
  return values;
};

const formatted = (data, value) => {
  if (data.format === "percent") return percent(value, 1);
  if (data.format === "signed") return `${value > 0 ? "+" : ""}${number(value)}`;
  return `${value.toFixed(0)}`;
};

class MatrixView {
  constructor(root) {
    this.root = root;
    this.controls = element("div", "controls");
    this.stage = element("div", "stage");
    this.canvas = element("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.tip = element("div", "tip");
    this.spoken = announcer();
    this.legend = element("div", "legend");
    this.stage.append(this.canvas, this.tip);
    root.append(this.controls, this.stage, this.spoken, this.legend);
    this.cursor = [0, 0];
    zoomable(this, this.canvas, (event) => this.cellAt(event) || [], "fit the whole matrix");
    this.controls.append(element("span", "hint", "double-click zooms · drag moves · arrows and Enter choose a cell"));
    this.listen();
    new ResizeObserver(() => this.data && this.draw()).observe(this.stage);
  }

  show(data, dark) {
    const fresh = !this.data || this.data.rows.length !== data.rows.length || this.data.columns.length !== data.columns.length;
    this.data = data;
    this.codes = decode(data.codes);
    this.values = valuesOf(this.codes, decode(data.values));
    const table = decode(dark ? data.table : data.table_light);
    this.image = offscreen(data, this.codes, table);
    drawLegend(this.legend, data, table);
    this.canvas.setAttribute("aria-label", `${data.title}: ${data.rows.length} rows (${data.row_title}), ${data.columns.length} columns (${data.column_title}). Arrow keys move, Enter chooses.`);
    this.measure();
    if (data.selected) this.cursor = [...data.selected];
    if (fresh) this.fit(); else this.draw();
  }

  // Room for the names at the left and on top: those of the groups where a class's cell is too small for its name.
  measure() {
    const pen = this.canvas.getContext("2d");
    pen.font = `11px ${getComputedStyle(this.root).fontFamily}`;
    const widest = (names, groups) =>
      Math.max(0, ...(groups.length && names.length > 60 ? groups.map(([, name]) => name) : names).map((name) => pen.measureText(name).width));
    const { rows, columns, row_groups, column_groups } = this.data;
    this.widest = Math.max(0, ...columns.map((name) => pen.measureText(name).width));
    this.gutter = {
      left: clamp(widest(rows, row_groups) + 16, ...GUTTER.left),
      top: clamp(widest(columns, column_groups) + 34, ...GUTTER.top),
    };
  }

  fit() {
    this.view = { row: 0, column: 0, rows: this.data.rows.length, columns: this.data.columns.length };
    this.draw();
  }

  zoom(factor, row = this.view.row + this.view.rows / 2, column = this.view.column + this.view.columns / 2) {
    const view = this.view;
    const rows = clamp(view.rows * factor, Math.min(6, this.data.rows.length), this.data.rows.length);
    const columns = clamp(view.columns * factor, Math.min(6, this.data.columns.length), this.data.columns.length);
    view.row = row - ((row - view.row) * rows) / view.rows;
    view.column = column - ((column - view.column) * columns) / view.columns;
    Object.assign(view, { rows, columns });
    this.keepInside();
    this.draw();
  }

  keepInside() {
    this.view.row = clamp(this.view.row, 0, this.data.rows.length - this.view.rows);
    this.view.column = clamp(this.view.column, 0, this.data.columns.length - this.view.columns);
  }

  draw() {
    const { data, view, canvas } = this;
    const width = this.stage.clientWidth;
    if (!width) return;
    const narrow = width < 520; // a phone: less room for names, not none
    this.left = narrow ? Math.min(this.gutter.left, 62) : this.gutter.left;
    const inner = width - this.left - GUTTER.right;
    this.flat = inner / view.columns >= this.widest + 8; // columns that are wide enough carry their names flat
    this.top = this.flat ? 36 : narrow ? Math.min(this.gutter.top, 78) : this.gutter.top;
    const square = data.rows.length === data.columns.length;
    const height = this.top + GUTTER.bottom + (square ? inner : Math.min(data.tallest, Math.max(160, data.rows.length * 16)));
    this.cell = [(height - this.top - GUTTER.bottom) / view.rows, inner / view.columns];
    const pen = sharpPen(canvas, width, height);
    pen.imageSmoothingEnabled = false;
    const style = getComputedStyle(this.root);
    this.ink = style.color;
    pen.fillStyle = style.getPropertyValue("--track");
    pen.globalAlpha = 0.45;
    pen.fillRect(this.left, this.top, inner, height - this.top - GUTTER.bottom);
    pen.globalAlpha = 1;
    pen.drawImage(this.image, view.column, view.row, view.columns, view.rows, this.left, this.top, inner, height - this.top - GUTTER.bottom);
    this.size = { width, height };
    this.drawGroups(pen);
    this.drawLabels(pen, 0);
    this.drawLabels(pen, 1);
    this.drawCursor(pen, style.getPropertyValue("--prediction"));
    this.root.dataset.painted = data.identity;
  }

  drawGroups(pen) {
    pen.strokeStyle = this.ink;
    pen.globalAlpha = 0.22;
    pen.lineWidth = 1;
    pen.beginPath();
    for (const [start] of this.data.row_groups) {
      const y = this.top + (start - this.view.row) * this.cell[0];
      if (y > this.top) { pen.moveTo(this.left, y); pen.lineTo(this.size.width - GUTTER.right, y); }
    }
    for (const [start] of this.data.column_groups) {
      const x = this.left + (start - this.view.column) * this.cell[1];
      if (x > this.left) { pen.moveTo(x, this.top); pen.lineTo(x, this.size.height - GUTTER.bottom); }
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  // Class names where a cell is tall enough, else the names of the groups where these fit.
  drawLabels(pen, axis) {
    const names = axis ? this.data.columns : this.data.rows;
    const groups = axis ? this.data.column_groups : this.data.row_groups;
    const first = axis ? this.view.column : this.view.row;
    const shown = axis ? this.view.columns : this.view.rows;
    const cell = this.cell[axis];
    const entries = cell >= 9
      ? names.map((name, index) => [index, index + 1, name])
      : groups.map(([start, name], index) => [start, index + 1 < groups.length ? groups[index + 1][0] : names.length, name]);
    pen.fillStyle = this.ink;
    pen.font = `11px ${getComputedStyle(this.root).fontFamily}`;
    pen.textBaseline = "middle";
    let last = -Infinity;
    for (const [start, end, name] of entries) {
      const from = Math.max(start, first), to = Math.min(end, first + shown);
      if (to - from <= 0) continue;
      const middle = (axis ? this.left : this.top) + ((from + to) / 2 - first) * cell;
      if (middle - last < 11) continue;
      last = middle;
      this.label(pen, name, axis, middle);
    }
    pen.globalAlpha = 0.6;
    pen.textAlign = "left";
    pen.fillText(axis ? `${this.data.column_title} →` : `${this.data.row_title} ↓`, axis ? this.left : 2, axis ? 8 : this.top - 10);
    pen.globalAlpha = 1;
  }

  label(pen, name, axis, middle) {
    const room = axis && this.flat ? this.cell[1] - 4 : (axis ? this.top - 22 : this.left) - 8;
    let text = name;
    while (text.length > 2 && pen.measureText(text).width > room) text = `${text.slice(0, -2).trimEnd()}…`.replace("……", "…");
    pen.save();
    if (axis && this.flat) { pen.textAlign = "center"; pen.fillText(text, middle, this.top - 9); }
    else if (axis) { pen.translate(middle, this.top - 5); pen.rotate(-Math.PI / 2); pen.textAlign = "left"; pen.fillText(text, 0, 0); }
    else { pen.textAlign = "right"; pen.fillText(text, this.left - 6, middle); }
    pen.restore();
  }

  drawCursor(pen, colour) {
    const { selected } = this.data;
    const outline = ([row, column], line) => {
      const x = this.left + (column - this.view.column) * this.cell[1];
      const y = this.top + (row - this.view.row) * this.cell[0];
      if (x < this.left - 1 || y < this.top - 1 || x > this.size.width || y > this.size.height) return;
      pen.strokeStyle = colour;
      pen.lineWidth = line;
      pen.strokeRect(x - 1, y - 1, Math.max(this.cell[1], 3) + 2, Math.max(this.cell[0], 3) + 2);
    };
    if (selected) outline(selected, 2.5);
    if (this.walking) outline(this.cursor, 1.5);
  }

  cellAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor(this.view.column + (event.clientX - box.left - this.left) / this.cell[1]);
    const row = Math.floor(this.view.row + (event.clientY - box.top - this.top) / this.cell[0]);
    const inside = event.clientX - box.left >= this.left && event.clientY - box.top >= this.top;
    return inside && row >= 0 && column >= 0 && row < this.data.rows.length && column < this.data.columns.length ? [row, column] : null;
  }

  explain(cell) {
    if (!cell) { this.tip.style.display = "none"; return; }
    const [row, column] = cell;
    const { data } = this;
    const value = this.values[row * data.columns.length + column];
    this.tip.replaceChildren(
      element("b", "", `${formatted(data, value)} ${data.unit}`),
      element("span", "", `${data.row_title} ${data.rows[row]} · ${data.column_title} ${data.columns[column]}`),
    );
    this.tip.style.display = "block";
    const x = this.left + (column + 1 - this.view.column) * this.cell[1];
    const y = this.top + (row - this.view.row) * this.cell[0];
    this.tip.style.left = `${clamp(x + 8, 0, Math.max(0, this.size.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${Math.max(0, y - this.tip.offsetHeight - 6)}px`;
  }

  choose(cell) {
    this.cursor = cell;
    this.data.selected = cell;
    this.draw();
    this.send(cell);
  }

  listen() {
    const { canvas } = this;
    let drag = null;
    canvas.onpointerdown = (event) => { drag = { x: event.clientX, y: event.clientY, row: this.view.row, column: this.view.column, moved: false }; };
    canvas.onpointermove = (event) => {
      if (drag && event.buttons === 1) {
        const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
        if (Math.abs(dx) + Math.abs(dy) > 4) drag.moved = true;
        if (drag.moved) {
          this.view.row = drag.row - dy / this.cell[0];
          this.view.column = drag.column - dx / this.cell[1];
          this.keepInside();
          this.draw();
        }
      }
      this.explain(this.cellAt(event));
    };
    canvas.onpointerleave = () => { this.explain(null); drag = null; };
    canvas.onpointerup = (event) => {
      const cell = this.cellAt(event);
      if (drag && !drag.moved && cell) { this.walking = false; this.choose(cell); }
      drag = null;
    };
    canvas.ondblclick = (event) => { const cell = this.cellAt(event); if (cell) this.zoom(0.5, cell[0] + 0.5, cell[1] + 0.5); };
    canvas.onkeydown = (event) => this.key(event);
    canvas.onblur = () => { this.walking = false; this.explain(null); if (this.data) this.draw(); };
  }

  key(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (step) {
      const stride = event.shiftKey ? 10 : 1;
      this.cursor = [
        clamp(this.cursor[0] + stride * step[0], 0, this.data.rows.length - 1),
        clamp(this.cursor[1] + stride * step[1], 0, this.data.columns.length - 1),
      ];
      this.walking = true;
      this.draw();
      this.explain(this.cursor);
      this.spoken.textContent = this.tip.textContent;
    } else if (event.key === "Enter") this.choose([...this.cursor]);
    else if (event.key === "+" || event.key === "=") this.zoom(0.6, this.cursor[0], this.cursor[1]);
    else if (event.key === "-") this.zoom(1 / 0.6);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

export default function ({ data: packed, parentElement, setTriggerValue }) {
  const data = unpack(packed);
  const view = viewOf(parentElement, "matrix", MatrixView);
  view.send = ([row, column]) => setTriggerValue("cell", { row, column });
  const dark = markTheme(view.root);
  const shown = `${data.identity}${dark}${JSON.stringify(data.selected)}`;
  if (view.shown === shown) return;
  view.shown = shown;
  view.show(data, dark);
}
