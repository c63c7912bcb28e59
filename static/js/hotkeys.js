// Keyboard: [data-hotkey="x"] is clicked or focused by its key; j/k walk rows and cards; Enter opens; x picks the row; ? lists the keys.
// Never while typing. Keys go by their place on the board, so that they work in the Russian layout too.
const help = document.getElementById("help");
const BY_CODE = { Slash: ["/", "?"], Period: [".", ">"] };

const keyOf = (event) => {
  if (/^[a-z/?]$/i.test(event.key)) return event.key.toLowerCase();
  if (event.code?.startsWith("Key")) return event.code.slice(3).toLowerCase();
  return BY_CODE[event.code]?.[event.shiftKey ? 1 : 0] ?? event.key;
};

const typing = (element) =>
  element.matches?.("input:not([type=checkbox], [type=radio], [type=button]), textarea, select, [contenteditable=true]");

const visible = (element) => element.checkVisibility?.() ?? element.offsetParent !== null;

const rows = () => [...document.querySelectorAll("[data-row], [data-card]")].filter(visible);

const step = (direction) => {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(document.activeElement?.closest("[data-row], [data-card]"));
  const next = all[at < 0 ? (direction > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + direction))];
  const target = next.matches("[data-card]") ? next : next.querySelector("[data-open]") ?? next;
  target.focus();
  next.scrollIntoView({ block: "nearest" });
};

const pick = () => {
  const box = document.activeElement?.closest("[data-row]")?.querySelector("[data-check]");
  box?.click();
  return Boolean(box);
};

const showHelp = () => {
  const list = help.querySelector("[data-help-list]");
  list.replaceChildren();
  const seen = new Set();
  for (const element of document.querySelectorAll("[data-hotkey][data-hotkey-help]")) {
    if (seen.has(element.dataset.hotkey)) continue;
    seen.add(element.dataset.hotkey);
    const [term, words, key] = ["dt", "dd", "kbd"].map((name) => document.createElement(name));
    key.className = "kbd";
    key.textContent = element.dataset.hotkey;
    term.append(key);
    words.textContent = element.dataset.hotkeyHelp;
    list.append(term, words);
  }
  help.showModal();
};

const press = (key) => {
  const element = [...document.querySelectorAll(`[data-hotkey="${CSS.escape(key)}"]`)].find(visible);
  if (!element) return false;
  if (typing(element)) {
    element.focus();
    element.select?.();
  } else element.click();
  return true;
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  if (typing(event.target)) {
    if (event.key === "Escape" && !event.target.closest("dialog")) event.target.blur();
    return;
  }
  if (document.querySelector("dialog[open]") || event.target.closest?.("[popover]")) return;
  const key = keyOf(event);
  if (event.key === "Enter" && event.target.matches("[data-card], [data-row]")) {
    event.target.querySelector("[data-open], a[href]")?.click();
  } else if (press(key)) event.preventDefault();
  else if (key === "?") showHelp();
  else if (key === "x" && pick()) event.preventDefault();
  else if (key === "j" || key === "k") {
    event.preventDefault();
    step(key === "j" ? 1 : -1);
  }
});

document.addEventListener("click", ({ target }) => target.closest("[data-open-help]") && showHelp());
