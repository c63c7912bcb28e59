// Live page: one EventSource on body[data-live-url]. "notice" {text, href, level} → toast, bell, title;
// "refresh" {target} → event "live:<target>" on body, which htmx regions listen to. A tab hidden for five minutes
// lets go of its stream; when it is seen again it takes it up and says "live:wake".
// A stream begins with what the page, or the stream before it, has not heard of.
let url = document.body.dataset.liveUrl;
const PAUSE = 5 * 60 * 1000; // ms
const title = document.title;
let source = null;
let retry = 2000; // ms
let timer = 0;
let unread = 0;

const tell = (name, detail = {}) => document.body.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));

const ring = () => {
  const dot = document.querySelector("[data-bell-count]");
  if (dot) {
    const count = (parseInt(dot.textContent, 10) || 0) + 1;
    dot.textContent = count > 99 ? "99+" : count;
    dot.hidden = false;
  }
  if (document.hidden) document.title = `(${(unread += 1)}) ${title}`;
};

const read = (event) => {
  try { return JSON.parse(event.data); } catch { return {}; }
};

const open = () => {
  source = new EventSource(url);
  source.addEventListener("open", () => (retry = 2000));
  source.addEventListener("notice", (event) => {
    url = url.replace(/since=\d+/, `since=${event.lastEventId}`);
    tell("toast", read(event));
    ring();
  });
  source.addEventListener("refresh", (event) => tell(`live:${read(event).target}`));
  source.addEventListener("error", () => {
    if (source?.readyState !== EventSource.CLOSED) return; // the browser is trying again itself
    close();
    timer = setTimeout(open, retry);
    retry = Math.min(retry * 2, 60000);
  });
};

const close = () => {
  clearTimeout(timer);
  source?.close();
  source = null;
};

if (url) {
  open();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(timer);
      timer = setTimeout(close, PAUSE);
      return;
    }
    unread = 0;
    document.title = title;
    clearTimeout(timer);
    if (!source) {
      open();
      tell("live:wake");
    }
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", ({ persisted }) => persisted && !source && open());
}
