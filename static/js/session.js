// What htmx and forms share: a fresh CSRF token, clean addresses, and words for every failed request.
// An expired session answers 401 with HX-Redirect, which htmx follows; drafts.js has kept the text.
import { csrfToken, text, toast } from "./texts.js";

const SAYS = { 403: "denied", 404: "denied", 410: "denied", 409: "conflict", 413: "large", 429: "slow" };

document.addEventListener("htmx:configRequest", ({ detail }) => {
  const token = csrfToken();
  if (token) detail.headers["X-CSRFToken"] = token;
  if (detail.verb !== "get") return;
  for (const [name, value] of [...detail.formData.entries()]) {
    if (value === "") detail.formData.delete(name); // an unused filter does not belong in the address
  }
});

document.addEventListener("submit", ({ target }) => {
  const field = target.elements?.namedItem("csrfmiddlewaretoken");
  const token = csrfToken();
  if (field && token) field.value = token;
}, true);

document.addEventListener("htmx:responseError", ({ detail: { xhr } }) => {
  const told = /"toast"/.test(xhr.getResponseHeader("HX-Trigger") ?? "");
  if (told || xhr.status === 401) return;
  const own = xhr.status === 409 && /^text\/plain/.test(xhr.getResponseHeader("Content-Type") ?? "");
  toast(own ? xhr.responseText : text(SAYS[xhr.status] ?? "failed"), "error");
});

for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, () => toast(text("offline"), "error"));
}
