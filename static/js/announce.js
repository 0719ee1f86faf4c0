// Says aloud, to screen readers only, what another script dispatches as "announce".

const region = document.getElementById("announcer");

document.addEventListener("announce", (event) => {
  // Emptied first, so that the same words twice are read twice.
  region.textContent = "";
  setTimeout(() => { region.textContent = event.detail; }, 50);
});
