// Watches a page of the dashboard from the next press of the pointer (or, with `loading`, from the start of loading)
// until it is complete and then quiet. Resolves with the milliseconds to the last frame that changed something, and
// with what was still missing if that never came.
({ title, caption, loading, quiet, limit }) => {
  const all = (selector) => [...document.querySelectorAll(`[data-testid=stMain] ${selector}`)];
  const sized = (node) => node.getClientRects().length > 0;
  const inView = (node) => {
    const box = node.getBoundingClientRect();
    return box.width > 0 && box.bottom > 0 && box.top < window.innerHeight;
  };
  const painted = (host) => {
    const root = host.shadowRoot || host;
    return [...root.querySelectorAll("*")].some((node) => node.dataset && node.dataset.painted);
  };

  // What a complete page has; each entry names what is missing. Streamlit draws a table only when it is in view.
  const missing = () => {
    const app = document.querySelector("[data-testid=stApp]");
    const heading = all("h1").map((node) => node.textContent.trim());
    return [
      [app && app.dataset.testScriptState === "notRunning", "end of the script"],
      [heading.includes(title), `title ${title}`],
      [!caption || all("[data-testid=stCaptionContainer]").some((node) => node.textContent.includes(caption)), caption],
      [!all('[data-stale="true"]').some(sized), "new elements"],
      [!all("[data-testid=stSkeleton]").some(sized), "elements behind skeletons"],
      [all("[data-testid^=stBidiComponent]").filter(sized).every(painted), "own components"],
      [all("[data-testid=stVegaLiteChart]").filter(sized).every((node) => node.querySelector("svg, canvas")), "charts"],
      [all("[data-testid=stDataFrame]").filter(inView).every((node) => node.querySelector("canvas")), "tables"],
      [all("img").filter(sized).every((image) => image.complete), "images"],
    ].filter(([holds]) => !holds).map(([, name]) => name);
  };

  return new Promise((resolve) => {
    const opened = performance.now();
    let origin = loading ? 0 : null, changed = opened, shown = opened, complete = false;
    const mark = () => {
      changed = performance.now();
      requestAnimationFrame(() => setTimeout(() => { shown = performance.now(); }));
    };
    document.addEventListener("pointerdown", (event) => { origin = event.timeStamp; mark(); }, { capture: true, once: true });
    const observer = new MutationObserver((records) => {
      if (records.some(({ target }) => target.getRootNode() !== document || target.closest?.("[data-testid=stMain]"))) mark();
    });
    const watched = new WeakSet();
    const watch = (node) => {
      if (watched.has(node)) return;
      watched.add(node);
      observer.observe(node, { subtree: true, childList: true, attributes: true, characterData: true });
      mark();
    };
    watch(document.body);
    const finish = (lacking) => {
      observer.disconnect();
      resolve({ milliseconds: shown - origin, missing: lacking });
    };
    const look = () => {
      const now = performance.now();
      for (const host of all("[data-testid^=stBidiComponent]")) if (host.shadowRoot) watch(host.shadowRoot);
      const lacking = origin === null ? ["the click"] : missing();
      if (complete !== (lacking.length === 0)) { complete = !complete; mark(); }
      if (complete && shown >= changed && now - changed > quiet) finish([]);
      else if (now - opened > limit) finish(lacking.length ? lacking : ["a quiet page"]);
      else setTimeout(look, 20);
    };
    look();
  });
}
