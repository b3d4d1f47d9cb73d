// What every component shares. Concatenated in front of its script; nothing here touches the document outside it.
const decode = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

// Data travel as JSON in bytes (see `packed` in assets.py).
const unpack = (data) => JSON.parse(new TextDecoder().decode(data));

const element = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

// One root per mount; Streamlit calls the default export again whenever data or theme change.
const rootOf = (parent, className) => {
  let root = parent.querySelector(`.${className}`);
  if (!root) {
    root = element("div", className);
    parent.append(root);
  }
  return root;
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

// Codes (bytes) of one map, looked up in a 256-entry colour table, onto a canvas of one pixel per cell.
const paintCodes = (canvas, codes, offset, height, width, table) => {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let cell = 0; cell < width * height; cell += 1) {
    const entry = codes[offset + cell] * 3;
    image.data[cell * 4] = table[entry];
    image.data[cell * 4 + 1] = table[entry + 1];
    image.data[cell * 4 + 2] = table[entry + 2];
    image.data[cell * 4 + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
};

const gradient = (table) => {
  const stops = [];
  for (let step = 0; step <= 16; step += 1) {
    const entry = Math.min(255, step * 16) * 3;
    stops.push(`rgb(${table[entry]},${table[entry + 1]},${table[entry + 2]})`);
  }
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
    const columns = Math.max(1, tiles.findIndex((tile) => tile.offsetTop > top + 4)) || tiles.length;
    const perRow = tiles.some((tile) => tile.offsetTop > top + 4) ? columns : tiles.length;
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
// One that stays on its page is a button; one that leads nowhere is a image with its words.
const openTile = (tile, entry, send) => {
  if (entry.href) tile.href = entry.href;
  else tile.setAttribute("role", entry.open ? "button" : "img");
  if (!entry.href && entry.open) {
    tile.onkeydown = (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      send(entry.id);
    };
  }
  tile.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (entry.href || entry.open) send(entry.id);
  };
};
