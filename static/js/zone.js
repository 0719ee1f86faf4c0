// A select with data-browser-zone begins with the time zone of the browser, if it offers it.

for (const select of document.querySelectorAll("select[data-browser-zone]")) {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  if ([...select.options].some((option) => option.value === timeZone)) select.value = timeZone;
}
