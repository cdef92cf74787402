// What the player answers to a key or a gesture: a few words above the picture for a moment, also for screen readers.

const SHOWN = 900; // milliseconds

// Puts values into a text: fill("Volume {value} %", { value: 55 })
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function answerWith(player) {
  const box = player.find(".answer");
  let timer;
  player.answer = (text, side = "") => {
    clearTimeout(timer);
    box.textContent = text;
    box.dataset.side = side;
    box.classList.add("shown");
    timer = setTimeout(() => box.classList.remove("shown"), SHOWN);
  };
}
