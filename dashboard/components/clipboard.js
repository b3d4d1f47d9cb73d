// An image from the clipboard, sent as a data address. See clipboard.py.
export default function ({ data, parentElement, setStateValue }) {
  const root = rootOf(parentElement, "clipboard");
  const say = (text) => { root.message.textContent = text; };
  const readFile = (file) => {
    if (file.size > data.most_bytes) { say(`That image has ${Math.round(file.size / 1e6)} MB; at most ${data.most_bytes / 1e6} MB are accepted.`); return; }
    const reader = new FileReader();
    reader.onload = () => { setStateValue("image", reader.result); say("Image pasted. Paste another one to replace it."); };
    reader.onerror = () => say("The image could not be read from the clipboard.");
    reader.readAsDataURL(file);
  };
  const onPaste = (event) => {
    if (event.composedPath().some((node) => ["INPUT", "TEXTAREA"].includes(node.tagName))) return;
    const file = [...(event.clipboardData?.files || [])].find((each) => each.type.startsWith("image/"));
    if (!file) { say("There is no image in the clipboard: copy an image, not its address."); return; }
    event.preventDefault();
    readFile(file);
  };
  const readClipboard = async () => {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((each) => each.startsWith("image/"));
        if (type) { readFile(await item.getType(type)); return; }
      }
      say("There is no image in the clipboard.");
    } catch {
      say("The browser does not allow access to the clipboard: press Ctrl+V (⌘V) instead.");
    }
  };
  if (!root.message) {
    root.button = button("Paste an image");
    root.message = element("span", "", "or press Ctrl+V (⌘V) anywhere on this page");
    root.message.setAttribute("aria-live", "polite");
    root.append(root.button, root.message);
  }
  root.button.onclick = readClipboard;
  markTheme(root);
  document.addEventListener("paste", onPaste);
  return () => document.removeEventListener("paste", onPaste);
}
