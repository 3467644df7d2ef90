// Functions that the tests call inside a page.
({
  // How far the page is wider than the screen, and the elements that stick out of it, unless their box scrolls.
  beyond() {
    const edge = document.documentElement.clientWidth;
    // The theme lets the whole article scroll, so that box does not count.
    const boxed = (e) => !e.matches(".bd-article-container, html") && (getComputedStyle(e).overflowX !== "visible" || boxed(e.parentElement));
    const out = [...document.querySelectorAll("main *, header *, footer *")].filter(
      (e) => e.getClientRects().length && e.getBoundingClientRect().right > edge + 1 && !boxed(e.parentElement),
    );
    return [document.documentElement.scrollWidth - edge, ...out.map((e) => e.outerHTML.slice(0, 120))];
  },

  // The elements that scroll sideways but cannot be reached by keyboard.
  unreachable() {
    return [...document.querySelectorAll("main pre, main div, main table")]
      .filter((e) => e.scrollWidth > e.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(e).overflowX))
      .filter((e) => e.tabIndex < 0 && !e.querySelector("a, button, [tabindex='0']"))
      .map((e) => e.outerHTML.slice(0, 120));
  },

  // The code, outputs and formulas of which something lies outside of their box.
  cut() {
    return [...document.querySelectorAll("article pre, article div.math")]
      .filter((e) => e.getClientRects().length && (e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight + 1))
      .map((e) => `${e.scrollWidth} > ${e.clientWidth}: ${e.textContent.slice(0, 80)}`);
  },

  // What a page says about itself, its head, its neighbours and its places.
  facts() {
    const all = (selector) => [...document.querySelectorAll(selector)];
    const attribute = (selector, name) => all(selector).map((e) => e.getAttribute(name));
    const ids = attribute("[id]", "id");
    return {
      lang: document.documentElement.lang,
      title: document.title,
      titles: all("h1").length,
      repeated: ids.filter((id, i) => ids.indexOf(id) !== i),
      places: attribute("article section[id], article dt[id]", "id").sort(),
      descriptions: attribute("meta[name='description'], meta[property='og:description']", "content"),
      head: all(".lesson-head p").map((e) => e.innerText),
      previous: attribute(".prev-next-footer .left-prev", "href"),
      next: attribute(".prev-next-footer .right-next", "href"),
      unsized: all("article img")
        .filter((e) => !e.getAttribute("width") || !e.getAttribute("height") || e.loading !== "lazy")
        .map((e) => e.outerHTML),
    };
  },

  // How many formulas there are, and those that are not drawn as wide and as high as their parts need, or that begin
  // outside of their box or not in the middle of it.
  formulas() {
    const boxes = [...document.querySelectorAll(".math")];
    const drawn = (box) => {
      const [formula, around] = [box.querySelector(":scope > math"), box].map((e) => e?.getBoundingClientRect());
      if (!formula || formula.width <= 4 || formula.height < 7) return false;  // an n has 8 in some fonts
      const [before, after] = [formula.left - around.left, around.right - formula.right];
      return before > -1 && (after < 1 || Math.abs(before - after) < 2);
    };
    return { count: boxes.length, faults: boxes.filter((e) => !drawn(e)).map((e) => e.textContent) };
  },

  // The figures: how wide each must be for its smallest text to have 6.5 pixels, which the build notes, and its width.
  figures() {
    return [...document.querySelectorAll(".drawn:not(.opening *)")].map((e) => [
      parseFloat(e.style.getPropertyValue("--needs")),
      [...e.querySelectorAll("img")].find((i) => i.clientWidth).clientWidth,
    ]);
  },

  // The names in tables that go on in the next line in the middle of a word.
  torn() {
    const range = document.createRange();
    const top = (text, i) => (range.setStart(text, i), range.setEnd(text, i + 1), range.getBoundingClientRect().top);
    return [...document.querySelectorAll("article table code .pre")]
      .filter((e) => e.getClientRects().length > 1)
      .map((e) => e.firstChild)
      .filter((text) => [...text.data.matchAll(/(?<=\w)\w/g)].some(({ index: i }) => top(text, i) > top(text, i - 1) + 5))
      .map((text) => text.data);
  },

  // The copy buttons that lie over a box of code, scrolled or not.
  covered() {
    return [...document.querySelectorAll("button.copybtn")]
      .filter((button) => button.getClientRects().length)
      .filter((button) => {
        const [b, p] = [button, button.parentElement.querySelector("pre")].map((e) => e.getBoundingClientRect());
        return b.left < p.right - 1 && b.right > p.left + 1 && b.top < p.bottom - 1 && b.bottom > p.top + 1;
      })
      .map((button) => button.parentElement.textContent.slice(0, 80));
  },

  // The words around an article, visible or read out, and the words in it that the theme and sphinx-gallery write.
  frame() {
    const texts = [];
    const attributes = ["title", "aria-label", "placeholder", "data-tooltip", "data-bs-original-title", "tooltip"];
    for (const e of document.querySelectorAll("*"))
      for (const name of attributes) if (e.hasAttribute(name)) texts.push(e.getAttribute(name));
    for (const e of document.querySelectorAll(".admonition-title, summary, .sphx-glr-footer")) texts.push(e.textContent);
    for (const e of document.querySelectorAll(".sphx-glr-script-out")) texts.push(getComputedStyle(e, "::before").content);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const around = walker.currentNode.parentElement.closest("article, nav.page-toc, script, style, noscript, code, kbd, [lang]:not(html)");
      if (!around) texts.push(walker.currentNode.data);
    }
    return [...new Set(texts.map((text) => text.replace(/["\s]+/g, " ").trim()))];
  },
})
