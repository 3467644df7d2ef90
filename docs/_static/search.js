// Full-text search in the browser. The index (search-data.js, written by docs/_ext/publishing/search.py) holds
// the plain text of every article: [address, title, [[anchor, heading, text], …]]. It is loaded when first needed,
// also from the file system, and a word is found wherever it is written: 梯度 in 梯度下降, Conv2d in nn.Conv2d.
(() => {
  "use strict";
  const ROOT = document.documentElement.dataset.content_root;
  const MOST = 20; // results shown
  const HAN = /[\u3400-\u9fff]/;

  // ---- Matching -----------------------------------------------------------------------------------------------

  // A query is cut at spaces and punctuation, and where Chinese meets Latin letters; a plural finds its singular, too.
  const words = (query) =>
    (query.normalize("NFKC").toLowerCase().match(/[\u3400-\u9fff]+|[^\s\u3400-\u9fff,;:?!，。、；：？！“”《》（）]+/g) ?? [])
      .map((word) => word.replace(/^["'`(]+|["'`().]+$/g, "").replace(/^([a-z]{3,}[b-hj-rtv-z])s$/, "$1"))
      .filter(Boolean);

  // What to look for where the word itself is nowhere: pairs of characters, parts of a dotted name, a bare stem.
  function pieces(word) {
    if (HAN.test(word)) return [...word].slice(1).map((character, i) => word[i] + character);
    return word.split(/[^a-z0-9]+/).filter(Boolean).map((part) => part.replace(/(?<=...)(ies|es|s|ed|ing|y)$/, ""));
  }

  // How often a word stands in a text; a Latin word counts less where it is only part of another.
  function count(text, word) {
    let sum = 0;
    for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
      const inside = !HAN.test(word) && [text[at - 1], text[at + word.length]].filter((c) => /[a-z0-9_]/.test(c ?? "")).length;
      sum += inside ? 0.5 / inside : 1;
    }
    return sum;
  }

  const prepare = (pages) =>
    pages.map(([url, title, sections]) => ({
      url,
      title,
      sections: sections.map(([anchor, heading, text]) => ({
        anchor, heading, text, lower: { heading: heading.toLowerCase(), text: text.toLowerCase() },
      })),
      length: sections.reduce((sum, [, , text]) => sum + text.length, 0),
    }));

  // One number per page for one word: how often it is there for the page's length, more in headings, most in the title.
  function weigh(pages, word) {
    const mean = pages.reduce((sum, page) => sum + page.length, 0) / pages.length;
    const scores = pages.map((page) => {
      const [title, ...headings] = page.sections.map((section) => count(section.lower.heading, word));
      const inHeadings = headings.reduce((sum, n) => sum + n, 0);
      const inText = page.sections.reduce((sum, section) => sum + count(section.lower.text, word), 0);
      const all = inText + 3 * inHeadings + 6 * title;
      return all && all / (all + 0.6 + 0.9 * (page.length / mean)) + Math.min(1, title) + 0.4 * Math.min(1, inHeadings);
    });
    const having = scores.filter(Boolean).length;
    return { having, scores: scores.map((score) => score * Math.log(1 + (pages.length + 1) / (having + 0.5))) };
  }

  // Pages with every word, the best first; pages with some of them only if there are none.
  function search(pages, query) {
    const total = pages.map((page) => ({ page, hits: 0, score: 0 }));
    const marks = [];
    for (const word of new Set(words(query))) {
      let { having, scores } = weigh(pages, word);
      if (having) marks.push(word);
      else {
        const parts = pieces(word).filter((part) => part !== word);
        const each = parts.map((part) => weigh(pages, part).scores);
        scores = pages.map((_, i) => each.reduce((sum, one) => sum + one[i], 0) / (2 * parts.length || 1));
        marks.push(...parts);
      }
      scores.forEach((score, i) => {
        total[i].hits += score > 0;
        total[i].score += score;
      });
    }
    const most = Math.max(...total.map((one) => one.hits));
    const found = total.filter((one) => one.hits && one.hits === most).sort((a, b) => b.score - a.score);
    return found.map(({ page }) => ({ page, section: best(page, marks), marks }));
  }

  // The section of a page to lead to: the one with most of the words, in its heading if it can be.
  function best(page, marks) {
    const value = ({ lower }) =>
      marks.reduce((sum, mark) => {
        const [heading, text] = [count(lower.heading, mark), count(lower.text, mark)];
        return sum + (heading || text ? 2 + Math.min(1, heading) + text / (text + 6) : 0);
      }, lower.text ? 0 : -1);
    return page.sections.reduce((a, b) => (value(b) > value(a) ? b : a));
  }

  // The stretch of a section's text in which most of the words meet.
  function excerpt({ text, lower }, marks) {
    const size = HAN.test(text) ? 90 : 180;
    const starts = marks.map((mark) => lower.text.indexOf(mark)).filter((at) => at >= 0);
    const meeting = (at) => marks.filter((mark) => lower.text.slice(at, at + size).includes(mark)).length;
    const at = starts.sort((a, b) => meeting(b) - meeting(a) || a - b)[0] ?? 0;
    let from = Math.max(0, at - size / 4);
    const gap = text.slice(from, at).search(/[\s，。；：]/); // begin with a whole word
    if (from && gap >= 0) from += gap + 1;
    return (from ? "… " : "") + text.slice(from, from + size) + (from + size < text.length ? " …" : "");
  }

  // ---- Showing ------------------------------------------------------------------------------------------------

  function element(name, className, ...children) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }

  function marked(text, marks) {
    const escaped = marks.map((mark) => mark.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).sort((a, b) => b.length - a.length);
    const parts = escaped.length ? text.split(new RegExp(`(${escaped.join("|")})`, "i")) : [text];
    return parts.map((part, i) => (i % 2 ? element("mark", "", part) : part));
  }

  function item({ page, section, marks }) {
    const link = element("a", "hb-search__link", element("span", "hb-search__title", ...marked(page.title, marks)));
    link.href = ROOT + page.url + (section === page.sections[0] ? "" : "#" + encodeURIComponent(section.anchor));
    if (section !== page.sections[0]) link.append(element("span", "hb-search__section", ...marked(section.heading, marks)));
    link.append(element("span", "hb-search__excerpt", ...marked(excerpt(section, marks), marks)));
    return element("li", "", link);
  }

  let loading;
  const index = () =>
    (loading ??= new Promise((resolve, reject) => {
      const script = element("script");
      script.src = ROOT + "search-data.js";
      script.onload = () => resolve(prepare(window.handbookIndex));
      script.onerror = () => reject((loading = undefined));
      document.head.append(script);
    }));

  for (const box of document.querySelectorAll("[data-hb-search]")) {
    const dialog = box.closest("dialog");
    const input = box.querySelector("input");
    const status = box.querySelector(".hb-search__status");
    const list = box.querySelector(".hb-search__results");
    const links = () => [...list.querySelectorAll("a")];

    async function show() {
      const query = input.value;
      if (!dialog) history.replaceState(null, "", query ? `?q=${encodeURIComponent(query)}` : location.pathname);
      let pages;
      try {
        if (query && !window.handbookIndex) status.textContent = box.dataset.loading;
        pages = await index();
      } catch {
        status.textContent = box.dataset.failed;
        return;
      }
      if (query !== input.value) return; // typed on while the index came
      const found = words(query).length ? search(pages, query) : [];
      list.replaceChildren(...found.slice(0, MOST).map(item));
      status.textContent = !words(query).length ? "" : found.length ? box.dataset.found.replace("{}", found.length) : box.dataset.none;
    }

    input.addEventListener("input", (event) => event.isComposing || show());
    input.addEventListener("compositionend", show);
    box.querySelector("form").addEventListener("submit", async (event) => {
      event.preventDefault();
      await show();
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
      if (input.value) show();
      continue;
    }
    const open = (event) => {
      event.preventDefault();
      if (!dialog.open) dialog.showModal();
      input.focus();
      input.select();
      index().catch(() => {}); // on its way while the reader types
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

  // The entry page leads to the language chosen last.
  for (const link of document.querySelectorAll("[data-language]"))
    link.addEventListener("click", () => {
      try {
        localStorage.setItem("handbook-language", link.dataset.language);
      } catch {} // storage may be closed
      link.hash = location.hash;
    });
})();
