"use strict";

// Asks whether there is room for a file, sends it, and shows how far it has come. Without this script the form is sent by the browser itself.
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
    request.onerror = () => meter.fail("The connection broke off and the upload was not completed. Save again to repeat it.");
    request.open("POST", form.action || location.href);
    whyNot(input).then((told) => {
      if (told) return meter.fail(told);
      request.send(data);
      leaveWarning(request);
    });
  }

  // Before the bytes go on their way: a server that refuses them half-way can hardly say why. It looks again itself.
  async function whyNot(input) {
    try {
      const answer = await fetch(`${input.dataset.room}?bytes=${input.files[0].size}`);
      return answer.ok ? (await answer.json()).told : "";
    } catch {
      return "";
    }
  }

  function showMeter(form) {
    const buttons = form.querySelectorAll('[type="submit"]');
    for (const earlier of form.querySelectorAll(".upload-meter")) earlier.remove();
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
      fail(sentence) {
        for (const button of buttons) button.disabled = false;
        box.classList.add("failed");
        bar.hidden = true;
        text.textContent = sentence;
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
