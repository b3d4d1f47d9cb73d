// Marks on tiles: which tiles are selected, and the bar that marks them all. Nothing is sent before a mark is chosen.
class Marking {
  constructor(root, send) {
    this.root = root;
    this.send = send;
    this.selected = new Set();
    this.last = null; // where a range begins
    this.bar = element("div", "controls marking");
    this.bar.setAttribute("role", "group");
    this.bar.setAttribute("aria-label", "mark the selected images");
    this.spoken = announcer();
  }

  // `words`: the marks that are offered; null where nobody may mark.
  show(words, tiles) {
    this.words = words;
    this.entries = new Map(tiles.map((entry) => [entry.id, entry]));
    this.selected = new Set([...this.selected].filter((id) => this.entries.has(id)));
    this.drawBar();
  }

  // Badges of the marks that an image has, and where marking is allowed the sign that selects it.
  attach(tile, parts, entry) {
    if (entry.marks.length) parts.append(element("span", "badge", entry.marks.join(", ")));
    if (!this.words) return;
    const sign = element("span", "select");
    sign.title = "Select this image to mark it (key x; Shift selects up to here)";
    sign.setAttribute("aria-hidden", "true");
    sign.onclick = (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.toggle(entry.id, event.shiftKey);
    };
    tile.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() !== "x" || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      this.toggle(entry.id, event.shiftKey);
    });
    parts.append(sign);
    tile.setAttribute("aria-keyshortcuts", "x");
    tile.classList.toggle("selected", this.selected.has(entry.id));
  }

  toggle(id, range) {
    const ids = [...this.entries.keys()];
    const select = !this.selected.has(id);
    const [from, to] = [ids.indexOf(range && this.last ? this.last : id), ids.indexOf(id)].sort((a, b) => a - b);
    for (const each of ids.slice(Math.max(from, 0), to + 1)) this.selected[select ? "add" : "delete"](each);
    this.last = id;
    this.draw();
  }

  draw() {
    for (const tile of this.root.grid.children) tile.classList.toggle("selected", this.selected.has(tile.dataset.id));
    this.drawBar();
    this.spoken.textContent = this.selected.size ? `${this.selected.size} selected` : "none selected";
  }

  drawBar() {
    const there = Boolean(this.words && this.selected.size);
    this.bar.style.display = there ? "" : "none";
    if (!there) return this.bar.replaceChildren();
    const typed = [...this.bar.querySelectorAll("input")].map((input) => input.value);
    const chosen = [...this.selected].map((id) => this.entries.get(id).marks);
    const words = [...new Set([...this.words, ...chosen.flat()])];
    const field = (label, length, value) => {
      const input = element("input");
      Object.assign(input, { type: "text", placeholder: label, maxLength: length, value: value || "" });
      input.setAttribute("aria-label", label);
      return input;
    };
    const [own, note] = [field("own words", 60, typed[0]), field("note (optional)", 2000, typed[1])];
    own.className = "own";
    own.onkeydown = (event) => { if (event.key === "Enter" && own.value.trim()) this.mark(own.value, note.value, false); };
    const buttons = words.map((word) => {
      const all = chosen.every((marks) => marks.includes(word));
      const node = button(word, () => this.mark(word, note.value, all && !note.value.trim()));
      node.setAttribute("aria-pressed", all);
      node.title = all ? `Remove “${word}” from the selected images` : `Mark the selected images as “${word}”`;
      return node;
    });
    const everything = button("select all here", () => { for (const id of this.entries.keys()) this.selected.add(id); this.draw(); });
    const nothing = button("none", () => { this.selected.clear(); this.draw(); }, "select none");
    this.bar.replaceChildren(
      element("strong", "", `${this.selected.size} selected`), everything, nothing, element("span", "gap"), ...buttons, own, note,
    );
    return undefined;
  }

  mark(word, note, remove) {
    this.send({ images: [...this.selected], mark: word.trim(), note: note.trim(), remove });
    this.selected.clear();
    for (const input of this.bar.querySelectorAll("input")) input.value = "";
    this.draw();
  }
}
