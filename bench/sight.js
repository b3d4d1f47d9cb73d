// Watches from the next press of the pointer or a key until enough tiles are painted in sight. Resolves with the
// milliseconds until the frame that shows them; a minute later with null.
({ scope, heading, tiles, limit }) => {
  const roots = () => [...document.querySelectorAll(scope)];
  const hosts = () => roots().flatMap((root) => [...root.querySelectorAll("[data-testid^=stBidiComponent]")]);
  const inSight = (node) => {
    const box = node.getBoundingClientRect();
    return box.width > 0 && box.top >= 0 && box.bottom <= window.innerHeight;
  };
  const fresh = (node) => !node.closest('[data-stale="true"]');
  const shown = (host) => [...(host.shadowRoot || host).querySelectorAll(".tile .parts")].filter(inSight);
  const ready = () => roots().length > 0
    && (!heading || roots().some((root) => [...root.querySelectorAll("h1, h2, h3, p")].some((node) => fresh(node) && node.textContent.includes(heading))))
    && hosts().filter(fresh).flatMap(shown).length >= tiles;
  return new Promise((resolve) => {
    let origin = null;
    const start = (event) => { origin ??= event.timeStamp; };
    document.addEventListener("pointerdown", start, { capture: true, once: true });
    document.addEventListener("keydown", start, { capture: true, once: true });
    const opened = performance.now();
    const look = () => {
      if (origin !== null && ready()) requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - origin)));
      else if (performance.now() - opened > limit) resolve(null);
      else requestAnimationFrame(look);
    };
    look();
  });
}
