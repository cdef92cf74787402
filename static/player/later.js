// What a player needs only when its first picture is there, or when the viewer uses it.

import { answerWith } from "./answer.js";
import { showBar } from "./bar.js";
import { offerCaptions } from "./captions.js";
import { followLinks } from "./chapters.js";
import { showEnd } from "./end.js";
import { listenToKeys } from "./keys.js";
import { offerMenu } from "./menu.js";
import { keepWhereItWasLeft } from "./resume.js";
import { offerOtherScreens } from "./screens.js";
import { tellTheSystem } from "./session.js";
import { listenToFingers } from "./touch.js";

// Resolves when all listen.
export async function extend(player) {
  answerWith(player);
  showBar(player);
  offerCaptions(player);
  followLinks(player);
  offerMenu(player);
  listenToKeys(player);
  listenToFingers(player);
  offerOtherScreens(player);
  tellTheSystem(player);
  if (player.keepsPosition) keepWhereItWasLeft(player);
  showEnd(player);
  // Reports, the dialog to share, and what else the page names: nothing of that is needed for the first picture.
  // One that cannot be loaded leaves the others and the player as they are.
  const modules = player.stage.dataset.later.split(" ").filter(Boolean);
  await Promise.allSettled(modules.map((module) => import(module)));
  player.stage.dataset.extended = "";
}
