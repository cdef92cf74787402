"use strict";

// Shows how far an upload has come. Without this script the form is sent by the browser itself.
// In a block, because a page that replaces this one runs the script again among the same names.

{
  document.addEventListener("DOMContentLoaded", () => {
    const input = document.querySelector('form input[type="file"][name="file"]');
    if (input) input.form.addEventListener("submit", (event) => send(event, input));
  });

  function send(event, input) {
    if (!input.files.length) return;
    event.preventDefault();
    const form = input.form;
    const data = new FormData(form, event.submitter);
    const request = new XMLHttpRequest();
    const meter = showMeter(form);
    request.upload.onprogress = ({ loaded, total }) => meter.show(loaded, total);
    request.onload = () => replacePage(request);
    request.onerror = () => meter.fail();
    request.open("POST", form.action || location.href);
    request.send(data);
    leaveWarning(request);
  }

  function showMeter(form) {
    const buttons = form.querySelectorAll('[type="submit"]');
    const box = document.createElement("div");
    box.className = "upload-meter";
    box.setAttribute("role", "status");
    const bar = document.createElement("progress");
    const text = document.createElement("span");
    box.append(bar, text);
    form.querySelector(".submit-row").before(box);
    for (const button of buttons) button.disabled = true;
    const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
    return {
      show(loaded, total) {
        bar.max = total;
        bar.value = loaded;
        text.textContent = loaded < total ? `${megabytes(loaded)} of ${megabytes(total)}` : "Arrived; saving …";
      },
      fail() {
        for (const button of buttons) button.disabled = false;
        box.classList.add("failed");
        text.textContent = "The connection broke off and the upload was not completed. Save again to repeat it.";
      },
    };
  }

  // The answer is a whole page: the next one with its message, or this one with its errors. Loading it again would lose
  // the message.
  function replacePage(request) {
    history.replaceState(null, "", request.responseURL);
    document.open();
    document.write(request.responseText);
    document.close();
  }

  function leaveWarning(request) {
    const warn = (event) => event.preventDefault();
    addEventListener("beforeunload", warn);
    request.addEventListener("loadend", () => removeEventListener("beforeunload", warn));
  }
}
