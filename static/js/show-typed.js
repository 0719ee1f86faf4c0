// A tick below passwords shows what is typed, for whoever sits alone.

document.addEventListener("DOMContentLoaded", () => offer(document.body));
document.addEventListener("htmx:load", (event) => offer(event.detail.elt));

function offer(part) {
  const forms = part.matches("form") ? [part] : part.querySelectorAll("form");
  for (const form of forms) {
    const fields = [...form.querySelectorAll("input[type=password]")];
    if (!fields.length || form.querySelector("[data-show-typed]")) continue;
    add(form, fields);
  }
}

function add(form, fields) {
  const row = document.createElement("div");
  const tick = document.createElement("input");
  const label = document.createElement("label");
  row.className = "check";
  tick.type = "checkbox";
  tick.id = label.htmlFor = `show-typed-${fields[0].id}`;
  tick.dataset.showTyped = "";
  label.textContent = "Show what I type";
  row.append(tick, label);
  tick.addEventListener("change", () => show(fields, tick.checked));
  // Browsers remember what was typed in a field that everyone may read.
  form.addEventListener("submit", () => { tick.checked = false; show(fields, false); });
  fields.at(-1).closest(".field").after(row);
}

function show(fields, shown) {
  for (const field of fields) field.type = shown ? "text" : "password";
}
