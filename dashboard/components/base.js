// What every component shares. Concatenated in front of its script; nothing here touches the document outside it.
const decode = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

// Data travel as JSON in bytes (see `to_json` in assets.py).
const unpack = (data) => JSON.parse(new TextDecoder().decode(data));

const element = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};

const button = (text, act, label) => {
  const node = element("button", "", text);
  node.type = "button";
  if (label) node.setAttribute("aria-label", label);
  node.onclick = act;
  return node;
};

const slider = (className, max, value, label) => {
  const node = element("input", className);
  node.type = "range";
  Object.assign(node, { min: 0, max, value });
  if (label) node.setAttribute("aria-label", label);
  return node;
};

// What a screen reader says after a key.
const announcer = () => {
  const node = element("div", "spoken");
  node.setAttribute("aria-live", "polite");
  return node;
};

// As `percent` of store/rates.py writes a share: 0 % and 100 % are exactly none and all.
const percent = (share, digits) => {
  const shown = (at) => (100 * Math.abs(share)).toFixed(at);
  let at = digits;
  while (share && Math.abs(share) !== 1 && at < 4 && [0, 100].includes(Number(shown(at)))) at += 1;
  return `${share < 0 ? "−" : ""}${shown(at)} %`;
};

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// One root per mount; Streamlit calls the default export again whenever data or theme change.
const rootOf = (parent, className) => {
  let root = parent.querySelector(`.${className}`);
  if (!root) {
    root = element("div", className);
    parent.append(root);
  }
  return root;
};

const viewOf = (parent, className, View) => {
  const root = rootOf(parent, className);
  root.view = root.view || new View(root);
  return root.view;
};

// Light or dark is read from the page itself: the server may not know it yet.
const markTheme = (root) => {
  const probe = element("span");
  probe.style.color = "var(--st-background-color)";
  root.append(probe);
  const [red, green, blue] = (getComputedStyle(probe).color.match(/[\d.]+/g) || [255, 255, 255]).map(Number);
  probe.remove();
  const dark = 0.299 * red + 0.587 * green + 0.114 * blue < 128;
  root.classList.toggle("dark", dark);
  return dark;
};

const rgb = (table, code) => [table[code * 3], table[code * 3 + 1], table[code * 3 + 2]];

// Every cell of a map as a square of `size` pixels in the colour [red, green, blue, opacity] that `colour` gives it.
const fillCells = (pen, { height, width }, size, colour) => {
  for (let cell = 0; cell < height * width; cell += 1) {
    const [red, green, blue, opacity = 1] = colour(cell);
    pen.fillStyle = `rgb(${red} ${green} ${blue} / ${opacity})`;
    pen.fillRect((cell % width) * size, Math.floor(cell / width) * size, size, size);
  }
};

// A canvas of a size in CSS pixels, as sharp as the screen: returns its pen, which counts in CSS pixels, too.
const sharpPen = (canvas, width, height) => {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return pen;
};

// A view with `zoom` and `fit` gets buttons for them; its canvas zooms with the wheel while Ctrl or Cmd is held, at the
// place under the pointer, which `under` gives as the further arguments of `zoom`.
const zoomable = (view, canvas, under, whole) => {
  view.controls.append(
    button("+", () => view.zoom(0.6), "zoom in"),
    button("−", () => view.zoom(1 / 0.6), "zoom out"),
    button("fit", () => view.fit(), whole),
  );
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    view.zoom(event.deltaY > 0 ? 1.25 : 0.8, ...under(event));
  }, { passive: false });
};

// The cell [row, column] of a canvas under the pointer, which may lie outside.
const cellUnder = (canvas, event, { height, width }) => {
  const box = canvas.getBoundingClientRect();
  return [
    Math.floor(((event.clientY - box.top) / box.height) * height),
    Math.floor(((event.clientX - box.left) / box.width) * width),
  ];
};

// Codes (bytes) of one map, looked up in a 256-entry colour table, onto a canvas of one pixel per cell.
const paintCodes = (canvas, codes, offset, height, width, table) => {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let cell = 0; cell < width * height; cell += 1) {
    image.data.set([...rgb(table, codes[offset + cell]), 255], cell * 4);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
};

const gradient = (table) => {
  const stops = [];
  for (let code = 0; code <= 256; code += 16) stops.push(`rgb(${rgb(table, Math.min(255, code))})`);
  return `linear-gradient(to right, ${stops.join(",")})`;
};

// The foot of every component: colour bar, what brightness means, and a readout of the cell under the pointer.
const drawLegend = (legend, data, table) => {
  legend.replaceChildren();
  if (data.legend) {
    const bar = element("span", "legend-bar");
    bar.style.background = gradient(table);
    legend.append(
      element("span", "number", data.legend.low), bar, element("span", "number", data.legend.high),
      element("span", "", data.legend.label),
    );
  }
  const readout = element("span", "readout");
  legend.append(readout);
  return readout;
};

const number = (value) =>
  Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 1 ? value.toFixed(2) : value.toFixed(3);

// Arrow keys walk through tiles laid out in rows; exactly one of them is a tab stop.
const walkWithArrows = (grid) => {
  grid.onkeydown = (event) => {
    const tiles = [...grid.children].filter((child) => child.classList.contains("tile"));
    const here = tiles.indexOf(event.target.closest(".tile"));
    if (here < 0) return;
    const top = tiles[0].offsetTop;
    const secondRow = tiles.findIndex((tile) => tile.offsetTop > top + 4);
    const perRow = secondRow < 0 ? tiles.length : secondRow;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: perRow, ArrowUp: -perRow }[event.key];
    const target = event.key === "Home" ? 0 : event.key === "End" ? tiles.length - 1 : here + (step || NaN);
    if (!tiles[target]) return;
    tiles[here].tabIndex = -1;
    tiles[target].tabIndex = 0;
    tiles[target].focus();
    event.preventDefault();
    event.stopPropagation();
  };
};

// A tile is a real link where it leads somewhere: a plain click stays in this session, any other opens a new tab.
// One that stays on its page is a button; one that leads nowhere is an image with a caption.
const openTile = (tile, entry, send) => {
  if (entry.href) tile.href = entry.href;
  else tile.setAttribute("role", entry.opens ? "button" : "img");
  if (!entry.href && entry.opens) {
    tile.onkeydown = (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      send(entry.id);
    };
  }
  tile.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (entry.href || entry.opens) send(entry.id);
  };
};
