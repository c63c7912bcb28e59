// Copy buttons: [data-copy="text"] or [data-copy-from="#selector"].
import { text, toast } from "./texts.js";

const legacy = (value) => {
  // Without HTTPS (a server in the office network) the clipboard API is closed.
  const area = document.createElement("textarea");
  area.value = value;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
};

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  const from = button.dataset.copyFrom && document.querySelector(button.dataset.copyFrom);
  const value = from ? from.value ?? from.textContent.trim() : button.dataset.copy;
  if (navigator.clipboard) await navigator.clipboard.writeText(value).catch(() => legacy(value));
  else legacy(value);
  button.focus();
  toast(text("copied"), "success");
});
