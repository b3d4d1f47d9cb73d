// Cells removed from two maps, largest difference first, and the logits that remain. See correction.py for `data`.
class CorrectionView {
  constructor(root) {
    this.root = root;
    const panels = element("div", "panels");
    this.panels = ["prediction", "against", "difference"].map((kind) => {
      const figure = element("figure", kind);
      const frame = element("div", "frame");
      const canvas = element("canvas");
      const caption = element("figcaption");
      frame.append(canvas);
      figure.append(frame, caption);
      panels.append(figure);
      return { canvas, caption, frame };
    });
    this.photo = new Image();
    this.photo.onload = () => this.draw();
    this.buildSlider();
    this.bars = ["prediction", "true_class", "neutral"].map((role) => this.buildBar(role));
    this.outcome = element("p", "outcome");
    this.outcome.setAttribute("aria-live", "polite");
    this.legend = element("div", "legend");
    const logits = element("div", "logits");
    logits.append(...this.bars.map((bar) => bar.row));
    const side = element("div", "side");
    side.append(this.slider, logits, this.outcome);
    root.append(panels, side, this.legend);
  }

  buildSlider() {
    this.slider = element("div", "slider");
    const label = element("label");
    this.count = element("b", "number");
    this.range = slider("", 0, 0);
    label.append(element("span", "", "cells removed from every map "), this.count, this.range);
    this.marks = element("div", "marks");
    this.fewest = button("", () => this.jump(this.data.fewest));
    this.opacity = slider("", 100, 72, "opacity of the difference over the image");
    const tint = element("label", "tint");
    tint.append(element("span", "", "image"), this.opacity, element("span", "", "difference"));
    const row = element("div", "controls");
    row.append(button("none", () => this.jump(0)), this.fewest, tint);
    this.slider.append(label, this.marks, row);
    this.range.oninput = () => this.draw();
    this.range.onchange = () => this.report();
    this.opacity.oninput = () => this.draw();
  }

  buildBar(role) {
    const row = element("div", `logit ${role}`);
    const name = element("span", "name");
    const track = element("div", "track");
    const fill = element("i");
    track.append(fill);
    const value = element("span", "number");
    row.append(name, track, value);
    return { row, name, fill, value };
  }

  jump(cells) {
    this.range.value = cells;
    this.draw();
    this.report();
  }

  // Where the slider came to rest.
  report() {
    const cells = Number(this.range.value);
    if (cells === this.reported) return;
    this.reported = cells;
    this.send(cells);
  }

  show(data) {
    this.data = data;
    this.maps = decode(data.maps);
    this.difference = decode(data.difference);
    this.table = decode(data.table);
    this.logits = new Float32Array(decode(data.logits).buffer);
    const cells = data.height * data.width;
    this.range.max = cells;
    this.range.value = this.reported = data.start;
    this.fewest.textContent = `k* ${data.sign} ${data.fewest}`;
    this.fewest.title = "the fewest cells whose removal changes the prediction";
    const end = (share) => `${(100 * share) / cells}%`;
    const mark = element("span", "mark");
    mark.style.left = end(data.low);
    mark.style.width = end(Math.max(data.high - data.low, 0));
    this.marks.replaceChildren(mark);
    const [prediction, against] = [data.names[data.prediction], data.names[data.against]];
    [`map of ${prediction}`, `map of ${against}`, `${prediction} − ${against}`].forEach((text, at) => {
      this.panels[at].caption.textContent = text;
      this.panels[at].caption.title = text;
      this.panels[at].canvas.setAttribute("aria-label", text);
      this.panels[at].canvas.setAttribute("role", "img");
    });
    let low = 0, high = 0;
    for (const logit of this.logits) { low = Math.min(low, logit); high = Math.max(high, logit); }
    this.span = [low, high > low ? high : low + 1];
    const label = `difference of the maps, logits: orange supports ${prediction}, blue ${against}; both maps on one common scale`;
    drawLegend(this.legend, { legend: { low: `−${data.largest}`, high: data.largest, label } }, this.signedTable());
    this.photo.src = data.photo.uri;
    this.draw();
  }

  draw() {
    const { data } = this;
    if (!data) return;
    const out = Number(this.range.value);
    const gone = new Set(data.order.slice(0, out));
    this.count.textContent = `${out} of ${data.order.length}`;
    this.range.setAttribute("aria-valuetext", `${out} cells removed`);
    const cells = data.height * data.width;
    for (const at of [0, 1]) {
      this.drawPanel(at, gone, (pen) => fillCells(pen, data, this.cell, (cell) => rgb(this.table, this.maps[at * cells + cell])));
    }
    this.drawPanel(2, gone, (pen, width, height) => {
      if (this.photo.complete && this.photo.naturalWidth) pen.drawImage(this.photo, 0, 0, width, height);
      fillCells(pen, data, this.cell, (cell) => this.tint(cell));
    });
    this.drawLogits(out);
    this.root.dataset.painted = data.identity;
    this.root.dataset.cells = out;
  }

  drawPanel(at, gone, paint) {
    const { canvas } = this.panels[at];
    const { height, width, order } = this.data;
    this.cell = Math.max(6, Math.floor(384 / Math.max(height, width)));
    canvas.width = width * this.cell;
    canvas.height = height * this.cell;
    canvas.style.aspectRatio = `${this.data.photo.width} / ${this.data.photo.height}`;
    const pen = canvas.getContext("2d");
    paint(pen, canvas.width, canvas.height);
    const dark = this.root.classList.contains("dark");
    for (const cell of order) if (gone.has(cell)) this.crossOut(pen, cell, dark);
  }

  // The difference over the image: the more a cell supports either class, the less of the image shows through.
  tint(cell) {
    const share = (this.difference[cell] - 128) / 127;
    return [...this.sides[share > 0 ? 1 : 0], (this.opacity.value / 100) * Math.sqrt(Math.abs(share))];
  }

  // From the true class's blue to the prediction's orange through the page's background.
  signedTable() {
    const style = getComputedStyle(this.root);
    const parse = (name) => style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
    const [low, middle, high] = [parse("--true_class"), parse("--track"), parse("--prediction")];
    this.sides = [low, high];
    const table = new Uint8Array(768);
    for (let entry = 0; entry < 256; entry += 1) {
      const share = (entry - 128) / 127;
      const end = share > 0 ? high : low;
      const weight = Math.sqrt(Math.min(1, Math.abs(share)));
      for (let part = 0; part < 3; part += 1) table[entry * 3 + part] = middle[part] + (end[part] - middle[part]) * weight;
    }
    return table;
  }

  // A removed cell: gray and crossed, so that it can be seen without colour.
  crossOut(pen, cell, dark) {
    const x = (cell % this.data.width) * this.cell, y = Math.floor(cell / this.data.width) * this.cell;
    pen.fillStyle = dark ? "rgb(120 126 134 / .93)" : "rgb(172 178 186 / .95)";
    pen.fillRect(x, y, this.cell, this.cell);
    pen.strokeStyle = dark ? "rgb(30 34 40 / .8)" : "rgb(255 255 255 / .95)";
    pen.lineWidth = Math.max(1, this.cell / 18);
    pen.beginPath();
    pen.moveTo(x + this.cell * 0.28, y + this.cell * 0.28); pen.lineTo(x + this.cell * 0.72, y + this.cell * 0.72);
    pen.moveTo(x + this.cell * 0.72, y + this.cell * 0.28); pen.lineTo(x + this.cell * 0.28, y + this.cell * 0.72);
    pen.stroke();
  }

  drawLogits(out) {
    const { data } = this;
    const [low, high] = this.span;
    const zero = (-low / (high - low)) * 100;
    const who = [data.prediction, data.against, data.other[out]];
    const winner = data.winners[out];
    this.bars.forEach((bar, at) => {
      bar.row.style.display = who[at] < 0 ? "none" : "";
      if (who[at] < 0) return;
      const logit = this.logits[out * 3 + at];
      const length = (Math.abs(logit) / (high - low)) * 100;
      bar.name.textContent = `${who[at] === winner ? "► " : ""}${data.names[who[at]]}`;
      bar.name.title = data.names[who[at]];
      bar.fill.style.left = `${logit < 0 ? zero - length : zero}%`;
      bar.fill.style.width = `${length}%`;
      bar.value.textContent = `S ${number(logit)}`;
      bar.row.classList.toggle("wins", who[at] === winner);
    });
    this.outcome.textContent = this.outcomeAfter(out);
  }

  outcomeAfter(out) {
    const { data } = this;
    const winner = data.winners[out];
    const [prediction, against] = [data.names[data.prediction], data.names[data.against]];
    if (out === data.order.length) return "Nothing is left of either.";
    if (winner === data.prediction) return `${prediction} wins.`;
    if (winner === data.against) return `${against} wins${data.true_class && data.wrong ? ": the mistake is corrected" : ""}.`;
    const so = out >= data.fewest ? `has caught up with ${prediction}, but` : "is still behind, and";
    return `${against} ${so} a third class, ${data.names[winner]}, wins.`;
  }
}

export default function ({ data: packed, parentElement, setTriggerValue }) {
  const data = unpack(packed);
  const view = viewOf(parentElement, "correction", CorrectionView);
  const dark = markTheme(view.root);
  view.send = (cells) => setTriggerValue("cells", cells);
  // The echo of where the slider came to rest must not pull it back from where it has been moved since.
  const shown = `${data.identity}.${dark}`;
  if (view.shown === shown && view.reported === data.start) return;
  view.shown = shown;
  view.show(data);
}
