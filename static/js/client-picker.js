// A combobox (ARIA 1.2) that finds clients: arrows walk through what was found, Enter takes what they have reached or
// the first, a press takes any, and it joins the chosen as a ticked box. Without script the letters typed are sent
// with the form.

const picker = (element) => element.closest?.("[data-picker]");
const options = (box) => [...box.querySelectorAll(".option:not([aria-disabled])")];
const selected = (box) => box.querySelector(".option[aria-selected='true']");

document.addEventListener("keydown", (event) => {
  if (!event.target.matches("[data-picker] [role='combobox']")) return;
  const box = picker(event.target);
  if (event.key === "ArrowDown" || event.key === "ArrowUp") walk(box, event.key === "ArrowDown" ? 1 : -1);
  else if (event.key === "Enter") takeWhatIsMeant(box);
  else if (event.key === "Escape" && isOpen(box)) close(box);
  else return;
  event.preventDefault();
  event.stopPropagation();
}, true);

document.addEventListener("click", (event) => {
  const option = event.target.closest("[data-picker] .option");
  if (option) take(picker(option), option);
  for (const box of document.querySelectorAll("[data-picker]")) {
    if (!box.contains(event.target)) close(box);
  }
});

document.addEventListener("htmx:afterSettle", (event) => {
  const box = picker(event.detail.elt);
  if (!box || event.detail.elt.id !== "found") return;
  sayWhetherOpen(box);
  if (box.dataset.waiting) takeWhatIsMeant(box);
});

// Whoever types quicker than the server answers means what will be found, not what was found before.
function takeWhatIsMeant(box) {
  const field = box.querySelector("[role='combobox']");
  const found = box.querySelector("[role='listbox']");
  const text = field.value.trim().split(/\s+/).join(" ");
  delete box.dataset.waiting;
  if (!text) return;
  if (found.dataset.text !== text) box.dataset.waiting = "yes";
  else take(box, selected(box) ?? options(box).find((option) => option.dataset.client));
}

function walk(box, step) {
  const all = options(box);
  if (!all.length) return;
  const at = all.indexOf(selected(box));
  const next = all[(at + step + all.length + (at < 0 && step < 0 ? 1 : 0)) % all.length];
  selected(box)?.setAttribute("aria-selected", "false");
  next.setAttribute("aria-selected", "true");
  next.scrollIntoView({ block: "nearest" });
  box.querySelector("[role='combobox']").setAttribute("aria-activedescendant", next.id);
}

function take(box, option) {
  if (!option || option.hasAttribute("aria-disabled")) return;
  if (option.dataset.client) choose(box, option);
  else htmx.trigger(option, "pick");
  const field = box.querySelector("[role='combobox']");
  field.value = "";
  field.focus();
  close(box);
}

function choose(box, option) {
  const chosen = box.querySelector("#chosen");
  const known = chosen.querySelector(`input[value="${option.dataset.client}"]`);
  if (known) {
    known.checked = true;
    return;
  }
  const chip = document.getElementById("chip").content.cloneNode(true);
  chip.querySelector("input").value = option.dataset.client;
  chip.querySelector("label").append(option.textContent.trim());
  chosen.append(chip);
}

function isOpen(box) {
  return !box.querySelector("[role='listbox']").hidden;
}

function close(box) {
  box.querySelector("[role='listbox']").hidden = true;
  sayWhetherOpen(box);
}

function sayWhetherOpen(box) {
  const field = box.querySelector("[role='combobox']");
  field.setAttribute("aria-expanded", String(isOpen(box)));
  if (!isOpen(box) || !selected(box)) field.removeAttribute("aria-activedescendant");
}
