// Tells the site that this page is open, and learns who else has the captions open: once in 20 seconds, while it is seen.

const INTERVAL = 20_000; // milliseconds; the site forgets a page after 45 seconds

export class Presence extends EventTarget {
  others = [];
  #timer = 0;

  constructor(saver, address, facts) {
    super();
    Object.assign(this, { saver, address, facts });
    this.page = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    document.addEventListener("visibilitychange", () => this.#tick());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", ({ persisted }) => persisted && this.#tick());
  }

  start() { return this.#tick(); }

  async #tick() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    this.#timer = setTimeout(() => this.#tick(), INTERVAL);
    const answer = await this.saver.request("POST", { page: this.page, ...this.facts() }, this.address);
    if (!answer.ok) return;
    const before = JSON.stringify(this.others);
    this.others = answer.data.others;
    if (JSON.stringify(this.others) !== before) this.dispatchEvent(new Event("others"));
    if (answer.data.revision !== this.saver.revision) await this.saver.refresh();
  }

  #close() {
    clearTimeout(this.#timer);
    const headers = { "X-CSRFToken": this.saver.csrf, "Content-Type": "application/json" };
    fetch(this.address, { method: "POST", headers, body: JSON.stringify({ page: this.page, closed: true }), keepalive: true }).catch(() => {});
  }
}
