// A figure opens in a dialog that fills the screen. Without this script, its link opens the picture itself.
(() => {
  "use strict";
  let dialog;

  function open(link) {
    if (!dialog) {
      dialog = document.createElement("dialog");
      dialog.className = "enlarged";
      dialog.addEventListener("click", () => dialog.close());
      document.body.append(dialog);
    }
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "✕";
    close.ariaLabel = link.dataset.close;
    // Both drawings, so that the one that suits the theme is seen.
    const images = [...link.querySelectorAll("img")].map((image) => {
      const large = image.cloneNode();
      large.loading = "eager";
      return large;
    });
    dialog.ariaLabel = images[0].alt;
    dialog.replaceChildren(close, ...images);
    dialog.showModal();
    close.focus();
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest(".drawn a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return; // a new tab, as asked
    event.preventDefault();
    open(link);
  });
})();
