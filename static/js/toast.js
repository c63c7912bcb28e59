// Toasts: HX-Trigger {"toast": {"text", "level", "href"}}, the same event from scripts, and Django's messages.
// Good news goes away by itself; errors stay until they are closed.
const region = document.getElementById("toasts");
const LIFE = { success: 5000, info: 6000, warning: 12000, hot: 15000 }; // ms

const button = (label) => {
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn btn-icon btn-ghost btn-sm";
  close.dataset.toastClose = "";
  close.setAttribute("aria-label", label);
  close.textContent = "×";
  return close;
};

const raise = () => {
  // The top layer: above an open dialog.
  if (!region.showPopover) return;
  region.popover = "manual";
  if (region.matches(":popover-open")) region.hidePopover();
  region.showPopover();
};

const expire = (toast) => {
  const life = LIFE[toast.dataset.level];
  if (!life) return;
  const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : toast.remove());
  setTimeout(leave, life);
};

const show = ({ text, level = "info", href = "" }) => {
  if (!text) return;
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.dataset.level = level;
  const words = document.createElement("span");
  words.className = "toast-text";
  words.textContent = text;
  toast.append(words);
  if (href.startsWith("/")) {
    const link = document.createElement("a");
    link.className = "btn btn-sm";
    link.href = href;
    link.textContent = region.dataset.openLabel;
    toast.append(link);
  }
  toast.append(button(region.dataset.closeLabel));
  const alert = level === "error" || level === "warning";
  region.querySelector(alert ? ".toasts-alert" : ".toasts-polite").append(toast);
  raise();
  expire(toast);
};

if (region) {
  document.addEventListener("toast", ({ detail }) => show(typeof detail.value === "string" ? { text: detail.value } : detail));
  region.addEventListener("click", ({ target }) => {
    if (target.closest("[data-toast-close]")) target.closest(".toast").remove();
  });
  region.querySelectorAll(".toast").forEach(expire);
}
