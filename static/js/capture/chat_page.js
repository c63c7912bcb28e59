import { draw, forget } from "./chat_lines.js";
import { keep, recall, told } from "./chat_memory.js";
// The chat's page: what the visitor writes goes out at once, answers are asked for every second and a half while it is
// open.
const { key, say, lines: address, failed, wait, thanks } = document.body.dataset;
const QUICK = 1500; // ms
const SLOW = 8000; // ms, while the chat is closed or nothing has been said for long
const write = document.getElementById("write");
const contact = document.getElementById("contact");
const leave = document.getElementById("leave");
const problem = document.getElementById("problem");
const shown = new Set();
const page = Object.fromEntries(new URLSearchParams(location.search));
let after = "0-0";
let open = true;
let unread = 0;
let last = Date.now();
let timer = 0;
let known = false; // whether a contact has been given, as far as this page knows

function complain(text) {
  problem.textContent = text;
  problem.hidden = !text;
}

async function send(body) {
  const response = await fetch(say, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...page, token: told(), ...body }) })
    .catch(() => { throw new Error(failed); }); // the browser's own words for a lost network are in no visitor's language
  if (response.status === 429) throw new Error(wait);
  if (!response.ok) throw new Error(failed);
  const answer = await response.json();
  keep(answer.token);
  presence(answer.online);
  return answer;
}

function presence(online) {
  document.body.toggleAttribute("data-online", online);
  if (!online && told() && !known) offer(); // nobody is here: we need something to answer to
}

write.addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = write.elements.text.value.trim();
  if (!text) return;
  const id = crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`;
  draw({ id, ours: false, text, at: Date.now() }, true);
  write.reset();
  complain("");
  try {
    await send({ id, text });
    last = Date.now();
    ask();
  } catch (error) {
    forget(id);
    write.elements.text.value = text;
    complain(error.message || failed);
  }
});
write.elements.text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    write.requestSubmit();
  }
});

function offer() { // its form takes the place of the button, and what was said last stays in sight
  [contact.hidden, leave.hidden] = [false, true];
  document.getElementById("log").scrollTop = 1e6;
}
leave.addEventListener("click", () => { offer(); contact.elements.name.focus(); });
document.getElementById("later").addEventListener("click", () => { [contact.hidden, leave.hidden] = [true, false]; complain(""); });
contact.addEventListener("submit", async (event) => {
  event.preventDefault();
  complain("");
  try {
    await send(Object.fromEntries(new FormData(contact)));
    known = true;
    contact.hidden = true;
    leave.hidden = true;
    draw({ id: "thanks", ours: true, text: thanks, at: Date.now() });
  } catch (error) {
    complain(error.message || failed);
  }
});

async function ask() {
  clearTimeout(timer);
  if (told()) {
    try {
      const response = await fetch(`${address}?after=${after}`, { headers: { "X-Chat-Token": told() } });
      if (response.ok) take(await response.json());
    } catch { /* the network is away for a moment */ }
  }
  timer = setTimeout(ask, open && !document.hidden && Date.now() - last < 10 * 60 * 1000 ? QUICK : SLOW);
}

function take({ lines, after: cursor, online }) {
  const fresh = lines.filter(({ id }) => !shown.has(id));
  fresh.forEach((line) => { shown.add(line.id); draw(line); });
  if (fresh.length) last = Date.now();
  if (after !== "0-0" && !open) unread += fresh.filter(({ ours }) => ours).length;
  after = cursor;
  document.body.toggleAttribute("data-online", online);
  if (!open && unread) parent.postMessage({ crmChat: "unread", count: unread }, "*");
}

addEventListener("message", ({ source, data }) => {
  if (source !== parent || !data?.crmChat) return;
  open = data.crmChat === "shown";
  if (open) { unread = 0; ask(); }
});
const close = document.getElementById("close"); // of the frame
close.hidden = parent === window;
close.onclick = () => parent.postMessage({ crmChat: "close" }, "*");
document.addEventListener("visibilitychange", () => document.hidden || ask());
recall(key, () => { known = true; ask(); });
known = Boolean(told()); // who has been here before
ask();
