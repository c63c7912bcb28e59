// A long list of choices narrows to what is typed in the field of [data-narrow] (the list's id); nothing is asked of the server.
const plain = (text) => text.toLowerCase().replaceAll("ё", "е");

// On the way down: the form around it is not to take this for a change of its own (filters would ask for the list anew).
document.addEventListener("input", (event) => {
  const list = event.target.dataset?.narrow && document.getElementById(event.target.dataset.narrow);
  if (!list) return;
  event.stopPropagation();
  const words = plain(event.target.value).split(/\s+/).filter(Boolean);
  for (const item of list.children) item.hidden = !words.every((word) => plain(item.textContent).includes(word));
}, true);

// Enter in the field would send the form with nobody chosen.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.dataset?.narrow) return;
  event.preventDefault();
  const first = document.querySelector(`#${event.target.dataset.narrow} > :not([hidden]) input`);
  if (first && !first.checked) first.click();
  first?.focus();
});
