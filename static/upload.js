"use strict";

// Checks whether a file fits on the server's disk, uploads it and shows the progress. Without JavaScript the browser
// submits the form itself.

{
  const CREATED = 201; // with the address of the next page
  const LOST = "The connection was lost before the upload was complete. Save again to repeat it.";
  const INVALID = "The upload was not saved. Correct the errors above, then save again.";

  document.addEventListener("DOMContentLoaded", () => {
    const input = document.querySelector('form input[type="file"][name="file"]');
    if (input) input.form.addEventListener("submit", (event) => submit(event, input));
  });

  async function submit(event, input) {
    if (!input.files.length) return;
    event.preventDefault();
    const data = new FormData(input.form, event.submitter);
    const meter = showMeter(input.form);
    const error = await spaceError(input);
    if (error) meter.fail(error);
    else send(input.form, data, meter);
  }

  // Asked before the file is sent, because a server that refuses a file halfway can hardly explain why. The server
  // checks again when the upload arrives.
  async function spaceError(input) {
    try {
      const response = await fetch(`${input.dataset.space}?bytes=${input.files[0].size}`);
      return response.ok ? (await response.json()).error : "";
    } catch {
      return "";
    }
  }

  function send(form, data, meter) {
    const address = new URL(form.action || location.href).href;
    const request = new XMLHttpRequest();
    request.upload.onprogress = ({ loaded, total }) => meter.show(loaded, total);
    warnBeforeLeaving(request);
    request.addEventListener("loadend", () => finish(request, address, form, meter));
    request.open("POST", address);
    request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
    request.send(data);
  }

  function finish(request, address, form, meter) {
    if (request.status === 0) return meter.fail(LOST);
    if (request.status === CREATED) return location.assign(request.getResponseHeader("Location"));
    if (request.responseURL !== address) return location.assign(request.responseURL); // the login page
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    if (request.status !== 200) {
      const error = page.querySelector("[data-error]")?.textContent;
      return meter.fail(error ?? `The server did not accept the upload (status ${request.status}).`);
    }
    showErrors(form, page);
    meter.fail(INVALID);
  }

  // Copies the error messages into the form on this page, which keeps the chosen file.
  function showErrors(form, page) {
    for (const row of form.querySelectorAll(".form-row")) {
      const field = [...row.classList].find((name) => name.startsWith("field-"));
      const errors = page.querySelector(`.form-row.${field} .errorlist`);
      row.querySelector(".errorlist")?.remove();
      row.classList.toggle("errors", errors !== null);
      if (errors) row.prepend(errors);
    }
    form.querySelector(".form-row.errors :is(input, select, textarea)")?.focus();
  }

  function showMeter(form) {
    const buttons = form.querySelectorAll('[type="submit"]');
    for (const earlier of form.querySelectorAll(".upload-meter")) earlier.remove();
    const box = document.createElement("div");
    box.className = "upload-meter";
    box.setAttribute("role", "status");
    const bar = document.createElement("progress");
    const text = document.createElement("span");
    bar.setAttribute("aria-label", "Upload");
    box.append(bar, text);
    form.querySelector(".submit-row").before(box);
    for (const button of buttons) button.disabled = true;
    const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
    return {
      show(loaded, total) {
        bar.max = total;
        bar.value = loaded;
        text.textContent = loaded < total ? `${megabytes(loaded)} of ${megabytes(total)} uploaded` : "Uploaded. Saving …";
      },
      fail(message) {
        for (const button of buttons) button.disabled = false;
        box.classList.add("failed");
        bar.hidden = true;
        text.textContent = message;
      },
    };
  }

  function warnBeforeLeaving(request) {
    const warn = (event) => event.preventDefault();
    addEventListener("beforeunload", warn);
    request.addEventListener("loadend", () => removeEventListener("beforeunload", warn));
  }
}
