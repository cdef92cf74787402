"use strict";

// Orders the rows of a list by dragging their grips, and by the buttons "Move up" and "Move down" without leaving the
// page. Each move is saved at once: the server is sent the row and its new neighbour. Without this script the buttons
// send the form.

for (const form of document.querySelectorAll("form[data-order]")) order(form);

function order(form) {
  const list = form.querySelector("ol");
  const status = document.getElementById("order-status");
  const rows = () => [...list.children];
  let sending = Promise.resolve(); // one after the other, in the order of the moves

  function number() {
    rows().forEach((row, index) => { row.querySelector(".n").textContent = index + 1; });
  }

  function save(row) {
    const data = new FormData();
    data.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    data.set("move", row.dataset.id);
    data.set("before", row.nextElementSibling?.dataset.id ?? "");
    number();
    sending = sending.then(() => send(row, data));
  }

  async function send(row, data) {
    try {
      const response = await fetch(form.action, { method: "POST", body: data, headers: { Accept: "application/json" } });
      if (!response.ok || response.redirected) throw new Error(response.status);
      const saved = await response.json();
      keepVersion(saved.version);
      const { number, total } = saved;
      const title = row.querySelector(".title").textContent;
      status.textContent = translated("“%(title)s” is number %(number)s of %(total)s.", { title, number, total });
    } catch {
      status.textContent = translated("The order could not be saved. The page is loaded again.");
      location.reload();
    }
  }

  // The form above stays up to date as far as this page itself has changed the row.
  function keepVersion(version) {
    const field = document.querySelector("input[name=from_version]");
    if (field && Number(field.value) === version - 1) field.value = version;
  }

  form.addEventListener("submit", (event) => {
    const step = { up: -1, down: 1 }[event.submitter?.name];
    if (!step) return;
    event.preventDefault();
    const row = event.submitter.closest("li");
    const other = step < 0 ? row.previousElementSibling : row.nextElementSibling;
    if (!other) {
      status.textContent = step < 0 ? translated("This is the first one.") : translated("This is the last one.");
      return;
    }
    if (step < 0) other.before(row);
    else other.after(row);
    event.submitter.focus();
    row.scrollIntoView({ block: "nearest" });
    save(row);
  });

  list.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest(".grip");
    if (!grip || event.button !== 0) return;
    event.preventDefault();
    drag(grip.closest("li"));
  });

  // The pointer is not captured: moving the row in the page would end that.
  function drag(row) {
    const start = row.nextElementSibling;
    const ends = new AbortController();
    row.classList.add("dragged");

    function move({ clientY }) {
      const before = rows().find((other) => {
        const box = other.getBoundingClientRect();
        return other !== row && clientY < box.top + box.height / 2;
      });
      if (before !== row.nextElementSibling || (!before && list.lastElementChild !== row)) list.insertBefore(row, before ?? null);
      const edge = 48; // pixels at the top and the bottom of the window, where the page scrolls
      if (clientY < edge) scrollBy(0, -edge / 4);
      else if (clientY > innerHeight - edge) scrollBy(0, edge / 4);
    }

    function drop() {
      ends.abort();
      row.classList.remove("dragged");
      if (row.nextElementSibling !== start) save(row);
    }

    document.addEventListener("pointermove", move, ends);
    for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, drop, ends);
  }
}
