"use strict";

// Sends files so that they can be continued: after a lost connection, sleep, a reload, or in another browser.
// VlogUploads knows no page. It calls each function that was given to `listen` with the item that changed; tray.js shows
// the items.
//
// An item has: file (null until it is chosen again), name, size, sent (bytes), speed (bytes a second, 0 until it is
// measured), state, error (a sentence), errors (sentences by the name of a detail), replaces (the slug of the video
// whose file it replaces, or ""), video ({title, url, edit_url} of a complete one) and notes (sentences about what was
// left out, one a line).
// States: chosen, waiting, sending, paused, offline, failed, done, and "absent" for an unfinished upload without a file.

{
  const PARALLEL = 3; // files that are sent at once
  const RETRIES = [0, 1000, 3000, 5000, 10_000, 15_000]; // milliseconds; after the last one it is "offline"
  const OFFLINE = 20_000; // milliseconds until an offline upload is retried
  const MEASURED = 1000; // milliseconds between two measurements of the speed
  const SMOOTHING = 0.3; // the share of the newest measurement in the speed
  const VERSION = { "Tus-Resumable": "1.0.0" };
  const SIDECAR = /\.(srt|vtt|ass|ssa|ttml|sami?|smi|jpe?g|png)$/i; // sent before the videos that they belong to

  class VlogUploads {
    constructor(address) {
      this.address = address;
      this.listeners = new Set();
      this.items = [];
      addEventListener("online", () => this.items.filter((item) => item.state === "offline").forEach(this.send, this));
    }

    // Calls a function with each item that changes, from now on. Returns the function that ends this.
    listen(listener) {
      this.listeners.add(listener);
      return () => this.listeners.delete(listener);
    }

    changed(item) {
      for (const listener of this.listeners) listener(item);
    }

    // Adds the unfinished uploads of this editor, begun in any browser.
    async load() {
      const { uploads } = await (await this.ask("GET", this.address)).json();
      for (const { url, filename, fingerprint, size, offset } of uploads.filter(({ finished }) => !finished)) {
        if (this.items.some((item) => item.url === url)) continue;
        this.add({ file: null, url, name: filename, fingerprint, size, sent: offset, state: "absent" });
      }
    }

    // Adds files that were chosen together. One that is unfinished goes on at once, where it was.
    // options: replaces, the slug of the video whose file it replaces. Returns the items.
    choose(files, { replaces = "" } = {}) {
      const batch = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16)).join("");
      return Array.from(files, (chosen) => {
        // A file of a page in a frame outlives that page only as an object of this one.
        const { name, type, size, lastModified } = chosen;
        const file = chosen instanceof File ? chosen : new File([chosen], name, { type, lastModified });
        const fingerprint = String(lastModified);
        const same = (item) => item.name === name && item.size === size && item.fingerprint === fingerprint;
        const known = this.items.find((item) => same(item) && item.state !== "done");
        if (!known) return this.add({ file, url: "", name, fingerprint, batch, size, replaces, state: "chosen" });
        if (known.state === "absent") {
          known.file = file;
          this.send(known);
        }
        return known;
      });
    }

    add(item) {
      const more = { sent: 0, speed: 0, error: "", errors: {}, video: null, notes: "", details: null, replaces: "" };
      const added = { ...more, ...item };
      this.items.push(added);
      this.changed(added);
      return added;
    }

    // Sends the chosen files, captions and pictures first. details: title, description, category, tags, …
    start(details) {
      const chosen = this.items.filter(({ state }) => state === "chosen");
      chosen.sort((one, other) => SIDECAR.test(other.name) - SIDECAR.test(one.name));
      const { title, ...others } = details;
      const isOnly = chosen.filter(({ name }) => !SIDECAR.test(name)).length === 1;
      for (const item of this.items) if (item.state === "sending" && !item.transfer) item.details = others;
      for (const item of chosen) {
        item.details = isOnly && !SIDECAR.test(item.name) ? details : others;
        this.send(item);
      }
    }

    // Saves details of one file that is on its way. Returns an error with `errors`, or null.
    async describe(item, details) {
      item.details = { ...item.details, ...details };
      if (!item.url || item.state === "done") return null; // they are sent when it begins
      try {
        await this.ask("PUT", item.url, { json: item.details });
      } catch (error) {
        return error;
      }
      return null;
    }

    // Saves details of the files that are on their way. Returns the errors by detail, or null if they are saved.
    async save(details) {
      const { title, ...others } = details;
      const items = this.items.filter(({ state, url, details }) => url && details && state !== "done");
      try {
        for (const item of items) {
          const changed = "title" in item.details ? details : others;
          await this.ask("PUT", item.url, { json: changed });
          item.details = changed;
        }
      } catch (error) {
        if (error.status !== 409) return { errors: error.errors ?? {}, error: error.message };
      }
      return null;
    }

    pause(item) {
      item.transfer?.abort();
      this.set(item, "paused");
    }

    // Deletes what has arrived; a file that was not sent yet is only forgotten.
    async discard(item) {
      await item.transfer?.abort();
      clearTimeout(item.timer);
      this.forget(item);
      this.next();
      if (item.url) await this.deleted(item.url);
    }

    forget(item) {
      this.items.splice(this.items.indexOf(item), 1);
      this.set(item, "discarded");
    }

    async deleted(url) {
      for (const wait of RETRIES) {
        await new Promise((done) => setTimeout(done, wait));
        try {
          return await this.ask("DELETE", url, { headers: VERSION });
        } catch (error) {
          if (error.status !== 423) return; // not the end of the last request; the server deletes it after a week
        }
      }
    }

    send(item) {
      clearTimeout(item.timer);
      Object.assign(item, { error: "", errors: {} });
      this.set(item, "waiting");
      this.next();
    }

    next() {
      const count = this.items.filter(({ state }) => state === "sending").length;
      const waiting = this.items.filter(({ state }) => state === "waiting");
      for (const item of waiting.slice(0, Math.max(0, PARALLEL - count))) this.begin(item);
    }

    async begin(item) {
      this.set(item, "sending");
      let details = null;
      try {
        if (!item.url) item.url = await this.create(item);
        while (item.details !== details) {
          ({ details } = item);
          await this.ask("PUT", item.url, { json: details });
        }
      } catch (error) {
        if (item.state === "sending" && error.errors && item.details !== details) return this.send(item); // corrected
        return this.fail(item, error);
      }
      if (item.state !== "sending") return;
      item.transfer = new tus.Upload(item.file, {
        uploadUrl: item.url,
        retryDelays: RETRIES,
        storeFingerprintForResuming: false,
        onBeforeRequest: (request) => request.setHeader("X-CSRFToken", csrfToken()),
        onShouldRetry: (error) => isTemporary(error.originalResponse?.getStatus() ?? 0),
        onProgress: (sent) => this.progress(item, sent),
        onError: (error) => this.fail(item, refusal(error.originalResponse)),
        onSuccess: () => this.finish(item),
      });
      item.transfer.start();
    }

    async create({ name, fingerprint, batch, size, replaces }) {
      const metadata = Object.entries({ filename: name, fingerprint, batch, ...(replaces && { replaces }) })
        .map(([key, value]) => `${key} ${base64(value)}`)
        .join(",");
      const headers = { ...VERSION, "Upload-Length": size, "Upload-Metadata": metadata };
      const response = await this.ask("POST", this.address, { headers });
      return response.headers.get("Location");
    }

    progress(item, sent) {
      this.measure(item, sent);
      item.sent = sent;
      this.changed(item);
    }

    measure(item, sent) {
      const now = performance.now();
      const since = (item.measured ??= { now, sent });
      if (now - since.now < MEASURED) return;
      const speed = ((sent - since.sent) / (now - since.now)) * 1000;
      item.speed = item.speed ? item.speed + SMOOTHING * (speed - item.speed) : speed;
      item.measured = { now, sent };
    }

    async finish(item) {
      try {
        const { video, notes } = await (await this.ask("GET", item.url)).json();
        Object.assign(item, { video, notes });
      } catch {
        // It is complete all the same.
      }
      item.sent = item.size;
      this.set(item, "done");
      this.next();
    }

    fail(item, error) {
      if (item.state !== "sending") return; // it was paused or discarded
      if (error.status === 404 && item.url) {
        Object.assign(item, { url: "", sent: 0 }); // it has expired: it begins again
        return this.send(item);
      }
      Object.assign(item, { error: error.message, errors: error.errors ?? {} });
      const isOffline = !error.status || error.status === 503;
      if (isOffline) item.timer = setTimeout(() => this.send(item), OFFLINE);
      this.set(item, isOffline ? "offline" : "failed");
      this.next();
    }

    set(item, state) {
      item.state = state;
      if (state !== "sending") Object.assign(item, { speed: 0, measured: null });
      this.changed(item);
    }

    // Asks the server, and throws an error with `status` (0 without a connection), a sentence and `errors`.
    async ask(method, url, { headers = {}, json } = {}) {
      const own = { "X-CSRFToken": csrfToken(), ...(json && { "Content-Type": "application/json" }) };
      let response;
      try {
        response = await fetch(url, { method, headers: { ...own, ...headers }, body: json && JSON.stringify(json) });
      } catch {
        throw refusal(null);
      }
      if (response.ok) return response;
      const text = await response.text();
      throw refusal({ getStatus: () => response.status, getBody: () => text });
    }
  }

  // Returns an error made from the answer of the server, null where there was none.
  function refusal(response) {
    const status = response?.getStatus() ?? 0;
    let body = {};
    try {
      body = JSON.parse(response.getBody());
    } catch {
      // Not from VLog itself: a proxy, or no answer at all.
    }
    const sentence = status
      ? translated("The server did not accept the upload (status %(status)s).", { status }) : translated("There is no connection.");
    const login = ` ${translated("Log in again in another tab, then continue.")}`;
    const message = (body.detail ?? sentence) + (status === 401 ? login : "");
    return Object.assign(new Error(message), { status, errors: body.errors });
  }

  const isTemporary = (status) => status === 0 || status === 409 || status === 423 || (status >= 500 && status !== 507);

  const csrfToken = () =>
    document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ??
    document.querySelector("[name=csrfmiddlewaretoken]")?.value ??
    "";

  const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

  window.VlogUploads = VlogUploads;
}
