// Popover menus: placed at the button that opened them, arrow keys inside. The popover attribute does the rest.
const GAP = 4; // px

const place = (menu, button) => {
  const at = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const right = menu.classList.contains("menu-end") || at.left + width > innerWidth - 8;
  const left = right ? at.right - width : at.left;
  const below = at.bottom + GAP + height < innerHeight || at.top < height + GAP;
  menu.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  menu.style.top = `${below ? at.bottom + GAP : at.top - height - GAP}px`;
  menu.classList.add("is-placed");
};

const items = (menu) => [...menu.querySelectorAll("a[href], button:not(:disabled), select, input:not([type=hidden])")];

document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!menu.matches?.(".menu[popover]")) return;
  const button = document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);
  button?.setAttribute("aria-expanded", event.newState === "open");
  if (event.newState !== "open" || !button) return;
  place(menu, button);
  if (document.activeElement === button || document.activeElement?.matches("[data-card]")) items(menu)[0]?.focus();
}, true);

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.(".menu:popover-open");
  if (!menu || !["ArrowDown", "ArrowUp"].includes(event.key) || event.target.matches("select, input")) return;
  event.preventDefault();
  const all = items(menu);
  const step = event.key === "ArrowDown" ? 1 : -1;
  all[(all.indexOf(document.activeElement) + step + all.length) % all.length]?.focus();
});

// A menu does not stay at a place that has moved away.
addEventListener("resize", () => document.querySelectorAll(".menu:popover-open").forEach((menu) => menu.hidePopover()));
