// The lines of the chat: the visitor's own stand at once, paler until they are stored.
const list = document.getElementById("lines");
const line = (id) => list.querySelector(`[data-id="${CSS.escape(id)}"]`);

export function draw({ id, ours, text, at, by, file }, waiting = false) {
  const before = line(id);
  if (before) return before.removeAttribute("data-waiting");
  const item = document.createElement("li");
  item.className = ours ? "ours" : "theirs";
  item.dataset.id = id;
  if (waiting) item.dataset.waiting = "";
  const said = document.createElement("p");
  said.textContent = text;
  const when = document.createElement("time");
  when.textContent = [by, new Date(at).toLocaleTimeString([], { hour: "numeric", minute: "2-digit" })].filter(Boolean).join(" · ");
  if (text) item.append(said);
  if (file) {
    const link = document.createElement("a");
    link.textContent = file.name;
    link.href = file.url;
    link.download = "";
    const line = document.createElement("p");
    line.append("📎 ", link);
    item.append(line);
  }
  item.append(when);
  list.append(item);
  const log = list.parentElement;
  log.scrollTop = log.scrollHeight;
}

export function forget(id) {
  line(id)?.remove();
}
