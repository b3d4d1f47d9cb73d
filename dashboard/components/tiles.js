// A grid of tiles: a photograph, its class maps, a caption. See tiles.py for what `data` holds.
const drawPhoto = (canvas, image, atlas, row) => {
  canvas.width = atlas.width;
  canvas.height = atlas.height;
  canvas.getContext("2d").drawImage(
    image, (row % atlas.columns) * atlas.width, Math.floor(row / atlas.columns) * atlas.height,
    atlas.width, atlas.height, 0, 0, atlas.width, atlas.height,
  );
};

const overlayControls = (controls, root) => {
  if (controls.childElementCount) return;
  const box = element("input");
  box.type = "checkbox";
  const opacity = slider("", 100, 50, "opacity of the maps over the images");
  const over = element("label");
  over.append(box, element("span", "", "maps over the images"));
  controls.append(over, opacity);
  const apply = () => {
    root.classList.toggle("over", box.checked);
    opacity.style.visibility = box.checked ? "visible" : "hidden";
    root.style.setProperty("--alpha", opacity.value / 100);
  };
  box.onchange = apply;
  opacity.oninput = apply;
  root.startOver = (over) => { box.checked = over; apply(); };
};

// `layer`: a set of maps with its bytes, colour table and readout.
const mapPart = (layer, row) => {
  const { bytes, table, readout } = layer;
  const { height, width, peaks, marks, full, signed, ends } = layer.maps;
  const part = element("span", "part map");
  const canvas = element("canvas");
  if (marks[row] !== "not kept") paintCodes(canvas, bytes, row * height * width, height, width, table);
  part.append(canvas);
  if (marks[row]) part.append(element("span", "mark", marks[row]));
  const peak = peaks[row];
  canvas.onpointermove = (event) => {
    if (marks[row]) return void (readout.textContent = marks[row] === "silent" ? "silent: zero everywhere" : "the run does not keep this map");
    const [row_, column] = cellUnder(canvas, event, layer.maps);
    const [y, x] = [clamp(row_, 0, height - 1), clamp(column, 0, width - 1)];
    const code = bytes[row * height * width + y * width + x];
    const share = signed ? (code - 128) / 127 : code / 255;
    const value = ends ? ends[row][0] + share * (ends[row][1] - ends[row][0]) : share * (full === null ? peak : full);
    readout.textContent = `cell y ${y}, x ${x}: ${number(value)} (map's peak ${number(peak)})`;
  };
  canvas.onpointerleave = () => { readout.textContent = ""; };
  return part;
};

// Maps with what it takes to draw them, and their legend; null where the grid has none.
const layerOf = (maps, encodedTable, legend, place) => {
  place.style.display = maps ? "" : "none";
  if (!maps) return null;
  const table = decode(encodedTable);
  return { maps, table, bytes: decode(maps.codes), readout: drawLegend(place, { legend }, table) };
};

const buildTile = (entry, layers, photos, root) => {
  const tile = element("a", "tile");
  const parts = element("span", "parts");
  for (const row of entry.images) {
    const part = element("span", "part");
    const canvas = element("canvas");
    part.append(canvas);
    parts.append(part);
    photos.push([canvas, row]);
  }
  for (const row of entry.maps) parts.append(mapPart(layers.maps, row));
  for (const row of entry.differences) parts.append(mapPart(layers.differences, row));
  root.marking.attach(tile, parts, entry);
  tile.append(parts);
  if (entry.bar === null) tile.append(element("div", `rule ${entry.role}`));
  else {
    const bar = element("div", `bar ${entry.role}`);
    const fill = element("i");
    fill.style.width = `${Math.max(1, 100 * entry.bar)}%`;
    bar.append(fill);
    tile.append(bar);
  }
  tile.append(element("span", "title", entry.title));
  // A number stays in one line with a short word before it: "P 0.96"; with a long one it would be broken in itself.
  for (const line of entry.lines) {
    tile.append(element("span", "line", line.replace(/(?<=(?:^|\s)\S{1,3}) (?=[<>+−]?\d)/g, "\u00a0")));
  }
  tile.title = [entry.title, ...entry.lines, ...entry.marks.map((mark) => `marked “${mark}”`)].join("\n");
  tile.classList.toggle("chosen", entry.chosen);
  tile.dataset.id = entry.id;
  openTile(tile, entry, (id) => root.send(id));
  return tile;
};

// New tiles take the place of the old: the keyboard stays on the tile that had it, and after a click it goes to the
// panel around the grid, if there is one, whose keys would otherwise be lost with the old tile.
const replaceTiles = (root, built) => {
  const old = root.getRootNode().activeElement;
  const [within, byKey] = [root.grid.contains(old), old?.matches(":focus-visible")];
  root.grid.replaceChildren(...built);
  if (!within) return;
  if (byKey) (built.find((tile) => tile.dataset.id === old.dataset.id) || built[0])?.focus();
  else root.getRootNode().host?.closest("[role=dialog]")?.focus();
};

export default function ({ data: packed, parentElement, setTriggerValue }) {
  const data = unpack(packed);
  const root = rootOf(parentElement, "tiles");
  if (!root.grid) {
    root.controls = element("div", "controls");
    root.grid = element("div", "grid");
    root.legend = element("div", "legend");
    root.second = element("div", "legend second");
    root.marking = new Marking(root, (request) => root.sendMark(request));
    root.append(root.controls, root.marking.bar, root.grid, root.legend, root.second, root.marking.spoken);
    walkWithArrows(root.grid);
  }
  markTheme(root);
  root.send = (id) => setTriggerValue("open", id);
  root.sendMark = (request) => setTriggerValue("mark", request);
  if (root.shown === data.identity) return;
  root.shown = data.identity;
  root.classList.toggle("fixed", data.fixed);
  root.style.setProperty("--tile", `${data.tile}px`);
  root.style.setProperty("--aspect", data.aspect);
  // Two to a row on a phone, unless three or more parts with a photograph among them would become too small.
  root.style.setProperty("--most", data.parts > (data.atlas ? 2 : 3) ? "100%" : "calc(50% - 6px)");
  const layers = {
    maps: layerOf(data.maps, data.table, data.legend, root.legend),
    differences: layerOf(data.differences, data.difference_table, data.difference_legend, root.second),
  };
  if (data.overlay === null) root.controls.replaceChildren();
  else { overlayControls(root.controls, root); if (root.overlay !== data.overlay) root.startOver(data.overlay); }
  root.overlay = data.overlay;
  const photos = [];
  root.marking.show(data.marking, data.tiles);
  const built = data.tiles.map((entry) => buildTile(entry, layers, photos, root));
  built.forEach((tile, position) => { tile.tabIndex = position === 0 ? 0 : -1; });
  root.dataset.painted = "";
  const done = () => { replaceTiles(root, built); root.dataset.painted = data.identity; };
  if (!photos.length) { done(); return; }
  const image = new Image();
  image.onload = () => { for (const [canvas, row] of photos) drawPhoto(canvas, image, data.atlas, row); done(); };
  image.src = data.atlas.uri;
}
