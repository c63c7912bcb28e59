// Where one is in the settings, and what the buttons of the stock admin do.
// Lists of people and skills name their kind in sentences that need its case; what they do says the same.
const pickers = () => {
  const words = { ".selector-chooseall": "pick-all", ".selector-clearall": "pick-none", ".selector-add": "pick", ".selector-remove": "unpick", ".selector .helptext": "pick-hint" };
  for (const [part, word] of Object.entries(words)) for (const node of document.querySelectorAll(part)) node.textContent = node.title = document.querySelector(`meta[name="${word}"]`)?.content;
};

// The section that one is in stands in sight.
const section = () => {
  const [bar, here] = [document.querySelector("#nav-sidebar"), document.querySelector("#nav-sidebar .current-model")];
  if (here && here.getBoundingClientRect().bottom > innerHeight) bar.scrollTop += here.getBoundingClientRect().top - innerHeight / 2;
};

addEventListener("load", () => setTimeout(() => { pickers(); section(); }));
