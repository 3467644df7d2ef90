// The search box, in the dialog of every page and on the search page. What finds the pages is search-engine.js; that
// script, MiniSearch and the index (search-data.js) are loaded when a reader first searches, also from the file system.
(() => {
  "use strict";
  const ROOT = document.documentElement.dataset.content_root;
  const IN_DIALOG = 10; // results; the search page shows all
  const EXCERPT = { han: 90, latin: 180 }; // characters

  // ---- Loading ------------------------------------------------------------------------------------------------

  const loadScript = (address) =>
    new Promise((resolve, reject) => {
      const script = createElement("script");
      script.src = ROOT + address;
      script.onload = resolve;
      script.onerror = reject;
      document.head.append(script);
    });

  let loading;
  function load() {
    const scripts = ["_static/minisearch.min.js", "_static/search-engine.js", "search-data.js"];
    loading ??= Promise.all(scripts.map(loadScript))
      .then(() => handbookSearch.createSearch(MiniSearch, window.handbookIndex, window.handbookWords))
      .then((engine) => (window.handbookEngine = engine));
    loading.catch(() => (loading = undefined)); // the next try loads again
    return loading;
  }

  // ---- Results ------------------------------------------------------------------------------------------------

  function createElement(name, className, ...children) {
    const element = document.createElement(name);
    if (className) element.className = className;
    element.append(...children);
    return element;
  }

  // A stretch of text from one place on, with the words that were searched for marked.
  function mark(text, places, from = 0, to = text.length) {
    const parts = [];
    let at = from;
    for (const [start, end] of places) {
      if (end <= at || start < from || end > to) continue;
      parts.push(text.slice(at, Math.max(at, start)), createElement("mark", "", text.slice(Math.max(at, start), end)));
      at = end;
    }
    return [...parts, text.slice(at, to)];
  }

  // The stretch of a section's text that holds most of the terms.
  function excerpt(text, terms) {
    const size = /[\u3400-\u9fff]/.test(text) ? EXCERPT.han : EXCERPT.latin;
    const places = handbookSearch.locate(text, terms);
    const termsFrom = (at) => new Set(places.filter(([start, end]) => start >= at && end <= at + (size * 3) / 4).map((place) => place[2])).size;
    const best = places.reduce((best, [at]) => (termsFrom(at) > termsFrom(best) ? at : best), places[0]?.[0] ?? 0);
    let from = Math.max(0, best - size / 4);
    const gap = text.slice(from, best).search(/[\s，。；：]/); // begin with a whole word
    if (from && gap >= 0) from += gap + 1;
    const to = Math.min(text.length, from + size);
    return [from ? "… " : "", ...mark(text, places, from, to), to < text.length ? " …" : ""];
  }

  function createResult({ section, terms = new Set() }) {
    const { url, title, anchor, heading, text, names } = section;
    const marked = (text) => mark(text, handbookSearch.locate(text, terms));
    const link = createElement("a", "hb-search__link", createElement("span", "hb-search__title", ...marked(title)));
    link.href = ROOT + url + (anchor && "#" + encodeURIComponent(anchor));
    if (anchor) link.append(createElement("span", "hb-search__section", ...marked(heading)));
    link.append(createElement("span", "hb-search__excerpt", ...excerpt(text || names, terms)));
    return createElement("li", "", link);
  }

  // ---- The box ------------------------------------------------------------------------------------------------

  for (const box of document.querySelectorAll("[data-hb-search]")) {
    const dialog = box.closest("dialog");
    const input = box.querySelector("input");
    const status = box.querySelector(".hb-search__status");
    const list = box.querySelector(".hb-search__results");
    const elsewhere = box.querySelector(".hb-search__elsewhere");
    const links = () => [...box.querySelectorAll(".hb-search__results a")];

    async function update() {
      const query = input.value.trim();
      if (!dialog) history.replaceState(null, "", query ? `?q=${encodeURIComponent(query)}` : location.pathname);
      try {
        if (query && !window.handbookEngine) status.textContent = box.dataset.loading;
        await load();
      } catch {
        status.textContent = box.dataset.failed;
        return;
      }
      if (query !== input.value.trim()) return; // the reader typed on while the index was loading
      const { results, others } = handbookEngine.search(query);
      const near = query && !results.length ? handbookEngine.nearest(query).map((section) => ({ section })) : [];
      list.replaceChildren(...[...(dialog ? results.slice(0, IN_DIALOG) : results), ...near].map(createResult));
      elsewhere.hidden = !query || results.length > 0;
      status.textContent = !query ? ""
        : !results.length ? box.dataset.none + (near.length ? ` ${box.dataset.near}` : "")
        : box.dataset.found.replace("{}", results.length) + (others.length ? ` ${box.dataset.also.replace("{}", others.slice(0, 3).join(", "))}` : "");
    }

    input.addEventListener("input", (event) => event.isComposing || update());
    input.addEventListener("compositionend", update);
    box.querySelector("form").addEventListener("submit", (event) => {
      if (dialog && input.value.trim()) return; // the form opens the search page with this query
      event.preventDefault();
      update();
    });
    box.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step || event.isComposing) return;
      const stops = [input, ...links()];
      stops[stops.indexOf(document.activeElement) + step]?.focus();
      event.preventDefault();
    });
    box.addEventListener("click", (event) => {
      if (event.target.closest("a")) dialog?.close(); // the link may lead to a place on this page
    });

    if (!dialog) {
      input.value = new URLSearchParams(location.search).get("q") ?? "";
      input.focus();
      if (input.value) update();
      continue;
    }
    const open = (event) => {
      event.preventDefault();
      if (!dialog.open) dialog.showModal();
      input.focus();
      input.select();
      load().catch(() => {}); // it loads while the reader types
    };
    for (const button of document.querySelectorAll(".hb-search-open")) {
      button.setAttribute("role", "button");
      button.addEventListener("click", open);
    }
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input, textarea, select, [contenteditable]");
      if ((event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !typing)) open(event);
    });
    box.querySelector(".hb-search__close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
})();
