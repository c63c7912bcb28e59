// A long list of choices narrows to what is typed in the field of [data-narrow] (the list's id); nothing is asked of the server.
const plain = (text) => text.toLowerCase().replaceAll("ё", "е");

document.addEventListener("input", ({ target }) => {
  const list = target.dataset?.narrow && document.getElementById(target.dataset.narrow);
  if (!list) return;
  const words = plain(target.value).split(/\s+/).filter(Boolean);
  for (const item of list.children) item.hidden = !words.every((word) => plain(item.textContent).includes(word));
});

// Enter in the field would send the form with nobody chosen.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.dataset?.narrow) return;
  event.preventDefault();
  const first = document.querySelector(`#${event.target.dataset.narrow} > :not([hidden]) input`);
  if (first) { first.checked = true; first.focus(); }
});
