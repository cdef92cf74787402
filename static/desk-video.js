"use strict";

// The page of one video: unsaved changes, keys, the preview, the poster, chapters, the address, another file.

{
  const form = document.getElementById("video_form");
  const WORDS = {
    title: translated("title"), description: translated("description"), category: translated("category"),
    tag_names: translated("tags"), chapters: translated("chapters"), audio_tracks: translated("audio tracks"),
    poster: translated("poster"), slug: translated("address"), visibility: translated("visibility"),
    visible_from: translated("visibility"), visible_until: translated("visibility"), new_password: translated("password"),
    cancel_planned: translated("planned changes"), publish_early: translated("publish early"),
    downloads: translated("downloads"),
  };
  const find = (id) => document.getElementById(id);

  document.documentElement.classList.add("scripted");
  const hasPlayer = Boolean(find("play"));
  const offered = ["copy-address", "add-chapter", ...(hasPlayer ? ["play", "chapter-hint", "use-frame"] : [])];
  for (const id of offered) find(id)?.removeAttribute("hidden");

  if (form) {
    countTitle();
    watchChanges();
    saveWithKeys();
    editChapters();
    offerPoster();
    keepOneDefault();
    replaceFile();
  }
  find("play")?.addEventListener("click", playPreview);
  find("copy-address")?.addEventListener("click", copyAddress);
  // What has been made since the page was loaded needs other cards, which typed text must not be lost for.
  document.addEventListener("live-end", () => window.hasUnsavedChanges?.() || window.keepsPage?.() || location.reload());

  function countTitle() {
    const [title, count] = [find("id_title"), document.querySelector("[data-counts]")];
    const show = () => (count.textContent = translated("%(number)s of %(most)s", { number: title.value.length, most: title.maxLength }));
    title.addEventListener("input", show);
    show();
  }

  // The bar names the fields that were changed.
  function watchChanges() {
    const state = find("save-state");
    if (!state) return;
    const before = new Map(entries());
    const show = () => {
      const now = new Map(entries());
      const names = [...new Set([...before.keys(), ...now.keys()])].filter((name) => before.get(name) !== now.get(name));
      const words = [...new Set(names.map(wordOf))];
      const text = words.length ? translated("Unsaved changes: %(names)s", { names: words.join(", ") }) : "";
      if (state.textContent !== text) state.textContent = text;
      state.parentElement.classList.toggle("dirty", words.length > 0);
      find("discard").hidden = !words.length;
    };
    form.addEventListener("input", show);
    form.addEventListener("change", show);
    form.addEventListener("vlog-change", show);
  }

  // Fields of the other forms, which have buttons of their own, are none of this one's.
  function entries() {
    const grouped = new Map();
    for (const [name, value] of new FormData(form)) {
      if (name !== "csrfmiddlewaretoken" && !name.startsWith("initial-")) grouped.set(name, `${grouped.get(name) ?? ""}\n${value}`);
    }
    return grouped;
  }

  function wordOf(name) {
    const [base] = name.split("-");
    const word = name.includes("-") ? base : name.replace(/_[01]$/, "");
    return WORDS[word] ?? word;
  }

  function saveWithKeys() {
    document.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
      event.preventDefault();
      form.requestSubmit(form.querySelector("[name=_continue]"));
    });
  }

  function video() {
    return document.querySelector("#screen video");
  }

  // Loads the player with the first click: it weighs more than the page.
  async function playPreview() {
    const screen = find("screen");
    const { hls, player, css } = screen.dataset;
    const opened = find("player-template").content.cloneNode(true);
    find("play").disabled = true;
    await add("link", { rel: "stylesheet", href: css });
    await add("script", { src: hls });
    screen.replaceChildren(opened);
    await add("script", { type: "module", src: player });
    video().addEventListener("timeupdate", showMoment);
    video().addEventListener("seeked", showMoment);
    screen.querySelector(".stage").focus();
    video().play().catch(() => {}); // if the browser blocks playback, the button of the player stays
  }

  function add(name, properties) {
    return new Promise((resolve, reject) => {
      const element = Object.assign(document.createElement(name), properties);
      element.addEventListener("load", resolve);
      element.addEventListener("error", reject);
      document.head.append(element);
    });
  }

  function clock(seconds) {
    const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
    return (parts[0] ? parts : parts.slice(1)).map((part, at) => (at ? String(part).padStart(2, "0") : part)).join(":");
  }

  function showMoment() {
    const moment = clock(video().currentTime);
    find("add-chapter").lastElementChild.textContent = translated("Add chapter at %(moment)s", { moment });
    find("use-frame").lastElementChild.textContent = translated("Use this frame, %(moment)s", { moment });
  }

  function editChapters() {
    const list = document.querySelector(".chapters");
    for (const row of list.children) {
      dress(row);
      row.hidden = isBlank(row) && !row.matches(".errors");
    }
    find("add-chapter").addEventListener("click", () => {
      const total = find("id_chapters-TOTAL_FORMS");
      const row = [...list.children].find(isBlank) ?? append(list, total);
      row.hidden = false;
      row.querySelector(".chapter-delete input").checked = false;
      const [time, title] = row.querySelectorAll("input[type=text]");
      if (video()) time.value = clock(video().currentTime);
      (video() ? title : time).focus();
      form.dispatchEvent(new Event("vlog-change"));
    });
  }

  function isBlank(row) {
    return [...row.querySelectorAll("input[type=text]")].every(({ value }) => !value);
  }

  function append(list, total) {
    const row = find("chapter-template").content.firstElementChild.cloneNode(true);
    for (const part of row.querySelectorAll("[id], [name], [for], label")) {
      for (const name of ["id", "name", "for"]) {
        if (part.hasAttribute(name)) part.setAttribute(name, part.getAttribute(name).replace("__prefix__", total.value));
      }
      if (part.childElementCount === 0) part.textContent = part.textContent.replace("__number__", Number(total.value) + 1);
    }
    total.value = Number(total.value) + 1;
    list.append(row);
    dress(row);
    return row;
  }

  // A cross in place of the box to tick.
  function dress(row) {
    const label = row.querySelector(".chapter-delete");
    if (!label) return;
    const button = Object.assign(document.createElement("button"), { type: "button", className: "icon-button" });
    button.title = translated("Remove");
    button.setAttribute("aria-label", `${translated("Remove")}: ${row.querySelector("label").textContent}`);
    button.innerHTML = '<svg class="i" aria-hidden="true"><use href="#i-x"/></svg>';
    button.addEventListener("click", () => {
      const isNew = !row.querySelector("input[type=hidden][name$='-id']")?.value;
      if (isNew) for (const field of row.querySelectorAll("input[type=text]")) field.value = "";
      label.querySelector("input").checked = true;
      form.dispatchEvent(new Event("vlog-change"));
      find("add-chapter").focus();
    });
    label.hidden = true;
    label.after(button);
  }

  function offerPoster() {
    const frame = find("poster-frame");
    const radios = [...document.querySelectorAll(".frames input")];
    const frames = document.querySelector(".frames");
    for (const radio of radios) radio.addEventListener("change", () => choose(""));
    find("use-frame").addEventListener("click", async () => {
      if (!video()) return find("play")?.click();
      video().pause();
      for (const radio of radios) radio.checked = false;
      choose(`t=${video().currentTime.toFixed(3)}`);
    });
    find("picture").addEventListener("change", ({ target }) => target.files.length && find("poster-form").requestSubmit());

    function choose(value) {
      frame.value = value;
      frame.disabled = !value;
      frames?.classList.toggle("other", Boolean(value));
      form.dispatchEvent(new Event("vlog-change"));
    }
  }

  // One audio track is the default.
  function keepOneDefault() {
    const boxes = [...document.querySelectorAll(".audio-tracks [name$='-default']")];
    for (const box of boxes) {
      box.addEventListener("change", () => box.checked && boxes.forEach((other) => (other.checked = other === box)));
    }
  }

  // The new file is sent by the tray, so that it can be continued. Without the tray, the form sends it.
  function replaceFile() {
    const field = find("replace-file");
    find("file-form").addEventListener("submit", (event) => {
      if (!window.vlogTray || !field?.files.length) return;
      event.preventDefault();
      window.vlogTray.add(field.files, { replaces: field.dataset.replaces });
      field.value = "";
    });
  }

  async function copyAddress() {
    const text = find("page-address").textContent;
    try {
      await navigator.clipboard.writeText(text);
      find("copied").textContent = translated("The address was copied.");
      find("copy-address").title = translated("Copied");
    } catch {
      getSelection().selectAllChildren(find("page-address")); // a page without TLS has no clipboard
      find("copied").textContent = translated("Press Ctrl C, or ⌘ C, to copy the selected address.");
    }
  }
}
