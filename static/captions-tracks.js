// The dialogs of the caption desk: a new language, a file, the facts of a track, its versions.

import { sentenceOf } from "./captions-save.js";

const LARGEST = 10 << 20; // bytes, as the site takes

export function prepareTracks(desk) {
  document.addEventListener("click", ({ target }) => {
    const opener = target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog).showModal();
    const menu = opener?.closest("details.menu");
    if (menu) menu.open = false;
    if (target.closest("[data-close-dialog]")) target.closest("dialog").close();
    const version = target.closest("[data-version]");
    if (version && desk) {
      version.closest("dialog")?.close();
      desk.comparison.open(version.dataset.version, version.dataset.title);
    }
  });
  for (const form of document.querySelectorAll("form[data-upload]")) form.addEventListener("submit", (event) => upload(event, form, desk));
  if (desk && location.hash.startsWith("#version-")) {
    document.querySelector(`[data-version="${CSS.escape(location.hash.slice(9))}"]`)?.click();
  }
}

// Sends a file as it is: the site finds out what it contains.
async function upload(event, form, desk) {
  const [file] = form.querySelector("input[type=file]").files;
  if (!file) return; // the form adds an empty track
  event.preventDefault();
  const status = form.querySelector(".status");
  if (file.size > LARGEST) {
    status.textContent = translated("The file is larger than 10 MB, and captions are much smaller.");
    return;
  }
  const query = new URLSearchParams({ language: form.elements.language.value, kind: form.elements.kind.value, draft: "true" });
  status.textContent = translated("Sending …");
  await desk?.saver.flush();
  const headers = { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value, "Content-Type": "application/octet-stream" };
  let answer = { status: 0, data: null };
  try {
    const response = await fetch(`${form.dataset.upload}?${query}`, { method: "POST", headers, body: file });
    answer = { status: response.status, data: await response.json().catch(() => null) };
  } catch {
    // reported below
  }
  if (answer.status !== 201) {
    status.textContent = sentenceOf(answer);
    return;
  }
  const { number, draft, notes } = answer.data;
  const goOn = () => {
    const next = `?track=${number}${draft ? `#version-${draft}` : ""}`;
    if (location.search === `?track=${number}`) {
      location.hash = draft ? `version-${draft}` : "";
      location.reload();
    } else location.assign(next);
  };
  if (!notes?.length) return goOn();
  status.textContent = `${translated("The file was taken.")} ${notes.join(" ")}`;
  const button = form.querySelector("button[type=submit]");
  button.textContent = translated("Continue");
  button.addEventListener("click", (click) => { click.preventDefault(); goOn(); });
}
