"use strict";
// Shows the note of what is pointed at in a chart; without scripts the page only lacks this.
const tip = document.getElementById("tip");
function show(event) {
  const mark = event.target.closest && event.target.closest("[data-note]");
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.dataset.note;
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = Math.max(8, Math.min(event.clientX + 12, room)) + "px";
  tip.style.top = Math.max(8, event.clientY - tip.offsetHeight - 14) + "px";
}
document.addEventListener("pointermove", show);
document.addEventListener("pointerdown", show);
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
