// Theme switch: takes effect at once, is kept on the server in the background.
import { csrfToken, text, toast } from "./texts.js";

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-theme-form]");
  if (!form || !event.submitter) return;
  event.preventDefault();
  const theme = event.submitter.value;
  document.documentElement.dataset.theme = theme;
  form.querySelectorAll("[aria-pressed]").forEach((button) => button.setAttribute("aria-pressed", button.value === theme));
  const headers = { "X-CSRFToken": csrfToken() };
  const body = new URLSearchParams({ theme, next: "/" });
  const answer = await fetch(form.action, { method: "POST", headers, body, redirect: "manual" }).catch(() => null);
  if (!answer || answer.status >= 400) toast(text("offline"), "error");
});
