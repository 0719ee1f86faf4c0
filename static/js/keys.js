// A key alone presses what carries it: [data-key="t"]. Never while someone types or a dialog is open.

const TYPING = "input, select, textarea, [contenteditable]";

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest(TYPING) || document.querySelector("dialog[open]")) return;
  if (event.key.startsWith("Arrow") && scrollsSideways(event.target)) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target) return;
  event.preventDefault();
  target.click();
});

function scrollsSideways(element) {
  return element !== document.body && element.scrollWidth > element.clientWidth;
}
