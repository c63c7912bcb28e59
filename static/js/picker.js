// Several of many: the button of [data-picker] says what is ticked in its popover.
const label = (picker) => {
  const text = picker.querySelector("[data-picker-text]");
  const chosen = [...picker.querySelectorAll("input:checked")].map((box) => box.nextElementSibling.textContent);
  text.textContent = chosen.length > 1 ? `${chosen[0]} +${chosen.length - 1}` : chosen[0] ?? text.dataset.any;
};

document.addEventListener("change", ({ target }) => {
  const picker = target.closest("[data-picker]");
  if (picker) label(picker);
});
