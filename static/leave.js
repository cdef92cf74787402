"use strict";

// Warns before a page of the admin is left while one of its forms has changes that are not saved. The text of the
// question is the browser's own.

{
  const FORMS = "body.change-form #content-main form[method=post]";
  let saved = null; // the values of each form before the first key or click: scripts have set up the widgets by then
  let sent = null;

  for (const name of ["keydown", "pointerdown"]) addEventListener(name, remember, { capture: true });
  document.addEventListener("submit", (event) => {
    if (!event.defaultPrevented) sent = event.target;
  });
  document.addEventListener("input", () => (sent = null)); // the page is still there: the submission was stopped
  addEventListener("beforeunload", (event) => hasUnsavedChanges() && event.preventDefault());
  window.hasUnsavedChanges = hasUnsavedChanges;
  document.addEventListener("click", ({ target }) => target.closest("[data-discard]") && window.forgetChanges());
  window.forgetChanges = () => (saved = new Map());

  function hasUnsavedChanges() {
    return [...(saved ?? [])].some(([form, values]) => form !== sent && valuesOf(form) !== values);
  }

  function remember() {
    if (saved) return;
    const forms = document.querySelectorAll(FORMS);
    saved = new Map(Array.from(forms, (form) => [form, valuesOf(form)]));
    // A form that was refused is shown again, with changes that the site does not have.
    if (forms.length && document.querySelector(".errornote")) saved.set(forms[0], "");
  }

  // Text of what the form would send; of a file its name and size.
  function valuesOf(form) {
    return JSON.stringify(Array.from(new FormData(form), ([name, value]) => [name, value.name ?? value, value.size]));
  }
}
