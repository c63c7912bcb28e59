// A chart may be wider than the phone: the days up to now open at their end, anything else where its first bar stands.
function show(chart) {
  const bar = chart.querySelector("a .mark");
  if ("newest" in chart.dataset) chart.scrollLeft = chart.scrollWidth;
  else if (bar) chart.scrollLeft += bar.getBoundingClientRect().right - chart.getBoundingClientRect().right + 24;
}

const sized = new ResizeObserver((entries) => entries.forEach((entry) => show(entry.target)));
for (const chart of document.querySelectorAll(".chart")) sized.observe(chart);
