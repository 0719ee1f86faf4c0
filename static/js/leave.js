// A page that was left open clears itself once its session is over. Asking does not keep the session awake.

const SPARE = 2000;
const AGAIN = 60000;

let timer;

if (document.body.dataset.sessionSeconds) {
  wait(Number(document.body.dataset.sessionSeconds) * 1000 + SPARE);
  // Timers stand still while a computer sleeps, and in a page that the Back button brings back.
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  window.addEventListener("pageshow", (event) => { if (event.persisted) ask(); });
}

function wait(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(ask, milliseconds);
}

async function ask() {
  clearTimeout(timer);
  try {
    const answer = await fetch("/session", { headers: { "X-Background": "1" }, cache: "no-store" });
    if (answer.status === 401) return leave();
    if (answer.ok) return wait((await answer.json()).seconds * 1000 + SPARE);
  } catch {
    // The server cannot be reached just now.
  }
  wait(AGAIN);
}

function leave() {
  document.body.replaceChildren();
  location.replace("/sign-in");
}
