// The server side of a board: post a card's new stage, take the answer, put the card back when it is refused.
// 200 → the card's new HTML (and column heads out of band) · 422 → the card returns, the form that asks what lacks opens
// in the dialog · 409 → the card returns, the columns are read anew · 403, 404, no network → the card returns.
// Event "board:refresh" {columns: [stage, …]} reads columns anew (HX-Trigger of the 422 form, once it is filled in).
const moving = new WeakMap();

const columnOf = (node) => node?.closest("[data-stage]");

const giveBack = (card) => {
  const home = moving.get(card);
  if (!home || home.settled) return;
  home.settled = true;
  home.list.insertBefore(card, home.next?.parentNode === home.list ? home.next : null);
};

const reload = (columns) => {
  for (const column of new Set(columns)) {
    if (column?.matches(".board-zone")) continue; // a place to drop on, with nothing to show
    const url = column?.dataset.columnUrl;
    if (!url) return location.reload();
    htmx.ajax("GET", url, { source: column, target: column, swap: "outerHTML" }); // of one source, htmx keeps only the last waiting
  }
};

export const isMoving = (card) => moving.has(card);

// Where the card stands now, to be called before it is taken out of its place.
export const placeOf = (card) => ({ list: card.parentNode, next: card.nextElementSibling, settled: false });

export const send = async (card, home) => {
  moving.set(card, home);
  card.classList.add("is-saving");
  const before = card.nextElementSibling?.dataset?.card ?? "";
  const values = { stage: columnOf(card).dataset.stage, version: card.dataset.version ?? "", before };
  try {
    await htmx.ajax("POST", card.dataset.moveUrl, { source: card, target: card, swap: "outerHTML", values });
  } catch {
    giveBack(card);
  }
  card.classList.remove("is-saving");
  moving.delete(card);
  document.getElementById(card.id)?.focus({ preventScroll: true });
};

const answer = (event) => {
  const card = event.detail.requestConfig?.elt;
  if (!card || !moving.has(card)) return;
  const { status } = event.detail.xhr;
  if (status === 200) return;
  event.detail.shouldSwap = status === 422;
  giveBack(card);
  if (status === 422) {
    event.detail.target = document.getElementById("dialog");
    event.detail.swapOverride = "innerHTML";
  } else if (status === 409) {
    event.detail.isError = true; // session.js says so unless the server did
    reload(document.querySelectorAll("[data-board] [data-column-url]")); // the other person may have put it anywhere
  }
};

export const listen = () => {
  document.addEventListener("htmx:beforeSwap", answer);
  document.addEventListener("htmx:sendError", ({ target }) => giveBack(target));
  document.addEventListener("board:refresh", ({ detail }) =>
    reload((detail.columns ?? []).map((stage) => document.querySelector(`[data-stage="${CSS.escape(stage)}"]`)).filter(Boolean)));
};
