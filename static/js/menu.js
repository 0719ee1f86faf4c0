// Menus are <details>: this closes them at a press elsewhere, when the focus leaves, and at Escape.

const open = () => document.querySelectorAll("details.menu[open]");

document.addEventListener("click", (event) => closeOthers(event.target));
document.addEventListener("focusin", (event) => closeOthers(event.target));

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of open()) {
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector("summary").focus();
  }
});

function closeOthers(target) {
  for (const menu of open()) {
    if (!menu.contains(target)) menu.open = false;
  }
}
