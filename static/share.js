"use strict";

// The dialog with the address of a video, its code to embed and its QR code, from the start or from a moment on.

{
  const dialog = document.getElementById("share");
  const opener = document.getElementById("share-open");
  const find = (id) => document.getElementById(`share-${id}`);
  const [at, time, address, code, picture, mail, apps, hint, status] =
    ["at", "time", "address", "code", "qr", "mail", "apps", "hint", "status"].map(find);
  const { page, title, duration } = dialog.dataset;
  const tabs = [...dialog.querySelectorAll("[role=tab]")];
  const copiers = [...dialog.querySelectorAll("[data-copies]")];
  const copyWord = copiers[0].textContent;
  const originalCode = code?.value;
  const originalPicture = picture.getAttribute("src");

  function clock(seconds) {
    const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    return (parts[0] ? parts : parts.slice(1)).map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
  }

  // The second that a text such as 90, 90s, 1m30s or 1:30 names, as in addresses (docs/player.md); NaN without one.
  function secondOf(text) {
    const parts = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?$/.exec(text) ?? /^(?:(\d+):)?(\d+):(\d+)$/.exec(text);
    if (!text || !parts) return NaN;
    const [hours, minutes, seconds] = parts.slice(1).map((part) => Number(part ?? 0));
    return 3600 * hours + 60 * minutes + seconds;
  }

  // The moment is the player's when the dialog opens.
  function open() {
    time.value = clock(Math.floor(document.querySelector("#player video")?.currentTime ?? 0));
    at.checked = false;
    choose(tabs[0]);
    show();
    dialog.showModal();
  }

  function choose(tab) {
    for (const each of tabs) {
      each.ariaSelected = String(each === tab);
      each.tabIndex = each === tab ? 0 : -1;
      document.getElementById(each.getAttribute("aria-controls")).hidden = each !== tab;
    }
    const isCode = tab.id === "share-tab-code";
    mail.parentElement.hidden = isCode;
    if (hint) hint.hidden = !isCode;
    say("");
  }

  // What is copied is said to screen readers, and shown by the button.
  function say(text, copier = null) {
    status.textContent = text;
    status.classList.toggle("visually-hidden", copier !== null);
    for (const each of copiers) {
      each.classList.toggle("copied", each === copier);
      each.querySelector("span").textContent = each === copier ? each.dataset.copied : copyWord;
    }
  }

  function show() {
    const typed = secondOf(time.value.trim());
    const isWrong = at.checked && !(typed < Number(duration));
    const second = at.checked && !isWrong ? typed : 0;
    time.ariaInvalid = String(isWrong);
    say(isWrong ? status.dataset.wrong : "");
    address.value = second ? `${page}?t=${second}` : page;
    picture.src = second ? `${originalPicture}?t=${second}` : originalPicture;
    if (code) code.value = second ? originalCode.replace(/ src="[^"]*/, `$&?start=${second}`) : originalCode;
    mail.href = `mailto:?subject=${encodeURIComponent(title)}&body=${encodeURIComponent(address.value)}`;
  }

  // Without access to the clipboard, as on a page without TLS, the text is selected for the person to copy.
  async function copy(copier) {
    const field = document.getElementById(copier.dataset.copies);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      say(status.dataset.copied, copier);
    } catch {
      if (document.execCommand("copy")) say(status.dataset.copied, copier);
      else say(status.dataset.press);
    }
  }

  function move(event) {
    const place = tabs.indexOf(event.target);
    const next = { ArrowRight: place + 1, ArrowLeft: place - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (place < 0 || next === undefined) return;
    event.preventDefault();
    const tab = tabs[next % tabs.length];
    choose(tab);
    tab.focus();
  }

  opener.addEventListener("click", open);
  at.addEventListener("change", show);
  time.addEventListener("input", () => {
    at.checked = true;
    show();
  });
  dialog.addEventListener("keydown", move);
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog) return dialog.close(); // beside it
    if (target.role === "tab") choose(target);
    const copier = target.closest("[data-copies]");
    if (copier) copy(copier);
  });
  if (navigator.share) {
    apps.hidden = false;
    apps.addEventListener("click", () => navigator.share({ title, url: address.value }).catch(() => {}));
  }
}
