/* For the company's own site: gives forms the marks of the visit, and, after crmConsent(true), notes the pages seen.
   No cookies. Nothing is kept in the browser beyond the tab before the visitor has agreed. */
(function () {
  "use strict";
  var script = document.currentScript;
  var address = script && script.getAttribute("data-visits");
  var MARKS = /^(utm_\w+|gclid|yclid|ymclid|fbclid|gbraid|wbraid|vk_click_id|roistat)$/;
  var TAB = "crm_marks", AGREED = "crm_consent", VISITOR = "crm_visitor";

  function stored(store, name) {
    try { return window[store].getItem(name); } catch (error) { return null; }
  }
  function keep(store, name, value) {
    try {
      if (value === null) window[store].removeItem(name);
      else window[store].setItem(name, value);
    } catch (error) { /* a browser that keeps nothing */ }
  }

  /* The marks of the page by which the visitor came, for as long as the tab is open. */
  function marks() {
    var found = {}, any = false;
    new URLSearchParams(location.search).forEach(function (value, name) {
      if (MARKS.test(name) && value) { found[name] = value.slice(0, 500); any = true; }
    });
    var before = null;
    try { before = JSON.parse(stored("sessionStorage", TAB)); } catch (error) { before = null; }
    if (before && !any) return before;
    found.landing = location.href.split("#")[0].slice(0, 500);
    if (document.referrer) found.referrer = document.referrer.slice(0, 500);
    keep("sessionStorage", TAB, JSON.stringify(found));
    return found;
  }

  function agreed() {
    return stored("localStorage", AGREED) === "1";
  }
  function fresh() {
    if (window.crypto && crypto.randomUUID) return crypto.randomUUID();
    return "xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx".replace(/x/g, function () {
      return Math.floor(Math.random() * 16).toString(16);
    });
  }
  function visitor() {
    if (!agreed()) return "";
    var id = stored("localStorage", VISITOR) || fresh();
    keep("localStorage", VISITOR, id);
    return id;
  }

  function fill(form) {
    var values = marks();
    var id = visitor();
    if (id) values.visitor_id = id;
    Object.keys(values).forEach(function (name) {
      var input = form.elements.namedItem(name);
      if (!input) {
        input = document.createElement("input");
        input.type = "hidden";
        input.name = name;
        form.appendChild(input);
      }
      if (!input.value) input.value = values[name];
    });
  }

  var told = "";
  function see() {
    var url = location.href.split("#")[0];
    if (!address || !agreed() || told === url || !navigator.sendBeacon) return;
    told = url;
    var view = { v: visitor(), u: url.slice(0, 500), t: document.title.slice(0, 200), r: document.referrer.slice(0, 500) };
    navigator.sendBeacon(address, JSON.stringify(view));
  }

  window.crmConsent = function (yes) {
    keep("localStorage", AGREED, yes ? "1" : null);
    if (!yes) keep("localStorage", VISITOR, null);
    else see();
  };

  function start() {
    marks();
    document.querySelectorAll("form[data-crm-form]").forEach(function (form) {
      form.addEventListener("submit", function () { fill(form); });
    });
    see();
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
