// A link with data-open is followed as soon as it is there: it opens another app (mail, calendar).
// Where the browser wants a press for that, the link itself is the way.

const follow = (element) => element.querySelector("a[data-open]")?.click();

follow(document);
document.addEventListener("htmx:afterSettle", (event) => follow(event.detail.elt));
