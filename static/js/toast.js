// Says for a while what was just done, as the server's answer tells ("toast" in HX-Trigger) or another script;
// undo: {url, values} adds a button that takes it back.

const SHOWN_FOR = 12_000;

const region = document.getElementById("toasts");
let timer;

document.addEventListener("toast", ({ detail }) => {
  const toast = document.createElement("div");
  toast.className = "toast";
  const words = document.createElement("p");
  words.textContent = detail.text;
  toast.append(words);
  if (detail.undo) toast.append(undoButton(detail.undo));
  region.replaceChildren(toast);
  wait();
});

// It stays as long as someone is about to press it.
for (const busy of ["pointerenter", "focusin"]) region.addEventListener(busy, () => clearTimeout(timer));
for (const free of ["pointerleave", "focusout"]) region.addEventListener(free, wait);

function wait() {
  clearTimeout(timer);
  timer = setTimeout(() => region.replaceChildren(), SHOWN_FOR);
}

function undoButton({ url, values }) {
  const button = document.createElement("button");
  button.className = "button button-quiet";
  button.type = "button";
  button.dataset.key = "z";
  button.textContent = "Undo";
  button.addEventListener("click", () => {
    region.replaceChildren();
    htmx.ajax("POST", url, { values, target: "#dialog-body", swap: "innerHTML" });
  });
  return button;
}
