// A click plays and pauses, a double click fills the screen. A tap shows the controls; two taps at a side jump 10 s.

const DOUBLE = 300; // milliseconds between two taps that belong together
const JUMP = 10; // seconds

export function listenToFingers(player) {
  const { stage, video } = player;
  const isPicture = ({ target }) => target === video || target === stage || target.matches(".poster");
  let [isTouch, wasIdle] = [false, false];
  let [last, lastSide] = [0, ""];
  stage.addEventListener("pointerdown", ({ pointerType }) => {
    isTouch = pointerType === "touch";
    wasIdle = stage.classList.contains("is-idle"); // before the focus comes, which shows the controls
  }, true);
  stage.addEventListener("click", (event) => {
    if (!isPicture(event)) return;
    if (player.closeMenu?.()) return;
    if (!isTouch) return player.act.toggle();
    const side = sideOf(stage, event.clientX);
    const now = performance.now();
    const isDouble = side && side === lastSide && now - last < DOUBLE;
    [last, lastSide] = [now, side];
    if (isDouble) return player.act.jump(side === "left" ? -JUMP : JUMP);
    if (wasIdle || video.paused) player.wake();
    else player.rest();
  });
  stage.addEventListener("dblclick", (event) => { if (isPicture(event) && !isTouch) player.act.full(); });
}

function sideOf(stage, x) {
  const { left, width } = stage.getBoundingClientRect();
  const share = (x - left) / width;
  if (share < 0.35) return "left";
  return share > 0.65 ? "right" : "";
}
