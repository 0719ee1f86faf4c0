// Search: `/` opens the dialog from everywhere; the arrows walk through what was found (a combobox, ARIA 1.2),
// Enter goes there, or to the page with all results. Nothing of it stays once the dialog is closed.

const dialog = document.getElementById("search");
const field = document.getElementById("search-field");
const results = document.getElementById("search-results");

const options = () => [...results.querySelectorAll("[role='option']")];
const chosen = () => results.querySelector("[aria-selected='true']");

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  // For a moment after it is closed, the dialog's own field still has the focus.
  const types = event.target !== field && isTyping(event.target);
  if (!dialog || types || document.querySelector("dialog[open], [popover]:popover-open")) return;
  event.preventDefault();
  dialog.showModal();
});

field?.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") walk(1);
  else if (event.key === "ArrowUp") walk(-1);
  else if (event.key === "Enter" && chosen()) chosen().click();
  else if (event.key === "Escape") leave(); // which the browser would spend on emptying the field
  else return;
  event.preventDefault();
});

// What was found for other letters cannot be chosen any more.
field?.addEventListener("input", () => {
  choose(null);
  if (!field.value.trim()) show("");
});

// An answer that comes late would open the dialog again.
field?.addEventListener("htmx:beforeRequest", (event) => {
  if (!dialog.open || !field.value.trim()) event.preventDefault();
});

results?.addEventListener("htmx:beforeSwap", (event) => {
  if (!dialog.open || !field.value.trim()) event.detail.shouldSwap = false;
});

results?.addEventListener("htmx:afterSettle", () => {
  field.setAttribute("aria-expanded", String(options().length > 0));
});

dialog?.addEventListener("close", () => {
  field.value = "";
  show("");
});

function leave() {
  field.value = "";
  field.blur();
  dialog.close();
}

function isTyping(element) {
  return element.isContentEditable || element.matches("input, select, textarea");
}

function walk(step) {
  const all = options();
  if (!all.length) return;
  const at = all.indexOf(chosen());
  choose(all[at < 0 && step < 0 ? all.length - 1 : (at + step + all.length) % all.length]);
}

function choose(option) {
  chosen()?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option) field.setAttribute("aria-activedescendant", option.id);
  else field.removeAttribute("aria-activedescendant");
}

function show(words) {
  results.replaceChildren(words);
  field.setAttribute("aria-expanded", "false");
  field.removeAttribute("aria-activedescendant");
}
