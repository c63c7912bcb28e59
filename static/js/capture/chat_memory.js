// The visitor's token: kept once they have written, in this frame's storage and with the site's page that shows the frame,
// because browsers forget what a frame of another site has kept, or never let it keep anything.
let name = "", token = "", site = "";

export const told = () => token;

export function recall(key, wake) {
  name = `crm-chat:${key}`;
  try { token = localStorage.getItem(name) || ""; } catch { /* a browser that keeps nothing for frames */ }
  addEventListener("message", ({ source, origin, data }) => {
    if (source !== parent || typeof data?.crmChat !== "string") return;
    site = origin;
    if (!token && typeof data.token === "string" && data.token) {
      token = data.token;
      wake();
    }
  });
}

export function keep(value) {
  token = value;
  try { localStorage.setItem(name, value); } catch { /* the site's page keeps it */ }
  if (site && site !== "null") parent.postMessage({ crmChat: "token", token }, site);
}
