"use strict";

// The tray of uploads: a row a file, on every page of the desk. uploads.js sends the files and tray-frame.js keeps the
// page alive; both are loaded when there is something to send.

{
  const RUNNING = ["waiting", "sending", "offline"];
  const UNFINISHED = [...RUNNING, "chosen", "paused", "failed", "absent"];
  const KNOWN = "vlog-unfinished-uploads"; // a key of localStorage: this browser began uploads that were not complete
  const DROP_PAGES = "body.start-page, body.change-list.model-video, body:has(form [data-uploads])";
  const SIDECAR = /\.(srt|vtt|ass|ssa|ttml|sami?|smi|jpe?g|png)$/i;
  const OTHER_KIND = /^(text|image|font)\/|^application\/(?!octet-stream|mxf|ogg|x-matroska|vnd\.(rn|apple\.mpegurl))/;
  const noVideo = () => translated("Not a video. VLog cannot read this kind of file.");

  class Tray {
    constructor(element) {
      this.element = element;
      this.find = (name) => document.getElementById(`tray-${name}`);
      this.isElsewhere = false; // whether a form shows the items itself
      this.find("fold").addEventListener("click", () => this.fold());
      this.find("files").addEventListener("change", ({ target }) => {
        this.add(target.files);
        target.value = ""; // the same file can be chosen again
      });
      addEventListener("beforeunload", (event) => this.count(RUNNING) && event.preventDefault());
      if (localStorage.getItem(KNOWN) && document.querySelector(DROP_PAGES)) this.load().catch(() => {});
    }

    count(states) {
      return this.uploads?.items.filter(({ state }) => states.includes(state)).length ?? 0;
    }

    isBusy() {
      return this.count([...RUNNING, "paused", "failed"]) > 0;
    }

    // Loads what sends files, once. Returns the VlogUploads.
    open() {
      return (this.opened ??= this.start());
    }

    async start() {
      const { scripts, css, uploads } = this.element.dataset;
      // The scripts need the words of desk.js, which is deferred: it has run when the document is complete.
      if (!window.translated) await new Promise((resolve) => addEventListener("DOMContentLoaded", resolve, { once: true }));
      await Promise.all([loadStyle(css), ...scripts.split(" ").map(loadScript)]);
      this.uploads = new VlogUploads(uploads);
      this.showRows();
      this.uploads.listen((item) => this.show(item));
      this.frame = new DeskFrame(this.element.dataset.desk, () => this.isBusy());
      return this.uploads;
    }

    async load() {
      const uploads = await this.open();
      await uploads.load();
      this.remember();
    }

    // Sends files. options: replaces, see uploads.js; details: of the new videos.
    async add(files, { replaces = "", details = {} } = {}) {
      const [good, bad] = [[], []];
      for (const file of files) (isOther(file) ? bad : good).push(file);
      const uploads = await this.open();
      for (const { name, size } of bad) uploads.add({ file: null, url: "", name, size, state: "failed", error: noVideo() });
      const items = uploads.choose(good, { replaces });
      uploads.start(details);
      return items;
    }

    show(item) {
      this.element.hidden = this.isElsewhere || !this.uploads.items.length;
      const running = this.count(RUNNING);
      this.find("count").textContent = running ? translated("%(number)s of %(most)s", { number: running, most: this.uploads.items.length }) : "";
      if (this.said.get(item) !== item.state) this.say(item);
      this.remember();
    }

    said = new WeakMap(); // the state of each item that was announced last

    // Announces the ends and the interruptions; the bars say how far it is.
    say(item) {
      this.said.set(item, item.state);
      const { name } = item;
      const sentence = {
        paused: translated("%(name)s is paused.", { name }),
        offline: translated("%(name)s is interrupted. It continues by itself.", { name }),
        failed: translated("%(name)s has failed. %(error)s", { name, error: item.error }),
        done: translated("%(name)s was uploaded.", { name }),
      }[item.state];
      if (sentence) this.find("status").textContent = sentence;
    }

    remember() {
      if (this.count(UNFINISHED)) localStorage.setItem(KNOWN, "1");
      else localStorage.removeItem(KNOWN);
    }

    // Shows the items in a list of the upload form, too.
    rowsIn(list) {
      return new VlogUploadRows(list, this.uploads, { hasDetails: false });
    }

    // Hides the tray while a form shows the items. Returns the function that ends this.
    yieldTo() {
      this.isElsewhere = this.element.hidden = true;
      this.rows.close();
      this.find("rows").replaceChildren();
      return () => {
        this.isElsewhere = false;
        this.element.hidden = !this.uploads.items.length;
        this.showRows();
      };
    }

    showRows() {
      this.rows = new VlogUploadRows(this.find("rows"), this.uploads);
    }

    fold() {
      const rows = this.find("rows");
      rows.hidden = !rows.hidden;
      this.find("fold").setAttribute("aria-expanded", String(!rows.hidden));
    }
  }

  function isOther({ name, type }) {
    return OTHER_KIND.test(type) && !SIDECAR.test(name);
  }

  function loadScript(src) {
    const script = Object.assign(document.createElement("script"), { src, async: false });
    return loaded(script);
  }

  function loadStyle(href) {
    return loaded(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
  }

  function loaded(element) {
    return new Promise((resolve, reject) => {
      element.addEventListener("load", resolve);
      element.addEventListener("error", () => reject(new Error(translated("The uploads cannot be loaded."))));
      document.head.append(element);
    });
  }

  // Calls a function with the files that are dropped anywhere on the page.
  function takeDrops(take) {
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    const mark = (is) => document.documentElement.classList.toggle("dropping", is);
    document.addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      mark(true);
    });
    document.addEventListener("dragleave", (event) => event.relatedTarget || mark(false));
    document.addEventListener("drop", (event) => {
      mark(false);
      if (!hasFiles(event)) return;
      event.preventDefault();
      take(event.dataTransfer.files);
    });
  }

  // The card of the start page opens the chooser of files, on a telephone that of its pictures. A click with a key that
  // opens another tab goes to the form.
  function takeChoices() {
    document.addEventListener("click", (event) => {
      const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
      if (!isPlain || !event.target.closest("a.drop, .empty a.button[href$='/add/']")) return;
      event.preventDefault();
      document.getElementById("tray-files").click();
    });
  }

  const element = document.getElementById("tray");
  const host = window.parent !== window ? window.parent.vlogTray : null; // of the page that this one is shown in
  window.vlogTray = host ?? new Tray(element);
  window.takeDrops = takeDrops;
  window.keepsPage = () => !host && window.vlogTray.isBusy(); // whether reloading this page would interrupt an upload
  if (host) {
    document.getElementById("tray-files").addEventListener("change", ({ target }) => host.add(target.files));
    host.frame.guide(window);
  }
  if (document.querySelector("body.start-page, body.change-list.model-video")) {
    takeDrops((files) => window.vlogTray.add(files));
    takeChoices();
  }
}
