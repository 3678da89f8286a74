// The page viewer: any button with data-document and data-page opens that page, with its quoted lines highlighted.
// All text goes in through textContent or alt, never as HTML. Words come from ui/i18n.py (window.vademecumTexts).
(() => {
  "use strict";
  const texts = window.vademecumTexts;
  const state = { document: "", page: 0, pages: 0, cited: 0, boxes: "", quote: "", turn: 0 };
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
    const previous = button("vm-icon vm-previous", "‹", () => turn(-1));
    const next = button("vm-icon vm-next", "›", () => turn(1));
    const zoom = button("vm-icon vm-zoom", "+", () => {
      const large = dialog.classList.toggle("vm-large");
      zoom.setAttribute("aria-pressed", String(large));
      zoom.textContent = large ? "−" : "+";
      showMark();
    });
    const close = button("vm-icon vm-close", "×", () => dialog.close());
    const names = make("div", "vm-viewer-names");
    names.append(title, where);
    const tools = make("div", "vm-viewer-tools");
    tools.append(previous, next, zoom, close);
    const header = make("header", "vm-viewer-head");
    header.append(names, tools);
    const body = make("div", "vm-viewer-body");
    body.tabIndex = 0;
    dialog.append(header, body);
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") turn(-1);
      if (event.key === "ArrowRight") turn(1);
    });
    document.body.append(dialog);
    parts = { title, where, previous, next, zoom, close, body };
  }

  function open(data) {
    if (!dialog) build();
    const page = Number(data.page);
    Object.assign(state, { document: data.document, page, cited: page, boxes: data.boxes || "", quote: data.quote || "" });
    for (const [name, key] of [["previous", "previous"], ["next", "next"], ["zoom", "zoom"], ["close", "close"]]) {
      parts[name].setAttribute("aria-label", say(`viewer_${key}`));
      parts[name].title = say(`viewer_${key}`);
    }
    parts.title.textContent = "";
    if (!dialog.open) dialog.showModal();
    show();
  }

  function turn(step) {
    const page = state.page + step;
    if (page < 1 || page > state.pages) return;
    state.page = page;
    show();
  }

  const word = (kind) => ({ pdf: "page", records: "entry", monographs: "entry" })[kind] || "part";

  async function show() {
    const turnNumber = ++state.turn;
    const cited = state.page === state.cited;
    parts.where.textContent = say("viewer_loading");
    dialog.setAttribute("aria-busy", "true");
    let page;
    try {
      const answer = await fetch(`page/${state.document}/${state.page}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ quote: cited ? state.quote : "" }),
      });
      if (!answer.ok) throw new Error((await answer.json()).detail);
      page = await answer.json();
    } catch (error) {
      if (turnNumber === state.turn) fail(error instanceof TypeError ? say("viewer_failed") : String(error.message));
      return;
    }
    if (turnNumber !== state.turn) return;
    state.pages = page.pages;
    parts.title.textContent = page.title || page.file;
    const here = say(word(page.kind), { n: page.page }) + (page.label && page.label !== String(page.page) ? ` · ${page.label}` : "");
    parts.previous.disabled = page.page <= 1;
    parts.next.disabled = page.page >= page.pages;
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
    const anchor = parts.body.querySelector(".vm-anchor, .vm-anchor-mark");
    if (!anchor) {
      parts.body.scrollTop = 0;
      return;
    }
    const offset = anchor.getBoundingClientRect().top - parts.body.getBoundingClientRect().top;
    parts.body.scrollTop += offset - parts.body.clientHeight / 3;
  }

  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("button[data-document][data-page]") : null;
    if (link) open(link.dataset);
  });
})();
