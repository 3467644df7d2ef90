// What the tests look at inside a page.
({
  // How far the page, or anything not in a box that scrolls by itself, reaches beyond the screen.
  beyond() {
    const edge = document.documentElement.clientWidth;
    // The theme lets the whole article scroll: that box does not count.
    const boxed = (e) => !e.matches(".bd-article-container, html") && (getComputedStyle(e).overflowX !== "visible" || boxed(e.parentElement));
    const out = [...document.querySelectorAll("main *, header *, footer *")].filter(
      (e) => e.getClientRects().length && e.getBoundingClientRect().right > edge + 1 && !boxed(e.parentElement),
    );
    return [document.documentElement.scrollWidth - edge, ...out.map((e) => e.outerHTML.slice(0, 120))];
  },

  // What scrolls sideways, and cannot be reached by keyboard.
  unreachable() {
    return [...document.querySelectorAll("main pre, main div, main table, mjx-container")]
      .filter((e) => e.scrollWidth > e.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(e).overflowX))
      .filter((e) => e.tabIndex < 0 && !e.querySelector("a, button, [tabindex='0']"))
      .map((e) => e.outerHTML.slice(0, 120));
  },

  // The words of the frame around an article, seen or only heard, and those that are not of its author.
  frame() {
    const said = [];
    const attributes = ["title", "aria-label", "placeholder", "data-tooltip", "data-bs-original-title", "tooltip"];
    for (const e of document.querySelectorAll("*"))
      for (const name of attributes) if (e.hasAttribute(name)) said.push(e.getAttribute(name));
    for (const e of document.querySelectorAll(".admonition-title, summary, .sphx-glr-footer")) said.push(e.textContent);
    for (const e of document.querySelectorAll(".sphx-glr-script-out")) said.push(getComputedStyle(e, "::before").content);
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const around = walk.currentNode.parentElement.closest("article, nav.page-toc, script, style, noscript, code, kbd, [lang]:not(html)");
      if (!around) said.push(walk.currentNode.data);
    }
    return [...new Set(said.map((text) => text.replace(/["\s]+/g, " ").trim()))];
  },
})
