// A image from the clipboard, sent as a data address. See clipboard.py.
export default function ({ data, parentElement, setStateValue }) {
  const root = rootOf(parentElement, "clipboard");
  const say = (text) => { root.message.textContent = text; };
  const take = (file) => {
    if (file.size > data.most) { say(`That image has ${Math.round(file.size / 1e6)} MB; ${data.most / 1e6} are the most.`); return; }
    const reader = new FileReader();
    reader.onload = () => { setStateValue("image", reader.result); say("A image was pasted. Paste another one to replace it."); };
    reader.onerror = () => say("The image could not be read from the clipboard.");
    reader.readAsDataURL(file);
  };
  const pasted = (event) => {
    if (event.composedPath().some((node) => ["INPUT", "TEXTAREA"].includes(node.tagName))) return;
    const file = [...(event.clipboardData?.files || [])].find((each) => each.type.startsWith("image/"));
    if (!file) { say("There is no image in the clipboard: copy a image, not its address."); return; }
    event.preventDefault();
    take(file);
  };
  const ask = async () => {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((each) => each.startsWith("image/"));
        if (type) { take(await item.getType(type)); return; }
      }
      say("There is no image in the clipboard.");
    } catch {
      say("The browser does not hand out the clipboard: press Ctrl+V (⌘V) instead.");
    }
  };
  if (!root.message) {
    const button = element("button", "", "Paste a image");
    button.type = "button";
    root.message = element("span", "", "or press Ctrl+V (⌘V) anywhere on this page");
    root.message.setAttribute("aria-live", "polite");
    root.append(button, root.message);
    root.button = button;
  }
  root.button.onclick = ask;
  markTheme(root);
  document.addEventListener("paste", pasted);
  return () => document.removeEventListener("paste", pasted);
}
