// The conversation in the card: the last message is in view, and stays so while somebody reads the end.
const NEAR = 80; // px from the end that count as the end
let atEnd = true;

const thread = () => document.getElementById("talk-thread");
const toEnd = () => {
  const box = thread();
  if (box) box.scrollTop = box.scrollHeight;
};

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const box = thread();
  if (box && detail.target === box) atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
});

document.addEventListener("htmx:afterSettle", ({ detail }) => {
  const sent = detail.requestConfig?.verb === "post";
  if (detail.elt?.id === "talk" || (detail.elt?.id === "talk-thread" && (atEnd || sent))) toEnd();
});

toEnd();
