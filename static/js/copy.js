// A press on [data-copy="#field"] copies that field's text and says so, on the button and aloud.

const SHOWN_FOR = 2500;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.querySelector(button.dataset.copy);
  if (await written(field.value)) return say(button, "Copied");
  say(button, copiedByHand(field, button) ? "Copied" : "Selected, now copy");
});

async function written(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

// Over plain http there is no clipboard; the old way needs the text selected, and leaves it so if refused.
function copiedByHand(field, button) {
  field.focus();
  field.select();
  if (!document.execCommand("copy")) return false;
  button.focus();
  return true;
}

function say(button, words) {
  const label = button.querySelector("[data-copy-label]");
  button.dataset.label ??= label.textContent;
  label.textContent = words;
  document.dispatchEvent(new CustomEvent("announce", { detail: words }));
  clearTimeout(Number(button.dataset.timer));
  button.dataset.timer = setTimeout(() => { label.textContent = button.dataset.label; }, SHOWN_FOR);
}
