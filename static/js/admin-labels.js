// What the stock admin leaves without a name: cells that are edited in a list or in an inline table, halves of a moment,
// boxes of a search in a list, the hint of a list with a filter, the empty head of an inline table. Names are taken from what stands on the page already.
const name = (node, text) => text && !node.labels?.length && node.setAttribute("aria-label", text.trim());

const editedCells = () => {
  const heads = [...document.querySelectorAll("#result_list thead th")].map((head) => head.innerText);
  for (const row of document.querySelectorAll("#result_list tbody tr")) {
    const title = row.querySelector("th")?.innerText ?? "";
    [...row.cells].forEach((cell, place) => {
      const control = cell.querySelector("input:not([type=hidden]):not(.action-select), select");
      if (control) name(control, `${heads[place]}: ${title}`);
    });
  }
};

const PHONE = matchMedia("(max-width: 767px)");
// On a phone a row is a card: its cells stand under the names of their columns, and the filter is folded above the list.
const cards = () => {
  const heads = [...document.querySelectorAll("#result_list thead th")].map((head) => (head.querySelector(".text") ?? head).innerText.trim());
  for (const row of document.querySelectorAll("#result_list tbody tr"))
    [...row.cells].forEach((cell, place) => {
      if (!heads[place] || cell.matches(".action-checkbox") || (cell.matches("th") && !/^[\d,.]+$/.test(cell.innerText.trim()))) return;
      cell.dataset.label = heads[place];
      cell.classList.toggle("cell-long", cell.innerText.length > 40);
    });
  if (!PHONE.matches) return;
  for (const part of document.querySelectorAll("#changelist-filter details"))
    part.open = !part.querySelector("li:first-child.selected") && Boolean(part.querySelector("li.selected"));
};

// In what zone the times of this page are, where the computer's own is another.
const zone = () => {
  const said = document.querySelector('meta[name="zone"]')?.content;
  for (const note of document.querySelectorAll(".timezonewarning")) if (said) note.textContent = said;
};

const tooltips = () => {
  for (const hint of document.querySelectorAll(".help-tooltip[aria-label]")) hint.setAttribute("role", "img");
};

const inlineHeads = () => {
  for (const head of document.querySelectorAll("th.original:empty")) head.outerHTML = '<td class="original"></td>';
};

const inlineCells = () => {
  for (const table of document.querySelectorAll(".tabular table")) {
    const heads = [...table.querySelectorAll("thead th, thead td")].map((head) => head.innerText);
    for (const row of table.querySelectorAll("tbody tr")) {
      let place = 0;
      for (const cell of row.cells) {
        for (const control of cell.querySelectorAll("input:not([type=hidden]), select, textarea"))
          if (!control.hasAttribute("aria-label")) name(control, heads[place] ?? "");
        if (heads[place]?.trim() && !cell.matches(".original, .add-row td")) cell.dataset.label = heads[place].trim();
        place += cell.colSpan;
      }
    }
  }
};

// A date and its time stand under one label, which names neither.
const moments = () => {
  for (const part of document.querySelectorAll("p.datetime input")) {
    const label = part.closest("fieldset, .form-row")?.querySelector("legend, label");
    name(part, `${label?.innerText ?? ""} ${part.previousSibling?.textContent ?? ""}`);
  }
};

const searches = () => {
  for (const box of document.querySelectorAll(".select2-selection[role=combobox]")) {
    const select = box.closest(".select2")?.previousElementSibling;
    const words = select?.labels?.[0]?.innerText ?? select?.getAttribute("aria-label");
    if (!words) continue;
    for (const part of [box, ...box.querySelectorAll("[role=textbox]")]) part.setAttribute("aria-label", words.trim());
  }
};

const magnifier = () => {
  const picture = document.querySelector("#changelist-search label img");
  if (picture) picture.alt = document.querySelector("#changelist-search [type=submit]").value;
};

// Pictures of yes and no are called True and False in every language.
const answers = () => {
  for (const picture of document.querySelectorAll('img[src*="/img/icon-"]')) {
    const words = document.querySelector(`meta[name="word-${picture.alt}"]`);
    if (words) picture.alt = picture.title = words.content;
  }
};

// What opens over the page stands outside of its parts: each is a small window with a name.
const windows = () => {
  for (const box of document.querySelectorAll(".calendarbox, .clockbox")) {
    box.setAttribute("role", "dialog");
    box.setAttribute("aria-label", box.querySelector("h2")?.innerText || window.gettext("Choose a Date"));
  }
};

const searched = () => {
  window.django?.jQuery(document).on("select2:open", ({ target }) => {
    const box = target.nextElementSibling?.querySelector("[role=combobox]");
    const open = [...document.querySelectorAll("body > .select2-container--open")].at(-1);
    const words = target.labels?.[0]?.innerText ?? target.getAttribute("aria-label") ?? "";
    open?.setAttribute("role", "dialog");
    for (const part of [open, open?.querySelector("input[type=search]"), open?.querySelector("[role=listbox]")]) part?.setAttribute("aria-label", words.trim());
    box?.setAttribute("aria-controls", open?.querySelector("[role=listbox]")?.id ?? "");
  });
};

const MENDS = [cards, zone, magnifier, answers, editedCells, tooltips, inlineHeads, inlineCells, moments, searches, windows, searched];
PHONE.addEventListener("change", cards);
addEventListener("load", () => setTimeout(() => MENDS.forEach((mend) => mend())));
