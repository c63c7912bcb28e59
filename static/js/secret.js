// Shows and hides a password: button[data-secret="id of the input"].
for (const button of document.querySelectorAll("[data-secret]")) {
  const input = document.getElementById(button.dataset.secret);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", shown);
    input.focus();
  });
}
