// Choosing a type brings its usual length.

document.addEventListener("change", (event) => {
  const minutes = event.target.matches("select[name='type']") && event.target.selectedOptions[0].dataset.minutes;
  if (minutes) event.target.form.elements.minutes.value = minutes;
});
