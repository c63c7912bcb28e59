// One <dialog id="dialog">, filled by htmx. <a href data-dialog> loads into it; HX-Trigger "dialog:close", Esc and
// [data-close] close it; focus goes back to where it was (the browser does that for modal dialogs).
import { ask, text } from "./texts.js";

const dialog = document.getElementById("dialog");
// A dialog that stands as a page of its own sends its form as pages do: an answer in a dialog would stand over itself.
for (const form of document.querySelectorAll('.dialog-page form[hx-target="#dialog"]')) form.removeAttribute("hx-post");
document.querySelector('.dialog-page [aria-invalid="true"]')?.focus();
let dirty = false;

const plain = (event) => event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;

const close = () => {
  dirty = false;
  dialog.close();
};

const leave = () => (dirty ? ask(text("discard"), close, true) : close());

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener && plain(event)) {
    event.preventDefault();
    opener.closest("[popover]")?.hidePopover();
    htmx.ajax("GET", opener.dataset.dialog || opener.href, { target: "#dialog", swap: "innerHTML" });
  }
  const closer = event.target.closest("[data-close]");
  if (closer && dialog.contains(closer)) leave();
  else if (closer) closer.closest("dialog")?.close();
});

const FIRST = ['[aria-invalid="true"]', "[autofocus]", "input:not([type=hidden]), select, textarea", ".btn-primary"];
const focusFirst = () => FIRST.map((wanted) => dialog.querySelector(wanted)).find(Boolean)?.focus();

document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target !== dialog) return;
  if (!dialog.innerHTML.trim()) return close();
  if (!dialog.open) {
    dirty = false;
    dialog.showModal();
  }
  dialog.scrollTop = 0;
  focusFirst();
});

document.addEventListener("dialog:close", close);
dialog?.addEventListener("input", () => (dirty = true));
dialog?.addEventListener("close", () => dialog.replaceChildren());
dialog?.addEventListener("cancel", (event) => {
  if (event.target !== dialog) return; // a file chooser inside says "cancel" too
  event.preventDefault();
  leave();
});
dialog?.addEventListener("pointerdown", (event) => {
  if (event.target === dialog && !dirty) close(); // the backdrop; a half-filled form stays
});
