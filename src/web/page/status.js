// Keeps the page fresh. The server sends what changed; nothing else is touched, so that focus, scroll position, text
// selection and opened details stay. Without this script the page is complete, and reloads itself each ten seconds.
"use strict";
(() => {
  const RETRY_MS = 5000;
  const LATE_MS = 4000;
  const byId = (id) => document.getElementById(id);
  const connection = byId("connection");
  const patchesRows = document.body.dataset.live === "rows";
  let source;
  let heard = Date.now();
  let refreshing = false;
  let again = false;

  // Makes `old` like `fresh` by the smallest steps. Details stay as the reader left them.
  function morph(old, fresh) {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      const kept = name === "open" && old.localName === "details";
      if (!kept && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    morphChildren(old, fresh);
  }

  const keyOf = (node) => (node.nodeType === 1 ? node.id || node.dataset.key : "") || "";
  const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

  function morphChildren(old, fresh) {
    const keyed = new Map();
    for (const node of old.childNodes) if (keyOf(node)) keyed.set(keyOf(node), node);
    let place = old.firstChild;
    for (const want of [...fresh.childNodes]) {
      let have = place;
      const known = keyed.get(keyOf(want));
      if (known && alike(known, want)) {
        have = known;
        if (have === place) place = place.nextSibling;
        else move(old, have, place);
      } else if (have && !keyOf(have) && alike(have, want)) {
        place = have.nextSibling;
      } else {
        old.insertBefore(document.importNode(want, true), place);
        continue;
      }
      if (have.nodeType === 1) morph(have, want);
      else if (have.nodeValue !== want.nodeValue) have.nodeValue = want.nodeValue;
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  }

  // Moving a node takes the focus from it, unless the browser can move it as it is.
  function move(parent, node, before) {
    const focused = node.contains(document.activeElement) ? document.activeElement : null;
    if (parent.moveBefore) parent.moveBefore(node, before);
    else parent.insertBefore(node, before);
    if (focused && document.activeElement !== focused) focused.focus({ preventScroll: true });
  }

  // Changes the page, and gives a selection back that a move took.
  function change(steps) {
    const selection = getSelection();
    const { anchorNode, anchorOffset, focusNode, focusOffset, isCollapsed } = selection;
    steps();
    if (isCollapsed || !anchorNode.isConnected || !focusNode.isConnected) return;
    if (selection.anchorNode === anchorNode && selection.focusNode === focusNode) return;
    const within = (node, offset) => Math.min(offset, node.nodeValue === null ? node.childNodes.length : node.nodeValue.length);
    selection.setBaseAndExtent(anchorNode, within(anchorNode, anchorOffset), focusNode, within(focusNode, focusOffset));
  }

  // Asks for this page again and takes over what is different. One request at a time.
  async function refresh() {
    if (refreshing) {
      again = true;
      return;
    }
    refreshing = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!fresh.getElementById("main")) throw new Error("no page");
      change(() => {
        for (const id of ["top", "main", "taken"]) morph(byId(id), fresh.getElementById(id));
      });
      const icon = fresh.getElementById("icon").getAttribute("href");
      if (byId("icon").getAttribute("href") !== icon) byId("icon").setAttribute("href", icon);
      if (document.title !== fresh.title) document.title = fresh.title;
      document.body.dataset.layout = fresh.body.dataset.layout;
    } catch {
      // The stream tells when the exporter is back, and the page is asked for then.
    } finally {
      refreshing = false;
      if (again) {
        again = false;
        refresh();
      }
    }
  }

  function update(event) {
    heard = Date.now();
    const news = JSON.parse(event.data);
    if (document.hidden) return;
    if (news.layout !== document.body.dataset.layout || !news.complete || !patchesRows) {
      refresh();
      return;
    }
    for (const [key, html] of Object.entries(news.rows)) {
      const row = byId("s-" + key);
      if (!row) continue;
      const template = document.createElement("template");
      template.innerHTML = html;
      change(() => morph(row, template.content.firstElementChild));
    }
    const time = byId("taken").querySelector("time");
    time.setAttribute("datetime", news.taken);
    time.textContent = news.taken.slice(0, 10) + " " + news.taken.slice(11, 19) + " UTC";
  }

  // Changes of a status are read out; the rest of what changes each second is not.
  function announce(event) {
    const change = JSON.parse(event.data);
    const row = byId("s-" + change.service);
    const name = row ? row.querySelector(".name").textContent : change.service;
    const line = document.createElement("span");
    line.textContent = name + " is " + change.new + ". ";
    const log = byId("announce");
    log.append(line);
    while (log.childElementCount > 5) log.firstElementChild.remove();
    refresh();
  }

  function connect() {
    source = new EventSource("/api/events");
    source.addEventListener("open", () => {
      heard = Date.now();
      refresh();
    });
    source.addEventListener("update", update);
    source.addEventListener("status", announce);
    source.addEventListener("lost", refresh);
    source.addEventListener("error", () => {
      // After an answer that is no stream the browser gives up; the exporter may have a place later.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
    });
  }

  setInterval(() => {
    const late = Date.now() - heard;
    const isLost = late > LATE_MS;
    if (isLost === connection.hidden) connection.hidden = !isLost;
    document.body.classList.toggle("lost", isLost);
    // Told to the second for the eye, once for the ear.
    const text = isLost ? "Connection lost. What you see is " : "";
    if (!isLost) {
      if (connection.textContent) connection.textContent = "";
      return;
    }
    let age = connection.querySelector(".age");
    if (!age) {
      connection.textContent = text;
      age = document.createElement("span");
      age.className = "age";
      age.setAttribute("aria-live", "off");
      connection.append(age, " old. Trying again\u2026");
    }
    age.textContent = Math.round(late / 1000) + "\u00a0s";
  }, 1000);

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh();
  });
  // A page that is left must not keep its place among the few streams there are.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) connect();
  });
  connection.hidden = true;
  connect();
})();
