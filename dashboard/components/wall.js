// The pattern of every class at every epoch, played and scrubbed in the browser. See wall.py for `data`.
class WallView {
  constructor(root) {
    this.root = root;
    this.controls = element("div", "controls");
    this.grid = element("div", "grid");
    this.legend = element("div", "legend");
    root.append(this.controls, this.grid, this.legend);
    walkWithArrows(this.grid);
    this.play = button("▶ play", () => (this.timer ? this.stop() : this.start()));
    this.scrub = slider("scrub", 0, 0, "epoch");
    this.scrub.oninput = () => { this.stop(); this.frame(Number(this.scrub.value)); };
    this.label = element("span", "epoch");
    const use = button("use this epoch on every page", () => this.sendEpoch(this.data.epochs[this.at]));
    this.controls.append(this.play, this.scrub, this.label, use);
  }

  start() {
    if (this.at >= this.data.epochs.length - 1) this.frame(0);
    this.play.textContent = "❚❚ pause";
    // A system set to less motion steps through the epochs, one a second.
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const pause = calm ? 1000 : Math.max(120, Math.min(700, 8000 / this.data.epochs.length));
    this.timer = setInterval(() => {
      if (this.at >= this.data.epochs.length - 1) this.stop();
      else this.frame(this.at + 1);
    }, pause);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = "▶ play";
  }

  show(data, open) {
    this.stop();
    this.data = data;
    this.codes = decode(data.codes);
    this.table = decode(data.table);
    this.shares = new Float32Array(decode(data.accuracy).buffer);
    this.root.style.setProperty("--tile", `${data.size}px`);
    this.root.style.setProperty("--aspect", data.width / data.height);
    this.scrub.max = data.epochs.length - 1;
    this.controls.style.display = data.epochs.length > 1 ? "" : "none";
    drawLegend(this.legend, data, this.table);
    this.tiles = data.tiles.map((entry, position) => this.tile(entry, position, open));
    const children = [];
    let group = null;
    this.tiles.forEach((tile, position) => {
      const heading = data.tiles[position].role;
      if (heading && heading !== group) { children.push(this.heading(heading)); group = heading; }
      children.push(tile.node);
    });
    this.grid.replaceChildren(...children);
    this.frame(data.start);
    this.root.dataset.painted = data.identity;
  }

  // A heading takes a second place where its longest word would not fit into one: words are never broken.
  heading(name) {
    const label = element("div", "group");
    label.append(element("span", "", name));
    label.title = name;
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `600 11px ${getComputedStyle(this.root).fontFamily}`;
    const widest = Math.max(...name.split(/\s+/).map((word) => pen.measureText(word).width));
    const lines = pen.measureText(name).width / (this.data.size - 14);
    if (widest > this.data.size - 14 || lines > 5) label.classList.add("wide");
    return label;
  }

  tile(entry, position, open) {
    const node = element("a", "tile");
    node.tabIndex = position === 0 ? 0 : -1;
    const canvas = element("canvas");
    const gauge = element("div", "gauge");
    const fill = element("i");
    gauge.append(fill);
    const line = element("span", "line");
    node.append(canvas, gauge, line, element("span", "title", entry.title));
    node.title = entry.title;
    node.dataset.id = entry.id;
    node.classList.toggle("chosen", entry.chosen);
    openTile(node, entry, open);
    return { node, canvas, fill, line };
  }

  frame(at) {
    const { data } = this;
    this.at = at;
    this.scrub.value = at;
    this.label.textContent = `epoch ${data.names[at]}`;
    const cells = data.height * data.width;
    this.tiles.forEach((tile, position) => {
      const place = at * data.classes + data.tiles[position].maps[0];
      paintCodes(tile.canvas, this.codes, place * cells, data.height, data.width, this.table);
      const share = this.shares[place];
      tile.fill.style.width = `${100 * share}%`;
      tile.line.textContent = percent(share, 0);
    });
  }
}

export default function ({ data: packed, parentElement, setTriggerValue }) {
  const data = unpack(packed);
  const view = viewOf(parentElement, "wall", WallView);
  markTheme(view.root);
  view.sendEpoch = (epoch) => setTriggerValue("epoch", epoch);
  view.send = (id) => setTriggerValue("open", id);
  if (view.shown !== data.identity) {
    view.shown = data.identity;
    view.show(data, (id) => view.send(id));
  }
  return () => view.stop();
}
