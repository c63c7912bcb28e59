// What the stock admin leaves without a name: cells that are edited in a list, the hint of a list with a filter, the empty
// head of an inline table. Names are taken from what stands on the page already.
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

const tooltips = () => {
  for (const hint of document.querySelectorAll(".help-tooltip[aria-label]")) hint.setAttribute("role", "img");
};

const inlineHeads = () => {
  for (const head of document.querySelectorAll("th.original:empty")) head.outerHTML = '<td class="original"></td>';
};

addEventListener("load", () => setTimeout(() => [editedCells, tooltips, inlineHeads].forEach((mend) => mend())));
