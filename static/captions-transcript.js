// The transcript follows the player and can be searched. Without it, the texts are links to their seconds.

const QUIET = 4000; // milliseconds after a scroll by hand during which the text is not moved

export function placeAt(starts, seconds) {
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= seconds) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function follow(box, lines, video) {
  const starts = lines.map((line) => Number(line.dataset.seek));
  let now = null;
  let scrolled = -Infinity;
  for (const name of ["wheel", "touchmove", "keydown"]) {
    box.addEventListener(name, () => { scrolled = performance.now(); }, { passive: true });
  }
  video.addEventListener("timeupdate", () => {
    const line = lines[placeAt(starts, video.currentTime)];
    const shown = line && Number(line.dataset.end) > video.currentTime ? line : null;
    if (shown === now) return;
    now?.removeAttribute("aria-current");
    shown?.setAttribute("aria-current", "true");
    now = shown;
    const isOwn = performance.now() - scrolled < QUIET || box.contains(document.activeElement);
    if (shown && !video.paused && !isOwn) box.scrollTop = shown.offsetTop - box.clientHeight / 3;
  });
}

function search(form, box, lines) {
  const [field, status] = [form.querySelector("input"), form.querySelector("[role=status]")];
  let found = [];
  let place = -1;
  const choose = (step) => {
    found[place]?.classList.remove("chosen");
    if (!found.length) return;
    place = (place + step + found.length) % found.length;
    found[place].classList.add("chosen");
    box.scrollTop = found[place].offsetTop - box.clientHeight / 3;
    status.textContent = `${place + 1} of ${found.length}`;
  };
  const find = () => {
    const wanted = field.value.trim().toLocaleLowerCase();
    for (const line of found) line.classList.remove("found", "chosen");
    found = wanted ? lines.filter((line) => line.textContent.toLocaleLowerCase().includes(wanted)) : [];
    for (const line of found) line.classList.add("found");
    place = -1;
    status.textContent = wanted && !found.length ? status.dataset.nothing : "";
    choose(1);
  };
  form.hidden = false;
  field.addEventListener("input", find);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    choose(1);
  });
  form.addEventListener("click", ({ target }) => target.dataset.step && choose(Number(target.dataset.step)));
}

const transcript = globalThis.document?.getElementById("transcript");
if (transcript) {
  const box = transcript.querySelector(".paragraphs");
  const lines = [...box.querySelectorAll(".said")];
  search(transcript.querySelector(".transcript-search"), box, lines);
  const video = document.querySelector("#player video");
  if (video) follow(box, lines, video);
}
