// Words that scripts say, translated by the server into <template id="texts" data-…>; and the current CSRF token.
// No side effects: may be imported from anywhere.
export const text = (name) => document.getElementById("texts")?.dataset[name] ?? "";

// The cookie is fresher than the page: signing in again in another tab changes it.
export const csrfToken = () => document.cookie.match(/(?:^|; )(?:__Host-)?crm_csrf=([^;]+)/)?.[1] ?? "";

export const toast = (message, level = "info", href = "") =>
  document.body.dispatchEvent(new CustomEvent("toast", { bubbles: true, detail: { text: message, level, href } }));

export const ask = (question, yes, danger = false) =>
  document.body.dispatchEvent(new CustomEvent("ask", { bubbles: true, detail: { question, yes, danger } }));
