// Half-written texts: <form data-draft="key"> is kept in this browser while it is typed and comes back after an expired
// session or a closed tab. A successful submit clears it; signing out clears all of them.
import { text, toast } from "./texts.js";

const user = document.body.dataset.user ?? "";
const SENT = "draft-sent";
const SKIP = ["hidden", "password", "file", "submit", "button"];

const storage = {
  get: (key) => { try { return localStorage.getItem(key); } catch { return null; } },
  set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* full or forbidden: no drafts, no harm */ } },
  drop: (key) => { try { localStorage.removeItem(key); } catch { /* as above */ } },
};

const keyOf = (form) => `draft:${user}:${form.dataset.draft}`;
const fields = (form) => [...form.elements].filter((field) => field.name && !SKIP.includes(field.type));
const isBox = (field) => field.type === "checkbox" || field.type === "radio";

const save = (form) => {
  const texts = fields(form).some((field) => !isBox(field) && field.tagName !== "SELECT" && field.value.trim());
  if (!texts) return storage.drop(keyOf(form));
  storage.set(keyOf(form), JSON.stringify(fields(form).map((f) => [f.name, isBox(f) ? f.checked : f.value, f.value])));
};

const fill = (field, value) => {
  if (isBox(field)) field.checked = value;
  else if (field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value)) field.value = value;
};

const restore = (form) => {
  if (form.dataset.draftRestored || form.querySelector('[aria-invalid="true"]')) return;
  form.dataset.draftRestored = "1";
  let kept;
  try { kept = JSON.parse(storage.get(keyOf(form)) ?? "null"); } catch { kept = null; }
  if (!Array.isArray(kept)) return;
  for (const [name, value, own] of kept) {
    const field = fields(form).find((f) => f.name === name && (!isBox(f) || f.value === own));
    if (field) fill(field, value);
  }
  form.closest("details")?.setAttribute("open", "");
  toast(text("restored"), "info");
};

const restoreIn = (root) => {
  if (!user) return;
  if (root.matches?.("form[data-draft]")) restore(root);
  root.querySelectorAll?.("form[data-draft]").forEach(restore);
};

document.addEventListener("input", ({ target }) => {
  const form = target.form?.dataset.draft !== undefined ? target.form : null;
  if (form) save(form);
});

// A plain submit leaves the page: the draft goes when the next page is ours. The sign-in page takes the mark back,
// for then nothing was saved.
document.addEventListener("submit", ({ target }) => {
  if (target.matches("[data-logout]")) {
    for (const key of Object.keys(localStorage)) if (key.startsWith("draft:")) storage.drop(key);
  } else if (target.dataset.draft !== undefined && !target.hasAttribute("hx-post")) storage.set(SENT, keyOf(target));
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const form = detail.elt?.closest?.("form[data-draft]");
  const sent = form && detail.requestConfig?.verb !== "get" && detail.successful;
  if (sent && detail.xhr.status < 300) storage.drop(keyOf(form));
});

const sent = storage.get(SENT);
if (sent && user) storage.drop(sent);
if (sent) storage.drop(SENT);
restoreIn(document);
document.addEventListener("htmx:load", ({ detail }) => restoreIn(detail.elt));
