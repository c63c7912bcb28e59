// Choosing rows: [data-check] boxes of form[data-bulk], [data-check-all] in the head, Shift chooses a range;
// the bar [data-bulk-bar] appears with the number chosen in [data-bulk-count].
let last = null;

const boxes = () => [...document.querySelectorAll("[data-check]")];

const refresh = () => {
  const all = boxes();
  const chosen = all.filter((box) => box.checked).length;
  document.querySelectorAll("[data-bulk-bar]").forEach((bar) => (bar.hidden = !chosen));
  document.querySelectorAll("[data-bulk-count]").forEach((count) => (count.textContent = chosen));
  const head = document.querySelector("[data-check-all]");
  if (!head) return;
  head.checked = chosen > 0 && chosen === all.length;
  head.indeterminate = chosen > 0 && chosen < all.length;
};

document.addEventListener("click", (event) => {
  const box = event.target;
  if (box.matches?.("[data-check-all]")) boxes().forEach((other) => (other.checked = box.checked));
  else if (box.matches?.("[data-check]")) {
    const all = boxes();
    const from = event.shiftKey && last ? all.indexOf(last) : -1;
    if (from >= 0) {
      const [start, end] = [from, all.indexOf(box)].sort((a, b) => a - b);
      all.slice(start, end + 1).forEach((other) => (other.checked = box.checked));
    }
    last = box;
  } else if (box.closest?.("[data-bulk-clear]")) boxes().forEach((other) => (other.checked = false));
  else return;
  refresh();
});

document.addEventListener("htmx:afterSettle", refresh);
refresh();
