// The keys of the caption desk. Those with a modifier work everywhere on the page; single ones outside of fields only,
// and not if the person has switched single letters off, as in the list of videos.

const SWITCH = "desk-keys";

const NAMED = new Map([
  ["Shift+Space", "play"], ["Ctrl+Enter", "split"], ["Ctrl+m", "merge"], ["Ctrl+h", "find"], ["Ctrl+s", "save"],
  ["Ctrl+z", "undo"], ["Ctrl+Shift+z", "redo"], ["Ctrl+y", "redo"], ["Alt+,", "earlier"], ["Alt+.", "later"],
  ["Alt+Shift+,", "startEarlier"], ["Alt+Shift+.", "startLater"], ["Alt+[", "setStart"], ["Alt+]", "setEnd"],
  ["Ctrl+Shift+Enter", "insert"], ["Ctrl+Delete", "remove"], ["Alt+l", "loop"], ["Alt+n", "next"], ["Alt+s", "shift"],
]);
const SINGLE = new Map([
  [" ", "play"], ["k", "play"], ["j", "back"], ["l", "forward"], ["n", "next"], ["ArrowDown", "down"], ["ArrowUp", "up"],
  ["Enter", "edit"], ["?", "help"],
]);
const CODES = { Comma: ",", Period: ".", BracketLeft: "[", BracketRight: "]", Space: "Space" };

// Returns the name of a key with its modifiers: the letters by what they mean, the others by their place.
export function nameOf(event) {
  const key = CODES[event.code] ?? (event.key.length === 1 ? event.key.toLowerCase() : event.key);
  const modifiers = [(event.ctrlKey || event.metaKey) && "Ctrl", event.altKey && "Alt", event.shiftKey && "Shift"];
  return [...modifiers.filter(Boolean), key].join("+");
}

// Returns the action of a key in the text of a cue; empty if the field itself has to handle it.
export function inText(event, area) {
  const { selectionStart: from, selectionEnd: to, value } = area;
  const isAlone = from === to && !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;
  if (event.isComposing) return "";
  if (event.key === "Enter" && isAlone) return "confirm";
  if (event.key === "Backspace" && isAlone && from === 0) return "mergeBefore";
  if (event.key === "ArrowUp" && isAlone && !value.slice(0, from).includes("\n")) return "up";
  if (event.key === "ArrowDown" && isAlone && !value.slice(to).includes("\n")) return "down";
  return "";
}

export function listen(desk) {
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    if (event.defaultPrevented || target.closest("dialog")) return;
    const named = NAMED.get(nameOf(event));
    const isField = target.closest("input, textarea, select, [contenteditable]");
    const isControl = target.closest("button, a, summary, canvas") && [" ", "Enter"].includes(event.key);
    let action = named;
    if (!action && target.matches(".cue textarea")) action = inText(event, target);
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (!action && !isField && !isControl && isPlain) action = singleOf(event.key);
    if (!action || !desk.actions[action]) return;
    event.preventDefault();
    desk.actions[action](event);
  });
}

function singleOf(key) {
  const isLetter = key.length === 1 && key !== "?" && key !== " ";
  if (isLetter && localStorage.getItem(SWITCH) === "off") return "";
  return SINGLE.get(key.length === 1 ? key.toLowerCase() : key) ?? "";
}
