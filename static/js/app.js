// What happens when htmx brings an answer: which answers are swapped in, where the focus goes.

// A refused form (409, 422 and their like) comes back as the same fragment with its errors, so it is
// swapped in like any other. A whole page is never put inside a page: its message is shown instead.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (xhr.status < 400) return;
  const page = /^\s*<!doctype/i.test(xhr.responseText);
  event.detail.shouldSwap = xhr.status < 500 && !page;
  event.detail.isError = !event.detail.shouldSwap;
  if (event.detail.isError) showFailure(messageIn(xhr.responseText));
  // What is shown above the page would lie behind an open question.
  if (xhr.getResponseHeader("HX-Retarget") === "#flashes") hidePopovers();
});

document.addEventListener("htmx:sendError", () => {
  showFailure("The server cannot be reached. Please check your connection and try again.");
});

document.addEventListener("htmx:timeout", () => {
  showFailure("The server did not answer in time. Please look whether the change was made.");
});

// In what arrives, the first fault takes the focus, else what asks for it, else (so that it is not lost with
// what was swapped out) the place that the request's address names; the outcome is said aloud. What a page
// renews by itself disturbs nobody.
document.addEventListener("htmx:afterSettle", (event) => {
  const { elt: arrived, pathInfo, requestConfig } = event.detail;
  if (requestConfig?.headers["X-Background"]) return;
  const words = firstOf(arrived, "[data-announce]");
  if (words) announce(words.dataset.announce);
  const target = firstOf(arrived, "[aria-invalid='true'], [role='alert']") ?? firstOf(arrived, "[data-focus]");
  if (target) focus(target);
  else if (document.activeElement === document.body) focus(document.getElementById(pathInfo?.anchor) ?? arrived);
});

document.addEventListener("htmx:oobAfterSwap", (event) => {
  const { target } = event.detail;
  if (target.id === "flashes") announce(target.textContent);
});

function hidePopovers() {
  document.querySelectorAll(":popover-open").forEach((popover) => popover.hidePopover());
}

function firstOf(element, selector) {
  return element.matches(selector) ? element : element.querySelector(selector);
}

function focus(element) {
  if (!element.matches("a[href], button, input, select, textarea, summary")) element.tabIndex = -1;
  element.focus();
}

function messageIn(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  return page.querySelector("[data-message]")?.textContent.trim()
    || "Something went wrong. Nothing was changed. Please try again.";
}

function showFailure(message) {
  const flash = document.getElementById("failure").content.cloneNode(true);
  flash.querySelector("[data-message]").textContent = message;
  const flashes = document.getElementById("flashes");
  flashes.replaceChildren(flash);
  flashes.scrollIntoView({ block: "nearest" });
}

function announce(words) {
  document.dispatchEvent(new CustomEvent("announce", { detail: words.trim() }));
}
