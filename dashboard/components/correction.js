// Cells taken out of two maps, strongest difference first, and the scores that are left. See correction.py for `data`.
class AnatomyView {
  constructor(root) {
    this.root = root;
    this.panels = element("div", "panels");
    this.faces = ["prediction", "against", "difference"].map((kind) => {
      const figure = element("figure", kind);
      const frame = element("div", "frame");
      const canvas = element("canvas");
      const caption = element("figcaption");
      frame.append(canvas);
      figure.append(frame, caption);
      this.panels.append(figure);
      return { canvas, caption, frame };
    });
    this.photo = new Image();
    this.photo.onload = () => this.draw();
    this.buildSlider();
    this.bars = ["prediction", "true_class", "neutral"].map((role) => this.buildBar(role));
    this.verdict = element("p", "verdict");
    this.verdict.setAttribute("aria-live", "polite");
    this.legend = element("div", "legend");
    const scores = element("div", "scores");
    scores.append(...this.bars.map((bar) => bar.row));
    const side = element("div", "side");
    side.append(this.slider, scores, this.verdict);
    root.append(this.panels, side, this.legend);
  }

  buildSlider() {
    this.slider = element("div", "slider");
    const label = element("label");
    this.count = element("b", "number");
    this.range = element("input");
    this.range.type = "range";
    this.range.min = 0;
    label.append(element("span", "", "cells taken out of every map "), this.count, this.range);
    this.marks = element("div", "marks");
    this.fix = element("button", "");
    this.none = element("button", "", "none");
    for (const made of [this.fix, this.none]) made.type = "button";
    const row = element("div", "controls");
    row.append(this.none, this.fix);
    const veil = element("label", "veil");
    this.opacity = element("input");
    this.opacity.type = "range";
    this.opacity.min = 0;
    this.opacity.max = 100;
    this.opacity.value = 72;
    this.opacity.setAttribute("aria-label", "opacity of the difference over the image");
    veil.append(element("span", "", "image"), this.opacity, element("span", "", "difference"));
    row.append(veil);
    this.slider.append(label, this.marks, row);
    this.range.oninput = () => this.draw();
    this.range.onchange = () => this.rest();
    this.opacity.oninput = () => this.draw();
    this.fix.onclick = () => this.jump(this.data.fewest);
    this.none.onclick = () => this.jump(0);
  }

  buildBar(role) {
    const row = element("div", `score ${role}`);
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
    this.rest();
  }

  rest() {
    const cells = Number(this.range.value);
    if (cells === this.told) return;
    this.told = cells;
    this.send(cells);
  }

  show(data) {
    this.data = data;
    this.maps = decode(data.maps);
    this.difference = decode(data.difference);
    this.table = decode(data.table);
    this.scores = new Float32Array(decode(data.scores).buffer);
    const cells = data.height * data.width;
    this.range.max = cells;
    this.range.value = this.told = data.start;
    this.fix.textContent = `k* = ${data.fewest}`;
    this.fix.title = "the fewest cells that undo the prediction";
    const end = (share) => `${(100 * share) / cells}%`;
    const mark = element("span", "mark");
    mark.style.left = end(data.low);
    mark.style.width = end(Math.max(data.high - data.low, 0));
    this.marks.replaceChildren(mark);
    const [prediction, against] = [data.names[data.prediction], data.names[data.against]];
    [`map of ${prediction}`, `map of ${against}`, `${prediction} − ${against}`].forEach((text, at) => {
      this.faces[at].caption.textContent = text;
      this.faces[at].caption.title = text;
      this.faces[at].canvas.setAttribute("aria-label", text);
      this.faces[at].canvas.setAttribute("role", "img");
    });
    let low = 0, high = 0;
    for (const score of this.scores) { low = Math.min(low, score); high = Math.max(high, score); }
    this.span = [low, high > low ? high : low + 1];
    const label = `difference of the maps, logits: orange speaks for ${prediction}, blue for ${against}; both maps by one common maximum`;
    drawLegend(this.legend, { legend: { low: `−${data.reach}`, high: data.reach, label } }, this.signedTable());
    this.photo.src = data.photo.uri;
    this.draw();
  }

  draw() {
    const { data } = this;
    if (!data) return;
    const out = Number(this.range.value);
    const gone = new Set(data.order.slice(0, out));
    this.count.textContent = `${out} of ${data.order.length}`;
    this.range.setAttribute("aria-valuetext", `${out} cells taken out`);
    const cells = data.height * data.width;
    this.face(0, gone, (pen) => this.cells(pen, this.maps, 0, this.table));
    this.face(1, gone, (pen) => this.cells(pen, this.maps, cells, this.table));
    this.face(2, gone, (pen, width, height) => {
      if (this.photo.complete && this.photo.naturalWidth) pen.drawImage(this.photo, 0, 0, width, height);
      this.veil(pen, this.opacity.value / 100);
    });
    this.tell(out);
    this.root.dataset.painted = data.identity;
    this.root.dataset.cells = out;
  }

  face(at, gone, paint) {
    const { canvas } = this.faces[at];
    const { height, width, order } = this.data;
    this.cell = Math.max(6, Math.floor(384 / Math.max(height, width)));
    canvas.width = width * this.cell;
    canvas.height = height * this.cell;
    const pen = canvas.getContext("2d");
    paint(pen, canvas.width, canvas.height);
    const dark = this.root.classList.contains("dark");
    for (const cell of order) if (gone.has(cell)) this.strike(pen, cell, dark);
  }

  cells(pen, codes, offset, table) {
    const { height, width } = this.data;
    for (let cell = 0; cell < height * width; cell += 1) {
      const entry = codes[offset + cell] * 3;
      pen.fillStyle = `rgb(${table[entry]},${table[entry + 1]},${table[entry + 2]})`;
      pen.fillRect((cell % width) * this.cell, Math.floor(cell / width) * this.cell, this.cell, this.cell);
    }
  }

  // The difference over the image: the more a cell speaks for either side, the less of the image shows through.
  veil(pen, opacity) {
    const { height, width } = this.data;
    for (let cell = 0; cell < height * width; cell += 1) {
      const share = (this.difference[cell] - 128) / 127;
      const [red, green, blue] = this.sides[share > 0 ? 1 : 0];
      pen.fillStyle = `rgb(${red} ${green} ${blue} / ${opacity * Math.sqrt(Math.abs(share))})`;
      pen.fillRect((cell % width) * this.cell, Math.floor(cell / width) * this.cell, this.cell, this.cell);
    }
  }

  // Truth's blue to prediction's orange through the page's own ground.
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

  // A cell that is out: gray and crossed, so that it is told apart without colour.
  strike(pen, cell, dark) {
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

  tell(out) {
    const { data } = this;
    const [low, high] = this.span;
    const zero = (-low / (high - low)) * 100;
    const who = [data.prediction, data.against, data.other[out]];
    const winner = data.winners[out];
    this.bars.forEach((bar, at) => {
      bar.row.style.display = who[at] < 0 ? "none" : "";
      if (who[at] < 0) return;
      const score = this.scores[out * 3 + at];
      const length = (Math.abs(score) / (high - low)) * 100;
      bar.name.textContent = `${who[at] === winner ? "► " : ""}${data.names[who[at]]}`;
      bar.name.title = data.names[who[at]];
      bar.fill.style.left = `${score < 0 ? zero - length : zero}%`;
      bar.fill.style.width = `${length}%`;
      bar.value.textContent = `S ${number(score)}`;
      bar.row.classList.toggle("wins", who[at] === winner);
    });
    const name = data.names[winner];
    const third = winner !== data.prediction && winner !== data.against;
    const [prediction, against] = [data.names[data.prediction], data.names[data.against]];
    this.verdict.textContent = winner === data.prediction
      ? `${prediction} wins.`
      : third
        ? `${against} ${out >= data.fewest ? `has caught up with ${prediction}, but ` : "is still behind, and "}a third class, ${name}, wins.`
        : `${against} wins${data.true_class && data.wrong ? ": the mistake is undone" : ""}.`;
  }
}

export default function ({ data: packed, parentElement, setTriggerValue }) {
  const data = unpack(packed);
  const root = rootOf(parentElement, "correction");
  const dark = markTheme(root);
  root.view = root.view || new AnatomyView(root);
  root.view.send = (cells) => setTriggerValue("cells", cells);
  // The prediction to where the slider came to rest must not pull it back from where it has been taken since.
  const shown = `${data.identity}.${dark}`;
  if (root.shown === shown && root.view.told === data.start) return;
  root.shown = shown;
  root.view.show(data);
}
