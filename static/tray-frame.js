"use strict";

// Keeps the page alive while files are sent: the other pages of the desk open in a frame that covers it. They stay
// ordinary documents with their own scripts; the address and the title of the window follow them. With the last upload
// the next page opens in the window again.

class DeskFrame {
  // desk: the path that the addresses of the desk begin with; isBusy: whether leaving would interrupt an upload.
  constructor(desk, isBusy) {
    Object.assign(this, { desk, isBusy });
    this.frame = null;
    document.addEventListener("click", (event) => this.follow(event));
    document.addEventListener("submit", (event) => this.submit(event));
    addEventListener("popstate", () => this.frame && this.go(location.href));
  }

  isDesk(address) {
    const url = new URL(address, location.href);
    return url.origin === location.origin && url.pathname.startsWith(this.desk);
  }

  // A link of the page under the frame.
  follow(event) {
    const link = plainLink(event);
    if (!link || this.frame || !this.isBusy() || !this.isDesk(link.href) || !this.mayLeave()) return;
    event.preventDefault();
    this.open();
    history.pushState(null, "", link.href);
    this.frame.src = link.href;
  }

  // A form of the page under the frame: its answer is shown in the frame.
  submit(event) {
    const form = event.target;
    const action = event.submitter?.getAttribute("formaction") ?? form.action;
    if (event.defaultPrevented || this.frame || form.method === "dialog" || !this.isBusy() || !this.isDesk(action)) return;
    this.open();
    history.pushState(null, "", location.href);
    form.target = this.frame.name;
  }

  mayLeave() {
    return !window.hasUnsavedChanges?.() || confirm(translated("Leave this page? The changes on it are not saved."));
  }

  open() {
    this.frame = Object.assign(document.createElement("iframe"), { id: "desk-frame", name: "desk-frame", title: translated("Desk") });
    this.frame.addEventListener("load", () => this.arrive());
    const page = document.getElementById("container");
    page.hidden = page.inert = true;
    for (const part of document.querySelectorAll("[data-live]")) delete part.dataset.live; // of another address
    window.forgetChanges?.();
    page.before(this.frame);
  }

  // Another page is in the frame: the window gets its address and title.
  arrive() {
    const page = this.frame.contentDocument;
    if (page?.URL === "about:blank") return;
    if (!page) return location.reload(); // a page that no frame may show, such as that to log in
    history.replaceState(null, "", page.URL);
    document.title = page.title;
    document.documentElement.dataset.theme = page.documentElement.dataset.theme ?? "auto";
  }

  go(address) {
    if (this.frame.contentDocument?.URL !== address) this.frame.contentWindow.location.replace(address);
  }

  // Has the links of a page in the frame that lead elsewhere leave the frame, which the browser asks about.
  guide(page) {
    page.document.addEventListener("click", (event) => {
      const link = plainLink(event);
      if (link && (!this.isBusy() || !this.isDesk(link.href))) link.target = "_top";
    });
  }
}

// Returns the link that a click opens in this window as another page, or null.
function plainLink(event) {
  const link = event.target.closest?.("a[href]");
  const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!link || !isPlain || event.defaultPrevented || link.target || link.hasAttribute("download")) return null;
  const address = new URL(link.href);
  const isHere = address.hash && address.href.split("#")[0] === link.ownerDocument.URL.split("#")[0];
  return isHere || !address.protocol.startsWith("http") ? null : link;
}

window.DeskFrame = DeskFrame;
