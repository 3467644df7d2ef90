// Remember the language that a reader switches to: the entry page opens it next time. The switch keeps the section and
// what was searched for, too.
for (const link of document.querySelectorAll("[data-language]"))
  link.addEventListener("click", () => {
    try {
      localStorage.setItem("handbook-language", link.dataset.language);
    } catch {} // storage may be closed
    link.hash = location.hash;
    link.search = location.search;
  });
