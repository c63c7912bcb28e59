/* For the company's own site: a button that opens the chat in a frame. Until it is opened nothing is loaded, and until
   the visitor has written nothing is kept; then it is the token of their conversation, with this site. <script src=".../chat.js" data-chat="https://crm.example/chat/key/" defer></script> */
(function () {
  "use strict";
  var script = document.currentScript;
  var address = script && script.getAttribute("data-chat");
  if (!address || document.getElementById("crm-chat")) return;
  var label = script.getAttribute("data-label") || "Chat";
  var MARKS = /^(utm_\w+|gclid|yclid|ymclid|fbclid|gbraid|wbraid|vk_click_id|roistat)$/;
  var origin = new URL(address, location.href).origin;

  /* The page and the marks by which the visitor came: the chat passes them on with the first message. */
  function frameAddress() {
    var url = new URL(address, location.href);
    new URLSearchParams(location.search).forEach(function (value, name) {
      if (MARKS.test(name)) url.searchParams.set(name, value.slice(0, 300));
    });
    url.searchParams.set("page", location.href.split("#")[0].slice(0, 500));
    if (document.referrer) url.searchParams.set("referrer", document.referrer.slice(0, 500));
    return url.href;
  }

  var host = document.createElement("div");
  host.id = "crm-chat";
  var root = host.attachShadow({ mode: "open" });
  var sheet = new CSSStyleSheet();
  sheet.replaceSync(
    ":host{all:initial;display:flex;flex-direction:column;align-items:flex-end;position:fixed;inset:auto 16px 16px auto;z-index:2147483000;font:15px system-ui,sans-serif}" +
    "button{display:flex;gap:8px;align-items:center;padding:14px 18px;border:0;border-radius:28px;background:#4b45c6;color:#fff;font:inherit;cursor:pointer;box-shadow:0 4px 18px rgb(0 0 0/25%)}" +
    "button:focus-visible{outline:3px solid #adabff;outline-offset:2px}" +
    "iframe{display:block;width:min(380px,calc(100vw - 32px));height:min(560px,calc(100vh - 110px));margin-bottom:10px;border:0;border-radius:16px;box-shadow:0 8px 40px rgb(0 0 0/30%);background:#fff}" +
    "iframe[hidden]{display:none}b{min-width:20px;padding:1px 6px;border-radius:10px;background:#fff;color:#4b45c6;text-align:center}b[hidden]{display:none}"
  );
  root.adoptedStyleSheets = [sheet];
  var button = document.createElement("button"), dot = document.createElement("b"), frame = null;
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  button.append(document.createTextNode(label), dot);
  dot.hidden = true;
  root.append(button);

  function kept() {
    try { return localStorage.getItem("crm-chat:" + address) || ""; } catch (_error) { return ""; }
  }
  function keep(token) {
    try { localStorage.setItem("crm-chat:" + address, token); } catch (_error) { /* a browser that keeps nothing */ }
  }
  function tell() {
    if (frame && frame.contentWindow) frame.contentWindow.postMessage({ crmChat: frame.hidden ? "hidden" : "shown", token: kept() }, origin);
  }
  function toggle() {
    if (!frame) {
      frame = document.createElement("iframe");
      frame.title = label;
      frame.src = frameAddress();
      frame.addEventListener("load", tell);
      root.insertBefore(frame, button);
    } else {
      frame.hidden = !frame.hidden;
    }
    dot.hidden = true;
    button.setAttribute("aria-expanded", String(!frame.hidden));
    tell();
  }
  button.addEventListener("click", toggle);
  addEventListener("message", function (event) {
    if (event.origin !== origin || !frame || event.source !== frame.contentWindow || !event.data) return;
    if (event.data.crmChat === "close") { toggle(); button.focus(); }
    if (event.data.crmChat === "token") keep(String(event.data.token).slice(0, 300));
    if (event.data.crmChat === "unread" && frame.hidden) {
      dot.textContent = String(event.data.count);
      dot.hidden = !event.data.count;
    }
  });
  (document.body || document.documentElement).append(host);
})();
