// A strip of tabs may be wider than its place: the tab of this page is brought into sight, past what stands fast at the end.
function show() {
  for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
    const strip = tab.closest(".tabs"), item = tab.closest(".tab-item") ?? tab, fast = strip.querySelector(".tab-action");
    const start = item.offsetLeft - strip.offsetLeft, room = strip.clientWidth - (fast ? fast.offsetWidth : 0);
    if (start < strip.scrollLeft || start + item.offsetWidth > strip.scrollLeft + room) strip.scrollLeft = start - 40;
  }
}
show();
document.addEventListener("htmx:oobAfterSwap", show);
