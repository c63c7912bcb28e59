// On a phone a strip of tabs is wider than the screen: the tab of this page is brought into sight.
for (const tab of document.querySelectorAll(".tabs > [aria-current]")) {
  const strip = tab.parentElement;
  if (strip.scrollWidth > strip.clientWidth) strip.scrollLeft = tab.offsetLeft - strip.offsetLeft - 16;
}
