// The page viewer: any button with data-document and data-page opens that page, with its quoted lines highlighted.
// Beside it, on demand, the passages that the page was cut into; focus on one outlines its lines.
// All text goes in through textContent, value or alt, never as HTML. Words come from ui/i18n.py (window.vademecumTexts).
(() => {
  "use strict";
  const texts = window.vademecumTexts;
  const ZOOMS = [1, 1.5, 2, 3];
  const state = { document: "", page: 0, pages: 0, cited: 0, boxes: "", quote: "", turn: 0, zoom: 0, shown: null };
  let dialog, parts;

  const language = () => (document.documentElement.lang.startsWith("zh") ? "zh" : "en");
  const say = (key, values = {}) =>
    texts[language()][key].replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
  const make = (tag, className, text = "") => {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    return element;
  };
  const button = (className, sign, act) => {
    const element = make("button", className, sign);
    element.type = "button";
    element.addEventListener("click", act);
    return element;
  };

  function build() {
    dialog = make("dialog", "vm-viewer");
    dialog.setAttribute("aria-labelledby", "vm-viewer-title");
    const title = make("h2", "vm-viewer-title");
    title.id = "vm-viewer-title";
    const where = make("p", "vm-viewer-where");
    where.setAttribute("aria-live", "polite");
    const number = make("input", "vm-number");
    Object.assign(number, { type: "number", min: 1, inputMode: "numeric" });
    number.addEventListener("change", () => goTo(Number(number.value)));
    const original = make("a", "vm-original");
    Object.assign(original, { target: "_blank", rel: "noopener noreferrer" });
    parts = {
      title,
      where,
      number,
      original,
      previous: button("vm-icon vm-previous", "‹", () => goTo(state.page - 1)),
      next: button("vm-icon vm-next", "›", () => goTo(state.page + 1)),
      smaller: button("vm-icon vm-zoom-out", "−", () => zoom(state.zoom - 1)),
      larger: button("vm-icon vm-zoom-in", "+", () => zoom(state.zoom + 1)),
      passages: button("vm-icon vm-passages-toggle", "¶", () => showPassages(parts.aside.hidden)),
      close: button("vm-icon vm-close", "×", () => dialog.close()),
      body: make("div", "vm-viewer-body"),
      aside: make("section", "vm-viewer-passages"),
    };
    parts.body.tabIndex = 0;
    parts.body.setAttribute("role", "region");
    parts.aside.hidden = true;
    const names = make("div", "vm-viewer-names");
    names.append(title, where, original);
    const tools = make("div", "vm-viewer-tools");
    tools.append(parts.previous, number, parts.next, parts.smaller, parts.larger, parts.passages, parts.close);
    const header = make("header", "vm-viewer-head");
    header.append(names, tools);
    const main = make("div", "vm-viewer-main");
    main.append(parts.body, parts.aside);
    dialog.append(header, main);
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", onKey);
    document.body.append(dialog);
  }

  function onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target === parts.number) return;
    const act = {
      ArrowLeft: () => goTo(state.page - 1),
      ArrowRight: () => goTo(state.page + 1),
      "+": () => zoom(state.zoom + 1),
      "=": () => zoom(state.zoom + 1),
      "-": () => zoom(state.zoom - 1),
      0: () => zoom(0),
      p: () => showPassages(parts.aside.hidden),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  function open(data) {
    if (!dialog) build();
    const page = Number(data.page);
    Object.assign(state, { document: data.document, page, cited: page, boxes: data.boxes || "", quote: data.quote || "" });
    const names = { previous: "previous", next: "next", smaller: "smaller", larger: "larger", passages: "passages", close: "close", number: "number", body: "page", aside: "passages_of" };
    for (const [name, key] of Object.entries(names)) {
      parts[name].setAttribute("aria-label", say(`viewer_${key}`));
      if (name !== "body" && name !== "aside") parts[name].title = say(`viewer_${key}`);
    }
    parts.original.textContent = say("viewer_original");
    parts.original.hidden = true;
    parts.title.textContent = "";
    parts.aside.replaceChildren();
    zoom(0);
    if (!dialog.open) dialog.showModal();
    parts.body.focus(); // not the page number, where keys are digits
    if (data.passages) showPassages(true);
    show();
  }

  function goTo(page) {
    if (!Number.isInteger(page) || page < 1 || page > state.pages) {
      parts.number.value = String(state.page);
      return;
    }
    state.page = page;
    show();
  }

  function zoom(step) {
    state.zoom = Math.min(Math.max(step, 0), ZOOMS.length - 1);
    dialog.style.setProperty("--vm-zoom", String(ZOOMS[state.zoom]));
    parts.smaller.disabled = state.zoom === 0;
    parts.larger.disabled = state.zoom === ZOOMS.length - 1;
    showMark();
  }

  const word = (kind) => ({ pdf: "page", records: "entry", monographs: "entry" })[kind] || "part";

  const ask = (quote) =>
    fetch(`page/${state.document}/${state.page}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ quote }),
    });

  async function show() {
    const turnNumber = ++state.turn;
    const cited = state.page === state.cited;
    parts.where.textContent = say("viewer_loading");
    dialog.setAttribute("aria-busy", "true");
    let page;
    try {
      const answer = await ask(cited ? state.quote : "");
      if (!answer.ok) throw new Error((await answer.json()).detail);
      page = await answer.json();
    } catch (error) {
      if (turnNumber === state.turn) fail(error instanceof TypeError ? say("viewer_failed") : String(error.message));
      return;
    }
    if (turnNumber !== state.turn) return;
    state.pages = page.pages;
    state.shown = page;
    parts.title.textContent = page.title || page.file;
    const here = say(word(page.kind), { n: page.page }) + (page.label && page.label !== String(page.page) ? ` · ${page.label}` : "");
    parts.previous.disabled = page.page <= 1;
    parts.next.disabled = page.page >= page.pages;
    parts.number.value = String(page.page);
    parts.number.max = String(page.pages);
    parts.original.hidden = page.kind !== "pdf";
    if (page.kind === "pdf") parts.original.href = `original/${page.document}#page=${page.page}`;
    if (!parts.aside.hidden) loadPassages();
    if (page.kind === "pdf") await showImage(page, here, cited, turnNumber);
    else showText(page, "");
    if (turnNumber !== state.turn) return;
    parts.where.textContent = say("viewer_of", { page: here, n: page.pages });
    dialog.setAttribute("aria-busy", "false");
    showMark();
  }

  async function showImage(page, here, cited, turnNumber) {
    const boxes = cited ? state.boxes : "";
    const answer = await fetch(`page-image/${state.document}/${page.page}?boxes=${encodeURIComponent(boxes)}`).catch(() => null);
    if (turnNumber !== state.turn) return;
    if (!answer || !answer.ok) {
      const reason = answer ? await answer.json().then((body) => String(body.detail), () => answer.statusText) : say("viewer_failed");
      showText(page, say("viewer_no_image", { reason }));
      return;
    }
    const image = document.createElement("img");
    image.className = "vm-page-image";
    image.src = URL.createObjectURL(await answer.blob());
    image.alt = say("viewer_image", { page: here, title: page.title }) + (cited && state.quote ? `. ${say("viewer_quoted", { quote: state.quote })}` : "");
    await image.decode().catch(() => undefined);
    URL.revokeObjectURL(image.src);
    if (turnNumber !== state.turn) return;
    const sheet = make("div", "vm-sheet");
    const tops = boxes.split(";").filter(Boolean).map((box) => Number(box.split(",")[3]));
    if (tops.length && page.height > 0) {
      const anchor = make("span", "vm-anchor");
      anchor.style.top = `${100 * (1 - Math.max(...tops) / page.height)}%`;
      sheet.append(anchor);
    }
    sheet.append(image);
    parts.body.replaceChildren(sheet);
  }

  function showText(page, notice) {
    const sheet = make("div", "vm-sheet vm-sheet-text");
    if (notice) sheet.append(make("p", "vm-notice", notice));
    if (!page.parts.length) sheet.append(make("p", "vm-notice", page.note || say("viewer_no_text")));
    const text = make("div", "vm-page-text");
    for (const part of page.parts) {
      if (part.marked) text.append(make("mark", "vm-anchor-mark", part.text));
      else text.append(document.createTextNode(part.text));
    }
    sheet.append(text);
    parts.body.replaceChildren(sheet);
  }

  function fail(reason) {
    parts.where.textContent = "";
    dialog.setAttribute("aria-busy", "false");
    parts.body.replaceChildren(make("p", "vm-notice", reason));
  }

  function showMark() {
    const anchor = parts.body.querySelector(".vm-outline, .vm-anchor, .vm-anchor-mark");
    if (!anchor) {
      parts.body.scrollTop = 0;
      return;
    }
    const offset = anchor.getBoundingClientRect().top - parts.body.getBoundingClientRect().top;
    parts.body.scrollTop += offset - parts.body.clientHeight / 3;
  }

  // -- the passages of the page ----------------------------------------------------------------------------------

  function showPassages(visible) {
    parts.aside.hidden = !visible;
    parts.passages.setAttribute("aria-pressed", String(visible));
    if (visible && state.shown && state.shown.page === state.page) loadPassages();
    if (!visible) outline([]);
  }

  async function loadPassages() {
    const turnNumber = state.turn;
    const answer = await fetch(`passages/${state.document}/${state.page}`).catch(() => null);
    const found = answer && answer.ok ? await answer.json() : [];
    if (turnNumber !== state.turn) return;
    const heading = make("h3", "vm-viewer-passages-title", say("viewer_passages_count", { n: found.length }));
    const list = make("ol", "vm-passage-list");
    for (const passage of found) {
      const item = make("li", "");
      const entry = button("vm-passage", "", () => outlinePassage(passage, true));
      const about = [`#${passage.position + 1}`, passage.heading, say("viewer_tokens", { n: passage.tokens })].filter(Boolean).join(" · ");
      entry.append(make("span", "vm-passage-about", about), make("span", "vm-passage-text", passage.text));
      entry.addEventListener("mouseenter", () => outlinePassage(passage, false));
      entry.addEventListener("focus", () => outlinePassage(passage, true));
      item.append(entry);
      list.append(item);
    }
    parts.aside.replaceChildren(heading, found.length ? list : make("p", "vm-muted", say("viewer_no_passages")));
  }

  async function outlinePassage(passage, scroll) {
    const page = state.shown;
    if (page && page.kind !== "pdf") {
      const turnNumber = state.turn;
      const answer = await ask(passage.text.slice(0, 4000)).catch(() => null);
      if (!answer || !answer.ok || turnNumber !== state.turn) return;
      showText(await answer.json(), "");
    } else outline(passage.boxes);
    if (scroll) showMark();
  }

  function outline(boxes) {
    const sheet = parts.body.querySelector(".vm-sheet");
    const page = state.shown;
    parts.body.querySelectorAll(".vm-outline").forEach((old) => old.remove());
    if (!sheet || !page || !(page.width > 0 && page.height > 0)) return;
    for (const [x0, y0, x1, y1] of boxes) {
      const box = make("span", "vm-outline");
      box.style.left = `${(100 * x0) / page.width}%`;
      box.style.top = `${100 * (1 - y1 / page.height)}%`;
      box.style.width = `${(100 * (x1 - x0)) / page.width}%`;
      box.style.height = `${(100 * (y1 - y0)) / page.height}%`;
      sheet.append(box);
    }
  }

  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("button[data-document][data-page]") : null;
    if (link) open(link.dataset);
  });
})();
