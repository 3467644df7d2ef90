// Formulas: MathJax lies in this folder and loads nothing from elsewhere. No menu, no speech engine;
// screen readers get MathML.
window.MathJax = {
  loader: { load: ["a11y/assistive-mml"], paths: { "mathjax-newcm": "[mathjax]/newcm" } },
  options: {
    enableAssistiveMml: true,
    enableSpeech: false,
    enableBraille: false,
    menuOptions: { settings: { assistiveMml: true, enrich: false } },
    renderActions: { addMenu: [] },
  },
};
