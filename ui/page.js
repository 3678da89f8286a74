// The page's own conveniences: copying an answer with its references, keyboard shortcuts, focus on the sources.
// What is shown goes in through textContent. Words come from ui/i18n.py (window.vademecumTexts).
(() => {
  "use strict";
  const language = () => (document.documentElement.lang.startsWith("zh") ? "zh" : "en");
  const say = (key) => window.vademecumTexts[language()][key];
  // What this browser chose last, else what it speaks.
  window.vademecumFirstLanguage = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("vademecum-language");
    } catch {
      // storage is switched off
    }
    if (chosen === "zh" || chosen === "en") return chosen;
    return (navigator.language || "").startsWith("zh") ? "zh" : "en";
  };
  const press = (selector) => document.querySelector(selector)?.click();
  const make = (tag, className, text = "") => {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    return element;
  };

  // -- copying ---------------------------------------------------------------------------------------------------

  // Without https the clipboard interface is absent (a ward computer reaching a server by name); the old way works.
  async function copy(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    const area = make("textarea", "vm-sr", "");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("refused");
  }

  async function onCopy(button) {
    const before = button.dataset.words || button.textContent;
    button.dataset.words = before;
    try {
      await copy(button.dataset.copy);
      button.textContent = say("copied");
    } catch {
      button.textContent = say("copy_failed");
    }
    setTimeout(() => (button.textContent = before), 2500);
  }

  function download(text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/markdown;charset=utf-8" }));
    link.download = `vademecum-${new Date().toISOString().slice(0, 10)}.md`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // -- what a click shows elsewhere on the page ------------------------------------------------------------------

  function focusSources() {
    document.querySelector("#vm-sources .vm-side-title")?.focus();
  }

  // Once the event that a click became has drawn it; the question's box and the correction's get no new nodes to watch.
  function whenTrue(test, act, tries = 40) {
    if (test()) act();
    else if (tries) setTimeout(() => whenTrue(test, act, tries - 1), 50);
  }

  function focusAtEnd(selector) {
    const area = document.querySelector(selector);
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
    area.scrollIntoView({ block: "nearest" });
  }

  function whenChanged(selector, act) {
    const panel = document.querySelector(selector);
    if (!panel) return;
    const watch = new MutationObserver(() => {
      watch.disconnect();
      act();
    });
    watch.observe(panel, { childList: true, subtree: true, characterData: true });
    setTimeout(() => watch.disconnect(), 10000);
  }

  // -- a new question comes into view ----------------------------------------------------------------------------

  let seen = 0;
  new MutationObserver(() => {
    const count = document.querySelectorAll(".vm-exchange").length;
    if (count > 1 && count > seen) {
      const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
      document.querySelector("#vm-talk .vm-exchange")?.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
    }
    seen = count;
  }).observe(document.documentElement, { childList: true, subtree: true });

  // -- keyboard --------------------------------------------------------------------------------------------------

  const KEYS = [
    ["Enter", "key_ask"],
    ["Shift+Enter", "key_newline"],
    ["Alt+Q", "key_question"],
    ["Alt+N", "key_new"],
    ["Alt+S", "key_stop"],
    ["Alt+R", "key_sources"],
    ["← →", "key_turn"],
    ["+ − 0", "key_zoom"],
    ["P", "key_passages"],
    ["A E R S", "key_review"],
    ["Esc", "key_close"],
    ["Alt+K", "key_keys"],
  ];
  const ACTS = {
    KeyQ: () => document.querySelector("#vm-question textarea")?.focus(),
    KeyN: () => press("#vm-new"),
    KeyS: () => press("#vm-stop"),
    KeyR: focusSources,
    KeyK: showKeys,
  };

  function showKeys() {
    document.querySelector(".vm-keys")?.remove();
    const dialog = make("dialog", "vm-keys");
    const title = make("h2", "vm-keys-title", say("keys"));
    title.id = "vm-keys-title";
    dialog.setAttribute("aria-labelledby", title.id);
    const list = make("dl", "vm-keys-list");
    for (const [keys, meaning] of KEYS) {
      const term = make("dt", "");
      term.append(make("kbd", "", keys));
      list.append(term, make("dd", "", say(meaning)));
    }
    const close = make("button", "vm-icon vm-close", "×");
    close.type = "button";
    close.setAttribute("aria-label", say("viewer_close"));
    close.addEventListener("click", () => dialog.close());
    dialog.append(title, close, list);
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  document.addEventListener("keydown", (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || !ACTS[event.code]) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    ACTS[event.code]();
  });

  // -- clicks ----------------------------------------------------------------------------------------------------

  // A button that is drawn anew between press and release gets no click from the browser: its like gets one from here.
  const named = (button) => JSON.stringify([button.id, { ...button.dataset }]);
  const buttonOf = (event) => (event.target instanceof Element ? event.target.closest("button") : null);
  let pressed = null;
  document.addEventListener("pointerdown", (event) => (pressed = buttonOf(event)), true);
  document.addEventListener("pointerup", (event) => {
    const released = buttonOf(event);
    const replaced = pressed && released && pressed !== released && !pressed.isConnected;
    if (replaced && named(pressed) === named(released)) released.click();
    pressed = null;
  }, true);

  // A question that is asked before something is done for good; answered on the page, at once.
  function sure(button, asking) {
    const box = button.closest("[data-sure-box]");
    box.querySelectorAll("[data-sure-asked]").forEach((part) => (part.hidden = !asking));
    box.querySelectorAll("[data-sure-rest]").forEach((part) => (part.hidden = asking));
    box.querySelector(asking ? "[data-sure='no']" : "[data-sure='ask']")?.focus();
  }

  // A box that belongs to a button of the same example: what to change, why it is rejected. One is open at a time.
  function show(box, wanted) {
    box.querySelectorAll("[data-shown]").forEach((part) => (part.hidden = part.dataset.shown !== wanted || !part.hidden));
    box.querySelector("[data-shown]:not([hidden])")?.querySelector("textarea, button")?.focus();
  }

  document.addEventListener("keydown", (event) => {
    const review = document.querySelector("#vm-review");
    if (!review?.offsetParent || event.repeat || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const writing = event.target.closest?.("input, textarea, select");
    if (event.key === "Escape") return review.querySelectorAll("[data-show-box]").forEach((box) => show(box, ""));
    const key = event.ctrlKey ? `ctrl+${event.key.toLowerCase()}` : event.key.toLowerCase();
    if (writing && key !== "ctrl+enter") return;
    const wanted = [...review.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find((one) => one.offsetParent);
    if (!wanted) return;
    event.preventDefault();
    wanted.click();
  });

  // -- files dropped on the library are added; elsewhere they change nothing ----------------------------------------

  const hasFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  const chooser = () =>
    document.querySelector("#vm-upload")?.offsetParent ? document.querySelector('.vm-add input[type="file"]') : null;
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault(); // else the browser would leave the page for the file
    event.dataTransfer.dropEffect = chooser() ? "copy" : "none";
    document.body.classList.toggle("vm-dropping", Boolean(chooser()));
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("vm-dropping");
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    document.body.classList.remove("vm-dropping");
    const input = chooser();
    if (!input) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // -- data to take away -----------------------------------------------------------------------------------------

  async function takeData(button) {
    const box = button.closest("[data-export-box]");
    const told = box.parentElement.querySelector("[data-export-told]");
    const parts = Object.fromEntries([...box.querySelectorAll("[data-part]")].map((one) => [one.dataset.part, one.value]));
    const wanted = new URLSearchParams(parts.what);
    for (const name of ["form", "collection", "since"]) if (parts[name]) wanted.set(name, parts[name]);
    told.textContent = say("export_counting");
    try {
      const answer = await fetch(`export-size?${wanted}`);
      const size = await answer.json();
      if (!answer.ok) throw new Error(String(size.detail));
      told.textContent = say("export_rows").replace("{n}", size.rows.toLocaleString());
      const link = make("a", "");
      link.href = `export?${wanted}`;
      link.download = ""; // no navigation: the page, and what it is being told, stay
      link.click();
    } catch (error) {
      told.textContent = error instanceof TypeError ? say("export_failed") : error.message;
    }
  }

  document.addEventListener("click", (event) => {
    const button = buttonOf(event);
    if (!button) return;
    if (button.dataset.show) show(button.closest("[data-show-box]"), button.dataset.show);
    if (button.dataset.export) takeData(button);
    if (button.dataset.sure) sure(button, button.dataset.sure === "ask");
    if (button.dataset.copy) onCopy(button);
    if (button.dataset.keys) showKeys();
    if (button.dataset.download) download(button.dataset.download);
    if (button.dataset.print) window.print();
    const act = (button.dataset.act || "").split(":")[0];
    if (act === "edit" || button.classList.contains("vm-example")) {
      const area = document.querySelector("#vm-question textarea");
      const before = area.value;
      whenTrue(() => area.value && area.value !== before, () => focusAtEnd("#vm-question textarea"));
    }
    if (act === "wrong" || act === "unsafe") {
      whenTrue(() => document.querySelector("#vm-correction textarea"), () => focusAtEnd("#vm-correction textarea"));
    }
    if ((button.dataset.act || "").startsWith("sources:")) whenChanged("#vm-sources", focusSources);
    if ((button.dataset.act || "").startsWith("pick:") && window.innerWidth <= 900) {
      // after the panel stands at its full height; before, there is too little below it to scroll to
      whenChanged("#vm-details", () => setTimeout(() => document.querySelector("#vm-details")?.scrollIntoView(), 120));
    }
  });
})();
