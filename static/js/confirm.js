// Questions before an act: hx-confirm="…" and <form data-confirm="…"> ask in our own dialog, not in the browser's.
const dialog = document.getElementById("confirm");
let usual;

const ask = (question, yes, danger = false, verb = "") => {
  const [no, go] = dialog.querySelectorAll("button");
  usual ??= go.textContent;
  go.textContent = verb || usual; // an act that has a word of its own is asked for by it
  go.className = danger ? "btn btn-danger" : "btn btn-primary";
  dialog.querySelector("[data-confirm-text]").textContent = question;
  dialog.returnValue = "";
  dialog.addEventListener("close", () => dialog.returnValue === "yes" && yes(), { once: true });
  dialog.showModal();
  if (danger) no.focus();
};

document.addEventListener("ask", ({ detail }) => ask(detail.question, detail.yes, detail.danger));

document.addEventListener("htmx:confirm", (event) => {
  if (!event.detail.question) return;
  event.preventDefault();
  ask(event.detail.question, () => event.detail.issueRequest(true));
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.confirm || form.dataset.confirmed) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const submitter = event.submitter;
  const { confirm: question, verb } = form.dataset;
  ask(question, () => {
    form.dataset.confirmed = "1";
    form.requestSubmit(submitter);
    delete form.dataset.confirmed;
  }, "danger" in form.dataset || submitter?.classList.contains("btn-danger"), verb);
}, true);
