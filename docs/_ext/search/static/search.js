// Full-text search in the browser. The index (search-data.js, written by docs/_ext/search/index.py) holds the plain
// text of every article: [address, title, [[anchor, heading, text], …]]. It is loaded when first needed, also from the
// file system, and a term is found wherever it is written: 梯度 in 梯度下降, Conv2d in nn.Conv2d.
(() => {
  "use strict";
  const ROOT = document.documentElement.dataset.content_root;
  const MAX_RESULTS = 20;
  const HAN = /[\u3400-\u9fff]/;

  // ---- Ranking ------------------------------------------------------------------------------------------------

  // Cut a query into terms at spaces, at punctuation, and where Chinese meets Latin letters; a plural becomes singular.
  const tokenize = (query) =>
    (query.normalize("NFKC").toLowerCase().match(/[\u3400-\u9fff]+|[^\s\u3400-\u9fff,;:?!，。、；：？！“”《》（）]+/g) ?? [])
      .map((term) => term.replace(/^["'`(]+|["'`().]+$/g, "").replace(/^([a-z]{3,}[b-hj-rtv-z])s$/, "$1"))
      .filter(Boolean);

  // What to look for if no page has the term itself: bigrams of Chinese, or the stems of the parts of a dotted name.
  function subterms(term) {
    if (HAN.test(term)) return [...term].slice(1).map((character, i) => term[i] + character);
    return term.split(/[^a-z0-9]+/).filter(Boolean).map((part) => part.replace(/(?<=...)(ies|es|s|ed|ing|y)$/, ""));
  }

  // How often a term stands in a text; a Latin term counts less where it is only part of a word.
  function termFrequency(text, term) {
    let sum = 0;
    for (let at = text.indexOf(term); at >= 0; at = text.indexOf(term, at + term.length)) {
      const inside = !HAN.test(term) && [text[at - 1], text[at + term.length]].filter((c) => /[a-z0-9_]/.test(c ?? "")).length;
      sum += inside ? 0.5 / inside : 1;
    }
    return sum;
  }

  const preparePages = (rows) =>
    rows.map(([url, title, sections]) => ({
      url,
      title,
      sections: sections.map(([anchor, heading, text]) => ({
        anchor, heading, text, lower: { heading: heading.toLowerCase(), text: text.toLowerCase() },
      })),
      length: sections.reduce((sum, [, , text]) => sum + text.length, 0),
    }));

  // The BM25 score of each page for one term (k1 = 1.5, b = 0.6). A heading counts like three words of text and the
  // title like six, and each adds a bonus.
  function bm25(pages, term) {
    const meanLength = pages.reduce((sum, page) => sum + page.length, 0) / pages.length;
    const scores = pages.map((page) => {
      const [inTitle, ...headings] = page.sections.map((section) => termFrequency(section.lower.heading, term));
      const inHeadings = headings.reduce((sum, n) => sum + n, 0);
      const inText = page.sections.reduce((sum, section) => sum + termFrequency(section.lower.text, term), 0);
      const frequency = inText + 3 * inHeadings + 6 * inTitle;
      return (
        frequency &&
        frequency / (frequency + 0.6 + 0.9 * (page.length / meanLength)) + Math.min(1, inTitle) + 0.4 * Math.min(1, inHeadings)
      );
    });
    const documentFrequency = scores.filter(Boolean).length;
    const inverse = Math.log(1 + (pages.length + 1) / (documentFrequency + 0.5));
    return { documentFrequency, scores: scores.map((score) => score * inverse) };
  }

  // Rank the pages that have every term; those with some of the terms only if no page has them all.
  function search(pages, query) {
    const results = pages.map((page) => ({ page, matched: 0, score: 0 }));
    const highlights = [];
    for (const term of new Set(tokenize(query))) {
      let { documentFrequency, scores } = bm25(pages, term);
      if (documentFrequency) highlights.push(term);
      else {
        const parts = subterms(term).filter((part) => part !== term);
        const partScores = parts.map((part) => bm25(pages, part).scores);
        scores = pages.map((_, i) => partScores.reduce((sum, each) => sum + each[i], 0) / (2 * parts.length || 1));
        highlights.push(...parts);
      }
      scores.forEach((score, i) => {
        results[i].matched += score > 0;
        results[i].score += score;
      });
    }
    const mostMatched = Math.max(...results.map((result) => result.matched));
    const found = results.filter((result) => result.matched && result.matched === mostMatched);
    found.sort((a, b) => b.score - a.score);
    return found.map(({ page }) => ({ page, section: bestSection(page, highlights), highlights }));
  }

  // The section of a page to lead to: the one with most of the terms, if possible in its heading.
  function bestSection(page, terms) {
    const value = ({ lower }) =>
      terms.reduce((sum, term) => {
        const [heading, text] = [termFrequency(lower.heading, term), termFrequency(lower.text, term)];
        return sum + (heading || text ? 2 + Math.min(1, heading) + text / (text + 6) : 0);
      }, lower.text ? 0 : -1);
    return page.sections.reduce((a, b) => (value(b) > value(a) ? b : a));
  }

  // The stretch of a section's text that holds most of the terms.
  function excerpt({ text, lower }, terms) {
    const size = HAN.test(text) ? 90 : 180;
    const starts = terms.map((term) => lower.text.indexOf(term)).filter((at) => at >= 0);
    const termsFrom = (at) => terms.filter((term) => lower.text.slice(at, at + size).includes(term)).length;
    const at = starts.sort((a, b) => termsFrom(b) - termsFrom(a) || a - b)[0] ?? 0;
    let from = Math.max(0, at - size / 4);
    const gap = text.slice(from, at).search(/[\s，。；：]/); // begin with a whole word
    if (from && gap >= 0) from += gap + 1;
    return (from ? "… " : "") + text.slice(from, from + size) + (from + size < text.length ? " …" : "");
  }

  // ---- Results ------------------------------------------------------------------------------------------------

  function createElement(name, className, ...children) {
    const element = document.createElement(name);
    if (className) element.className = className;
    element.append(...children);
    return element;
  }

  function highlight(text, terms) {
    const escaped = terms.map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).sort((a, b) => b.length - a.length);
    const parts = escaped.length ? text.split(new RegExp(`(${escaped.join("|")})`, "i")) : [text];
    return parts.map((part, i) => (i % 2 ? createElement("mark", "", part) : part));
  }

  function createResult({ page, section, highlights }) {
    const add = (className, text) => link.append(createElement("span", className, ...highlight(text, highlights)));
    const link = createElement("a", "hb-search__link");
    const atTop = section === page.sections[0];
    link.href = ROOT + page.url + (atTop ? "" : "#" + encodeURIComponent(section.anchor));
    add("hb-search__title", page.title);
    if (!atTop) add("hb-search__section", section.heading);
    add("hb-search__excerpt", excerpt(section, highlights));
    return createElement("li", "", link);
  }

  let loading;
  const loadIndex = () =>
    (loading ??= new Promise((resolve, reject) => {
      const script = createElement("script");
      script.src = ROOT + "search-data.js";
      script.onload = () => resolve(preparePages(window.handbookIndex));
      script.onerror = () => reject((loading = undefined));
      document.head.append(script);
    }));

  // ---- The box: in the dialog, and on the search page ---------------------------------------------------------

  for (const box of document.querySelectorAll("[data-hb-search]")) {
    const dialog = box.closest("dialog");
    const input = box.querySelector("input");
    const status = box.querySelector(".hb-search__status");
    const list = box.querySelector(".hb-search__results");
    const links = () => [...list.querySelectorAll("a")];

    async function update() {
      const query = input.value;
      if (!dialog) history.replaceState(null, "", query ? `?q=${encodeURIComponent(query)}` : location.pathname);
      let pages;
      try {
        if (query && !window.handbookIndex) status.textContent = box.dataset.loading;
        pages = await loadIndex();
      } catch {
        status.textContent = box.dataset.failed;
        return;
      }
      if (query !== input.value) return; // the reader typed on while the index was loading
      const hasTerms = tokenize(query).length > 0;
      const results = hasTerms ? search(pages, query) : [];
      list.replaceChildren(...results.slice(0, MAX_RESULTS).map(createResult));
      status.textContent = !hasTerms ? "" : results.length ? box.dataset.found.replace("{}", results.length) : box.dataset.none;
    }

    input.addEventListener("input", (event) => event.isComposing || update());
    input.addEventListener("compositionend", update);
    box.querySelector("form").addEventListener("submit", async (event) => {
      event.preventDefault();
      await update();
      links()[0]?.click();
    });
    box.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step || event.isComposing) return;
      const stops = [input, ...links()];
      stops[stops.indexOf(document.activeElement) + step]?.focus();
      event.preventDefault();
    });
    list.addEventListener("click", (event) => {
      if (event.target.closest("a")) dialog?.close(); // the result may be further down this page
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
      loadIndex().catch(() => {}); // it loads while the reader types
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
