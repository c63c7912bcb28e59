// Global search: shows what htmx brings into [data-search-results], arrow keys walk it, Esc closes it.
const form = document.querySelector("form[data-search]");
const input = form?.querySelector("input[type=search]");
const results = form?.querySelector("[data-search-results]");

const close = () => (results.hidden = true);

if (form && results) {
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target === results) results.hidden = !input.value.trim() || !results.innerHTML.trim();
  });
  input.addEventListener("input", () => input.value.trim() || close());
  input.addEventListener("focus", () => results.innerHTML.trim() && input.value.trim() && (results.hidden = false));
  form.addEventListener("focusout", ({ relatedTarget }) => form.contains(relatedTarget) || setTimeout(close, 150));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return close();
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const links = [input, ...results.querySelectorAll("a[href]")];
    const next = links[links.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
    if (!next || results.hidden) return;
    event.preventDefault();
    next.focus();
  });
}
