"use strict";

// The dialog with the address of a video, its code to embed, and the moment at which it begins.

{
  const dialog = document.getElementById("share");
  const opener = document.getElementById("share-open");
  const find = (id) => document.getElementById(`share-${id}`);
  const [at, time, address, code, picture, mail, apps, status] =
    ["at", "time", "address", "code", "qr", "mail", "apps", "status"].map(find);
  const { page, title } = dialog.dataset;
  const originalCode = code?.value;
  const originalPicture = picture.getAttribute("src");
  let second = 0;

  function clock(seconds) {
    const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    return (parts[0] ? parts : parts.slice(1)).map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
  }

  // The moment is the player's when the dialog opens.
  function open() {
    second = Math.floor(document.querySelector("#player video")?.currentTime ?? 0);
    time.textContent = clock(second);
    at.checked = false;
    status.textContent = "";
    show();
    dialog.showModal();
  }

  function show() {
    const moment = at.checked && second;
    address.value = moment ? `${page}?t=${second}` : page;
    picture.src = moment ? `${originalPicture}?t=${second}` : originalPicture;
    if (code) code.value = moment ? originalCode.replace(/ src="[^"]*/, `$&?start=${second}`) : originalCode;
    mail.href = `mailto:?subject=${encodeURIComponent(title)}&body=${encodeURIComponent(address.value)}`;
  }

  // Without access to the clipboard, as on a page without TLS, the text is selected for the person to copy.
  async function copy(field) {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      status.textContent = status.dataset.copied;
    } catch {
      status.textContent = document.execCommand("copy") ? status.dataset.copied : status.dataset.press;
    }
  }

  opener.hidden = false;
  opener.addEventListener("click", open);
  at.addEventListener("change", show);
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog) dialog.close(); // beside it
    if (target.dataset.copies) copy(document.getElementById(target.dataset.copies));
  });
  if (navigator.share) {
    apps.hidden = false;
    apps.addEventListener("click", () => navigator.share({ title, url: address.value }).catch(() => {}));
  }
}
