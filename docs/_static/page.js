// The small things of a page: the switch of languages, the menu of colour modes, and paper.
(() => {
  "use strict";

  // The section, or the term or name that is explained, at the top of the screen. Both languages have the same ids, so
  // the other page opens there as well.
  function sectionInView() {
    const named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const box = named && named.getBoundingClientRect();
    if (box && box.top >= 0 && box.top < innerHeight) return location.hash;
    const reach = (e) => (e.matches("dt") ? 120 : innerHeight / 3); // terms are short: several may be in the upper third
    const above = [...document.querySelectorAll("main :is(section, dt)[id]")].filter((e) => e.getBoundingClientRect().top < reach(e));
    const last = scrollY > 100 && above.at(-1);
    return last ? `#${last.id}` : named ? "" : location.hash;
  }

  // Remember the language that a reader switches to: the entry page opens it next time. The switch keeps the section
  // and what was searched for, too.
  for (const link of document.querySelectorAll("[data-language]"))
    link.addEventListener("click", () => {
      try {
        localStorage.setItem("handbook-language", link.dataset.language);
      } catch {} // storage may be closed
      link.hash = sectionInView();
      link.search = location.search;
    });

  // Paper is light, whatever the screen is.
  const root = document.documentElement.dataset;
  let chosen;
  addEventListener("beforeprint", () => {
    chosen ??= root.theme;
    root.theme = "light";
  });
  addEventListener("afterprint", () => {
    root.theme = chosen ?? root.theme;
    chosen = undefined;
  });

  // The menu closes when something is chosen, and on a click or a key elsewhere.
  for (const menu of document.querySelectorAll("details.theme-switch-container")) {
    document.addEventListener("click", (event) => {
      if (!event.target.closest("summary")) menu.open = false;
    });
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
    menu.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
    });
  }
})();
