// Refreshes the page. Only what changed is touched, so focus, scroll position, text selection and opened details stay.
// Without this script the page is complete, and reloads itself every ten seconds.
//
// Browsers limit the connections to a server, and the server limits streams, so the documents of one browser share one
// event stream. A visible document holds the stream and forwards its events (BroadcastChannel, since Web Locks need HTTPS).
// Without a stream the page is polled. In any case, the page is marked as stale by the age of its data.
"use strict";
(() => {
  // The time between two requests for the page: without a stream, while hidden, after a failure, on pages without rows.
  const POLL_MS = 10000;
  const HIDDEN_POLL_MS = 30000;
  const RETRY_MS = 5000;
  const PAGE_MS = 1500;
  // The timeout of a request. A slow request may wait for a connection that a stream holds.
  const TIMEOUT_MS = 10000;
  const SLOW_MS = 2000;
  // Updates arrive every second. A stream that is silent for longer is ignored, and then closed.
  const SILENT_MS = 4000;
  const DEAD_MS = 8000;
  const RECONNECT_MS = 30000;
  // Data older than this is marked stale.
  const STALE_MS = 5000;
  // Browsers run timers of hidden pages only once a minute.
  const HIDDEN_STALE_MS = 150000;
  const CONNECTION_LOST = "Connection lost";

  const byId = (id) => document.getElementById(id);
  const script = document.currentScript;
  const connection = byId("connection");
  const patchesRows = document.body.dataset.refresh === "rows";
  const me = Math.random();
  let title = document.title;
  let icon = byId("icon").getAttribute("href");
  let isStale = false;

  // Makes `old` like `fresh` with few changes. Details stay open or closed as they are.
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
  const isSameNode = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

  function morphChildren(old, fresh) {
    const keyed = new Map();
    for (const node of old.childNodes) if (keyOf(node)) keyed.set(keyOf(node), node);
    let place = old.firstChild;
    for (const want of [...fresh.childNodes]) {
      let have = place;
      const known = keyed.get(keyOf(want));
      if (known && isSameNode(known, want)) {
        have = known;
        if (have === place) place = place.nextSibling;
        else move(old, have, place);
      } else if (have && !keyOf(have) && isSameNode(have, want)) {
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

  // Restores the focus, which a node loses when it is moved, unless the browser supports moveBefore.
  function move(parent, node, before) {
    const focused = node.contains(document.activeElement) ? document.activeElement : null;
    if (parent.moveBefore) parent.moveBefore(node, before);
    else parent.insertBefore(node, before);
    if (focused && document.activeElement !== focused) focused.focus({ preventScroll: true });
  }

  // Changes the page, and restores the selection if a move removed it.
  function change(steps) {
    const selection = getSelection();
    const { anchorNode, anchorOffset, focusNode, focusOffset, isCollapsed } = selection;
    steps();
    if (isCollapsed || !anchorNode.isConnected || !focusNode.isConnected) return;
    if (selection.anchorNode === anchorNode && selection.focusNode === focusNode) return;
    const within = (node, offset) => Math.min(offset, node.nodeValue === null ? node.childNodes.length : node.nodeValue.length);
    selection.setBaseAndExtent(anchorNode, within(anchorNode, anchorOffset), focusNode, within(focusNode, focusOffset));
  }

  // The time of the shown data on the server, and on both clocks of the browser: one may be set, the other may stop during
  // suspend.
  let taken = byId("taken").querySelector("time").dateTime;
  let shown;
  // A lower bound of how far the browser's clock is ahead of the server's.
  let ahead = -Infinity;

  // The server time of a response to a request sent at `began` lies between then and now.
  function compareClocks(time, began) {
    const serverTime = Date.parse(time);
    ahead = Math.max(ahead, began - serverTime);
    if (ahead > Date.now() - serverTime) ahead = began - serverTime;
  }

  function showAsOf(time, at) {
    taken = time;
    const elapsed = Math.max(0, Date.now() - at);
    shown = [Date.now() - elapsed, performance.now() - elapsed];
    const element = byId("taken").querySelector("time");
    if (element.getAttribute("datetime") === time) return;
    element.setAttribute("datetime", time);
    element.textContent = time.slice(0, 10) + " " + time.slice(11, 19) + " UTC";
  }

  // Shows the times of the history in the reader's zone.
  function localize(root) {
    for (const element of root.querySelectorAll("time.local")) {
      const time = new Date(element.dateTime);
      const two = (number) => String(number).padStart(2, "0");
      element.title = element.textContent + " UTC";
      element.textContent =
        time.getFullYear() + "-" + two(time.getMonth() + 1) + "-" + two(time.getDate()) + " " + two(time.getHours()) + ":" + two(time.getMinutes());
    }
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    for (const element of root.querySelectorAll(".zone")) element.textContent = "Times are in your time zone (" + zone + ").";
  }

  const age = () => Math.max(Date.now() - shown[0], performance.now() - shown[1]);

  // Refreshes of the page: how many were requested, and how many of these the shown data covers.
  let requested = 0;
  let covered = 0;
  let lastFetch = Date.now();
  let isFetching = false;
  let failure = "";
  // Rows that arrive while a request is in progress. The response may be older.
  const newerRows = new Map();

  // Requests a refresh, since the shown data may be incomplete.
  function requestRefresh() {
    requested += 1;
    if (!failure || Date.now() - lastFetch >= RETRY_MS) refresh();
  }

  // Fetches this page again and applies the differences. One request at a time.
  async function refresh() {
    if (isFetching) return;
    const covers = requested;
    const began = Date.now();
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
    isFetching = true;
    lastFetch = began;
    newerRows.clear();
    try {
      const response = await fetch(location.href, { cache: "no-store", signal: abort.signal });
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      localize(fresh);
      if (!fresh.getElementById("main") || response.status >= 500) throw new Error("The exporter returned status " + response.status);
      // The page of another version needs its own script and styles.
      const newer = fresh.querySelector("script");
      if (newer && newer.getAttribute("src") !== script.getAttribute("src")) {
        location.reload();
        return;
      }
      change(() => {
        for (const id of ["top", "main", "taken"]) morph(byId(id), fresh.getElementById(id));
      });
      const time = byId("taken").querySelector("time").dateTime;
      icon = fresh.getElementById("icon").getAttribute("href");
      title = fresh.title;
      document.body.dataset.layout = fresh.body.dataset.layout;
      compareClocks(time, began);
      showAsOf(time, began);
      for (const [key, row] of newerRows) {
        if (row.time > time) patch(key, row.html);
      }
      covered = covers;
      // The exporter is back, so streams work again.
      if (failure === CONNECTION_LOST) connectAfter = Date.now() + Math.random() * 500;
      failure = "";
    } catch (error) {
      failure = error instanceof TypeError ? CONNECTION_LOST : error.message;
      if (abort.signal.aborted) {
        failure = "No response for " + TIMEOUT_MS / 1000 + "\u00a0s";
        disconnect(RECONNECT_MS);
      }
    } finally {
      clearTimeout(timer);
      isFetching = false;
    }
    showStaleness();
    if (!failure && covered < requested) refresh();
  }

  function patch(key, html) {
    const row = byId("s-" + key);
    if (!row) return;
    const template = document.createElement("template");
    template.innerHTML = html;
    change(() => morph(row, template.content.firstElementChild));
  }

  function update(text) {
    const event = JSON.parse(text);
    if (event.layout !== document.body.dataset.layout || !event.complete) {
      requestRefresh();
      return;
    }
    // Only the title and icon of a hidden page matter, and they change with the layout.
    if (document.hidden) return;
    if (!patchesRows) {
      if (age() > PAGE_MS) requestRefresh();
      return;
    }
    // The event is older than the page.
    if (event.taken < taken) return;
    for (const [key, html] of Object.entries(event.rows)) {
      if (isFetching) newerRows.set(key, { time: event.taken, html });
      patch(key, html);
    }
    if (covered === requested) showAsOf(event.taken, Date.parse(event.taken) + ahead);
  }

  // Screen readers announce status changes, but not the updates of every second.
  function announce(text) {
    const event = JSON.parse(text);
    const row = byId("s-" + event.service);
    const name = row ? row.querySelector(".name").textContent : event.service;
    const line = document.createElement("span");
    line.textContent = name + " is " + event.new + ". ";
    const log = byId("announce");
    log.append(line);
    while (log.childElementCount > 5) log.firstElementChild.remove();
    requestRefresh();
  }

  // The event stream: `source` if this document holds it, and when another document last announced that it does.
  let source = null;
  let opened = 0;
  let lastAnnounced = 0;
  let lastEvent = 0;
  let wasFollowing = false;
  let connectAfter = Date.now() + 200;
  let channel = null;

  const isFollowing = () => Date.now() - lastEvent < SILENT_MS;
  const post = (kind, data) => channel && channel.postMessage({ from: me, kind, data });

  // Handles an event of the stream.
  function handle(kind, data) {
    const isFirst = !isFollowing();
    lastEvent = Date.now();
    if (kind === "open") failure = "";
    if (kind === "update") update(data);
    else if (kind === "status") announce(data);
    // Earlier changes are only in the page.
    if (isFirst || kind === "open" || kind === "lost") requestRefresh();
  }

  function connect() {
    const own = new EventSource("/api/events");
    source = own;
    opened = Date.now();
    post("mine");
    for (const kind of ["open", "update", "status", "lost"]) {
      own.addEventListener(kind, ({ data }) => {
        if (own !== source) return;
        post(kind, data);
        handle(kind, data);
      });
    }
    own.addEventListener("error", () => {
      if (own !== source) return;
      lastEvent = 0;
      requestRefresh();
      // The browser gives up after a response that is not a stream; the exporter may accept one later. It also gives up when
      // the user leaves this document. pagehide reports that, and other documents need not wait.
      if (own.readyState === EventSource.CLOSED) setTimeout(() => own === source && disconnect(POLL_MS), 100);
    });
  }

  // Closes the stream. No document of this browser opens another one before `wait` is over.
  function disconnect(wait) {
    if (!source) return;
    source.close();
    source = null;
    connectAfter = Date.now() + wait;
    post("bye", wait);
  }

  function receive({ data: { from, kind, data } }) {
    if (kind === "who") {
      if (source) post("mine");
      return;
    }
    if (kind === "bye") {
      lastAnnounced = 0;
      connectAfter = Math.max(connectAfter, Date.now() + data + Math.random() * 500);
      return;
    }
    lastAnnounced = Date.now();
    if (source) {
      // Two documents opened a stream at the same time. One of them closes it.
      if (from > me) post("mine");
      else {
        source.close();
        source = null;
      }
    }
    if (!source && kind !== "mine") handle(kind, data);
  }

  function join() {
    if (!window.BroadcastChannel) return;
    // Scripts of other versions have a channel of their own.
    channel = new BroadcastChannel(script.src);
    channel.addEventListener("message", receive);
    post("who");
  }

  // Marks the page as stale if its data is too old.
  function showStaleness() {
    const elapsed = age();
    const isSlow = isFetching && Date.now() - lastFetch > SLOW_MS;
    const isPolling = !failure && !isSlow && (document.hidden || !isFollowing());
    const limit = document.hidden ? HIDDEN_STALE_MS : POLL_MS + STALE_MS;
    isStale = elapsed > (isPolling ? limit : STALE_MS);
    const shownTitle = isStale ? "(stale) " + title : title;
    const shownIcon = isStale ? byId("icon").dataset.stale : icon;
    if (document.title !== shownTitle) document.title = shownTitle;
    if (byId("icon").getAttribute("href") !== shownIcon) byId("icon").setAttribute("href", shownIcon);
    if (isStale === connection.hidden) connection.hidden = !isStale;
    document.body.classList.toggle("stale", isStale);
    if (!isStale) {
      if (connection.textContent) connection.textContent = "";
      return;
    }
    // The age is shown every second, but screen readers announce it only once.
    const text = (failure || CONNECTION_LOST) + ". Data is ";
    let seconds = connection.querySelector(".age");
    if (!seconds || connection.firstChild.nodeValue !== text) {
      connection.textContent = text;
      seconds = document.createElement("span");
      seconds.className = "age";
      seconds.setAttribute("aria-live", "off");
      connection.append(seconds, " old. Retrying\u2026");
    }
    seconds.textContent = Math.round(elapsed / 1000) + "\u00a0s";
  }

  function tick() {
    const now = Date.now();
    if (source) {
      post("mine");
      if (now - Math.max(lastEvent, opened) > DEAD_MS) disconnect(RECONNECT_MS);
    } else if (!document.hidden && now >= connectAfter && now - lastAnnounced > SILENT_MS) {
      connect();
    }
    if (wasFollowing && !isFollowing()) requestRefresh();
    wasFollowing = isFollowing();
    const isBehind = covered < requested || (isFollowing() && age() > STALE_MS);
    const wait = document.hidden ? HIDDEN_POLL_MS : isBehind || failure ? RETRY_MS : POLL_MS;
    if ((isBehind || !isFollowing()) && now - lastFetch >= wait) requestRefresh();
    showStaleness();
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) disconnect(0);
    else requestRefresh();
  });
  // A page that the user leaves must not hold a stream, since these are limited.
  addEventListener("pagehide", () => {
    disconnect(0);
    if (channel) channel.close();
    channel = null;
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    join();
    requestRefresh();
  });
  localize(document);
  compareClocks(taken, performance.timeOrigin);
  showAsOf(taken, performance.timeOrigin);
  connection.hidden = true;
  join();
  setTimeout(tick, 300);
  setInterval(tick, 1000);
})();
