// The conversation in the card: the last message is in view, and stays so while somebody reads the end.
const NEAR = 80; // px from the end that count as the end
let atEnd = true;

const thread = () => document.getElementById("talk-thread");
const toEnd = () => {
  const box = thread();
  if (box) box.scrollTop = box.scrollHeight;
};

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const box = thread();
  if (box && detail.target === box) atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
});

document.addEventListener("htmx:afterSettle", ({ detail }) => {
  const sent = detail.requestConfig?.verb === "post";
  if (detail.elt?.id === "talk" || (detail.elt?.id === "talk-thread" && (atEnd || sent))) toEnd();
});

// A file beside (or instead of) the text: its name stands where "Attach a file" stood.
function attached(input) {
  const file = input.files[0];
  const name = input.closest("label").querySelector("[data-file-name]");
  name.textContent = file ? file.name : name.dataset.none;
  input.setCustomValidity(file && file.size > Number(input.dataset.most) ? input.dataset.large : "");
  input.reportValidity();
  if (input.form.elements.text) input.form.elements.text.required = !file;
}
document.addEventListener("change", ({ target }) => {
  if (target.matches?.("[data-attach]")) attached(target);
});
document.addEventListener("reset", ({ target }) => {
  const input = target.querySelector("[data-attach]");
  if (input) setTimeout(() => attached(input));
});

toEnd();
