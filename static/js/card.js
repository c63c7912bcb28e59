// The lead's card: Esc leaves a field as it was, Ctrl+Enter saves a text, a saved note leaves its box empty.
document.addEventListener("keydown", (event) => {
  const form = event.target.form;
  if (!form) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  }
  if (event.key === "Escape" && form.closest(".fact-form")) {
    event.preventDefault();
    event.stopPropagation();
    form.querySelector("[data-cancel]")?.click();
  }
}, true);

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const form = detail.elt?.closest?.("form[data-clear]");
  if (form && detail.successful && detail.xhr.status < 300) form.reset();
});

// Where a field was being edited the focus stays, for keyboards and screen readers.
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  const fact = detail.elt?.matches?.(".fact:not(.fact-form)") && detail.requestConfig?.elt?.closest?.(".fact-form, .fact");
  if (fact) detail.elt.querySelector(".fact-edit, .fact-add")?.focus();
});
