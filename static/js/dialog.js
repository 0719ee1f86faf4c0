// A link with data-dialog="id" opens that dialog over the page; [data-close] in it closes it.
// Without script the link goes where it points: to the dialog's own address or to a page.

document.addEventListener("click", (event) => {
  const opener = event.target.closest("a[data-dialog]");
  if (opener) {
    event.preventDefault();
    document.getElementById(opener.dataset.dialog).showModal();
  }
  const closer = event.target.closest("dialog [data-close]");
  if (closer) {
    event.preventDefault();
    closer.closest("dialog").close();
  }
});

// A fragment that arrives in a dialog opens it, unless the dialog is only opened by hand: what arrives there late
// would open again what has just been closed.
document.addEventListener("htmx:afterSettle", (event) => {
  const dialog = event.detail.elt.closest("dialog");
  if (dialog && !dialog.open && !("byHand" in dialog.dataset)) dialog.showModal();
});
