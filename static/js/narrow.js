// A field with data-narrows="#list" shows only the entries of that list that hold every word typed,
// and those that are ticked.

document.addEventListener("input", (event) => {
  const field = event.target.closest("[data-narrows]");
  if (field) narrow(document.querySelector(field.dataset.narrows), field.value);
});

// Enter looks for more, it does not send the form.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.closest("[data-narrows]")) event.preventDefault();
});

function narrow(list, text) {
  const words = plain(text).split(/\s+/);
  for (const entry of list.children) {
    const name = plain(entry.textContent);
    const ticked = entry.querySelector("input").checked;
    entry.hidden = !ticked && !words.every((word) => name.includes(word));
  }
}

// So that "zoe" finds "Zoë".
function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}
