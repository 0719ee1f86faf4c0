// The dialog in which an appointment is booked and changed: "open-dialog" brings an address into it, "dialog-done"
// (in the server's answer) closes it. What was typed is not lost by a slip: closing asks first.

const dialog = document.getElementById("dialog");
const body = document.getElementById("dialog-body");

let changed = false;

document.addEventListener("open-dialog", ({ detail }) => {
  htmx.ajax("GET", detail, { target: body, swap: "innerHTML" });
});

document.addEventListener("dialog-done", () => {
  changed = false;
  dialog.close();
});

body.addEventListener("input", () => { changed = true; });

// Both ways out come here before dialog.js or the browser closes it.
document.addEventListener("click", (event) => {
  if (!event.target.closest("#dialog [data-close]") || mayClose()) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });

dialog.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !mayClose()) event.preventDefault();
});

dialog.addEventListener("cancel", (event) => {
  if (!mayClose()) event.preventDefault();
});

dialog.addEventListener("close", () => {
  changed = false;
  body.replaceChildren();
});

function mayClose() {
  if (!changed) return true;
  const asked = document.getElementById("unsaved").content.cloneNode(true);
  dialog.querySelector(".unsaved")?.remove();
  body.before(asked);
  dialog.querySelector(".unsaved button").focus();
  return false;
}

dialog.addEventListener("click", (event) => {
  const answer = event.target.closest("[data-unsaved]");
  if (!answer) return;
  dialog.querySelector(".unsaved").remove();
  if (answer.dataset.unsaved === "keep") return body.querySelector("input:not([type=hidden]), select, textarea")?.focus();
  changed = false;
  dialog.close();
});
