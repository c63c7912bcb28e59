// Board: drag by mouse at once, by touch after 250 ms (a shorter touch scrolls), Alt+arrows and m by keyboard.
// Markup: section[data-board] > [data-stage][data-column-url] > ol[data-cards] > li[data-card][data-move-url][data-version]
// with a plain form in a popover menu as the way without a pointer. Answers of the server: see board-move.js.
import { isMoving, listen, placeOf, send } from "./board-move.js";

const HOLD = 250; // ms
const SLIP = 6; // px a mouse moves before a press is a drag; px a finger may slip while holding
const EDGE = 48; // px from the rim where the board scrolls by itself
let drag = null;

const gap = Object.assign(document.createElement("li"), { className: "board-gap", ariaHidden: "true" });

const lift = () => {
  const { card } = drag;
  const box = card.getBoundingClientRect();
  const ghost = card.cloneNode(true);
  ghost.removeAttribute("id");
  ghost.removeAttribute("data-card");
  ghost.classList.add("is-ghost");
  ghost.style.width = `${box.width}px`;
  Object.assign(drag, { ghost, dx: drag.x - box.left, dy: drag.y - box.top, home: placeOf(card) });
  card.classList.add("is-dragged");
  document.body.append(ghost);
  document.documentElement.classList.add("board-dragging");
  card.setPointerCapture?.(drag.pointer);
  follow();
};

const scrollAtEdges = () => {
  const board = drag.card.closest("[data-board]") ?? gap.closest("[data-board]");
  const rim = board.getBoundingClientRect();
  if (drag.x > rim.right - EDGE) board.scrollLeft += 14;
  else if (drag.x < rim.left + EDGE) board.scrollLeft -= 14;
};

const follow = () => {
  drag.ghost.style.left = `${drag.x - drag.dx}px`;
  drag.ghost.style.top = `${drag.y - drag.dy}px`;
  scrollAtEdges();
  const column = document.elementFromPoint(drag.x, drag.y)?.closest("[data-stage]");
  document.querySelector("[data-stage].is-target")?.classList.remove("is-target");
  const list = column?.querySelector("[data-cards]");
  if (!list) return gap.remove();
  column.classList.add("is-target");
  const below = [...list.querySelectorAll("[data-card]:not(.is-dragged)")].find((card) => {
    const box = card.getBoundingClientRect();
    return drag.y < box.top + box.height / 2;
  });
  list.insertBefore(gap, below ?? null);
};

const drop = (keep) => {
  const { card, ghost, home, timer } = drag;
  clearTimeout(timer);
  drag = null;
  if (!ghost) return;
  const list = gap.parentNode;
  const moves = keep && list && columnOf(list) !== columnOf(card);
  if (moves) list.insertBefore(card, gap);
  gap.remove();
  if (moves) send(card, home);
  ghost.remove();
  card.classList.remove("is-dragged");
  document.documentElement.classList.remove("board-dragging");
  document.querySelector("[data-stage].is-target")?.classList.remove("is-target");
  addEventListener("click", stop, { capture: true, once: true }); // the click that ends a drag opens nothing
  setTimeout(() => removeEventListener("click", stop, true), 50);
};

const columnOf = (node) => node.closest("[data-stage]");
const stop = (event) => { event.preventDefault(); event.stopPropagation(); };

document.addEventListener("pointerdown", (event) => {
  const card = event.target.closest?.("[data-card]");
  if (!card || event.button || isMoving(card) || event.target.closest("button, form, input, select, .menu")) return;
  drag = { card, pointer: event.pointerId, touch: event.pointerType !== "mouse", x: event.clientX, y: event.clientY };
  if (drag.touch) drag.timer = setTimeout(() => drag && lift(), HOLD);
});

document.addEventListener("pointermove", (event) => {
  if (!drag || event.pointerId !== drag.pointer) return;
  const far = Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > SLIP;
  if (!drag.ghost && far && drag.touch) return drop(false);
  if (!drag.ghost && !far) return;
  Object.assign(drag, { x: event.clientX, y: event.clientY });
  if (drag.ghost) follow();
  else lift();
});

document.addEventListener("pointerup", () => drag && drop(true));
document.addEventListener("pointercancel", () => drag && drop(false));
document.addEventListener("touchmove", (event) => drag?.ghost && event.preventDefault(), { passive: false });
document.addEventListener("dragstart", (event) => event.target.closest?.("[data-card]") && event.preventDefault());
document.addEventListener("contextmenu", (event) => drag?.touch && event.preventDefault());

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && drag?.ghost) return drop(false);
  const card = event.target.matches?.("[data-card]") ? event.target : null;
  if (!card || isMoving(card)) return;
  if (event.code === "KeyM" && !event.ctrlKey && !event.metaKey) return card.querySelector("[popover]")?.showPopover();
  const side = event.altKey && { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling" }[event.key];
  const list = side && columnOf(card)[side]?.matches("[data-stage]") && columnOf(card)[side].querySelector("[data-cards]");
  if (!list) return;
  event.preventDefault();
  const home = placeOf(card);
  list.prepend(card);
  send(card, home);
});

listen();
