// Keeps the page fresh. The server sends what changed; nothing else is touched, so that focus, scroll position, text
// selection and opened details stay. Without this script the page is complete, and reloads itself each ten seconds.
//
// A browser has few connections to a server, and a server few streams: the documents of one browser share one stream.
// One that is visible holds it and passes on what comes (BroadcastChannel; Web Locks need https). Where there is no stream
// the page is asked for again and again. Whatever the means, the page judges by the age of what it shows.
"use strict";
(() => {
  // From one request for the page to the next: without a stream, while hidden, after a failure, where rows don't do.
  const POLL_MS = 10000;
  const HIDDEN_POLL_MS = 30000;
  const RETRY_MS = 5000;
  const PAGE_MS = 1500;
  // How long a request may take. One that hangs may wait for a connection that a stream holds.
  const ANSWER_MS = 10000;
  const HANGS_MS = 2000;
  // Updates come each second: a stream that is silent for so long is not followed, and closed.
  const SILENT_MS = 4000;
  const DEAD_MS = 8000;
  const NEXT_STREAM_MS = 30000;
  // What is older than this is told to be old.
  const LATE_MS = 5000;
  // Browsers let timers of hidden pages run once a minute.
  const HIDDEN_LATE_MS = 150000;
  const GONE = "Connection lost";

  const byId = (id) => document.getElementById(id);
  const script = document.currentScript;
  const connection = byId("connection");
  const patchesRows = document.body.dataset.live === "rows";
  const me = Math.random();
  let title = document.title;
  let icon = byId("icon").getAttribute("href");
  let isLost = false;
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

  // What is shown: the server's time of it, and since when it is that old by both clocks of the browser. One may be set
  // anew, the other may stop while the machine sleeps.
  let taken = byId("taken").querySelector("time").dateTime;
  let shown;
  // By how much the browser's clock is ahead of the server's, at least.
  let ahead = -Infinity;

  // An answer that was asked for at `began` tells of a moment between then and now.
  function compareClocks(time, began) {
    const theirs = Date.parse(time);
    ahead = Math.max(ahead, began - theirs);
    if (ahead > Date.now() - theirs) ahead = began - theirs;
  }

  function showAsOf(time, at) {
    taken = time;
    const late = Math.max(0, Date.now() - at);
    shown = [Date.now() - late, performance.now() - late];
    const element = byId("taken").querySelector("time");
    if (element.getAttribute("datetime") === time) return;
    element.setAttribute("datetime", time);
    element.textContent = time.slice(0, 10) + " " + time.slice(11, 19) + " UTC";
  }

  const age = () => Math.max(Date.now() - shown[0], performance.now() - shown[1]);

  // Requests for the page. `wanted` counts the reasons there were, `have` those that what is shown has heeded.
  let wanted = 0;
  let have = 0;
  let asked = Date.now();
  let isAsking = false;
  let failure = "";
  // Rows that came while a request was under way, whose answer may be older.
  const later = new Map();

  // The page as it is shown may lack something.
  function want() {
    wanted += 1;
    if (!failure || Date.now() - asked >= RETRY_MS) refresh();
  }

  // Asks for this page again and takes over what is different. One request at a time.
  async function refresh() {
    if (isAsking) return;
    const heeds = wanted;
    const began = Date.now();
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), ANSWER_MS);
    isAsking = true;
    asked = began;
    later.clear();
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: abort.signal });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!fresh.getElementById("main") || answer.status >= 500) throw new Error("The exporter answers " + answer.status);
      // Another version's page needs its own script and styles.
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
      for (const [key, news] of later) {
        if (news.time > time) patch(key, news.html);
      }
      have = heeds;
      // The exporter is back, and its streams with it.
      if (failure === GONE) mayConnect = Date.now() + Math.random() * 500;
      failure = "";
    } catch (error) {
      failure = error instanceof TypeError ? GONE : error.message;
      if (abort.signal.aborted) {
        failure = "No answer for " + ANSWER_MS / 1000 + "\u00a0s";
        leave(NEXT_STREAM_MS);
      }
    } finally {
      clearTimeout(timer);
      isAsking = false;
    }
    judge();
    if (!failure && have < wanted) refresh();
  }

  function patch(key, html) {
    const row = byId("s-" + key);
    if (!row) return;
    const template = document.createElement("template");
    template.innerHTML = html;
    change(() => morph(row, template.content.firstElementChild));
  }

  function update(text) {
    const news = JSON.parse(text);
    if (news.layout !== document.body.dataset.layout || !news.complete) {
      want();
      return;
    }
    // Of a page that nobody sees only the title and the icon matter: the layout tells when they change.
    if (document.hidden) return;
    if (!patchesRows) {
      if (age() > PAGE_MS) want();
      return;
    }
    // It was under way for longer than the page.
    if (news.taken < taken) return;
    for (const [key, html] of Object.entries(news.rows)) {
      if (isAsking) later.set(key, { time: news.taken, html });
      patch(key, html);
    }
    if (have === wanted) showAsOf(news.taken, Date.parse(news.taken) + ahead);
  }

  // Changes of a status are read out; the rest of what changes each second is not.
  function announce(text) {
    const news = JSON.parse(text);
    const row = byId("s-" + news.service);
    const name = row ? row.querySelector(".name").textContent : news.service;
    const line = document.createElement("span");
    line.textContent = name + " is " + news.new + ". ";
    const log = byId("announce");
    log.append(line);
    while (log.childElementCount > 5) log.firstElementChild.remove();
    want();
  }

  // The stream: `source` where this document holds it, `led` when another one last said that it does.
  let source = null;
  let opened = 0;
  let led = 0;
  let heard = 0;
  let followed = false;
  let mayConnect = Date.now() + 200;
  let channel = null;

  const follows = () => Date.now() - heard < SILENT_MS;
  const tell = (kind, data) => channel && channel.postMessage({ from: me, kind, data });

  // Something came over the stream.
  function take(kind, data) {
    const isFirst = !follows();
    heard = Date.now();
    if (kind === "open") failure = "";
    if (kind === "update") update(data);
    else if (kind === "status") announce(data);
    // What happened before is in the page only.
    if (isFirst || kind === "open" || kind === "lost") want();
  }

  function connect() {
    const own = new EventSource("/api/events");
    source = own;
    opened = Date.now();
    tell("mine");
    for (const kind of ["open", "update", "status", "lost"]) {
      own.addEventListener(kind, ({ data }) => {
        if (own !== source) return;
        tell(kind, data);
        take(kind, data);
      });
    }
    own.addEventListener("error", () => {
      if (own !== source) return;
      heard = 0;
      want();
      // After an answer that is no stream the browser gives up; the exporter may have a place later. It also gives up when
      // this document is left, which is told next, and is no reason for others to wait.
      if (own.readyState === EventSource.CLOSED) setTimeout(() => own === source && leave(POLL_MS), 100);
    });
  }

  // Gives the stream up; nobody here is to open another one for some time.
  function leave(wait) {
    if (!source) return;
    source.close();
    source = null;
    mayConnect = Date.now() + wait;
    tell("bye", wait);
  }

  function hear({ data: { from, kind, data } }) {
    if (kind === "who") {
      if (source) tell("mine");
      return;
    }
    if (kind === "bye") {
      led = 0;
      mayConnect = Math.max(mayConnect, Date.now() + data + Math.random() * 500);
      return;
    }
    led = Date.now();
    if (source) {
      // Two opened one at the same time.
      if (from > me) tell("mine");
      else {
        source.close();
        source = null;
      }
    }
    if (!source && kind !== "mine") take(kind, data);
  }

  function join() {
    if (!window.BroadcastChannel) return;
    // Scripts of other versions talk among themselves.
    channel = new BroadcastChannel(script.src);
    channel.addEventListener("message", hear);
    tell("who");
  }

  // Says that what is shown is old, if it is.
  function judge() {
    const late = age();
    const hangs = isAsking && Date.now() - asked > HANGS_MS;
    const isExpected = !failure && !hangs && (document.hidden || !follows());
    const usual = document.hidden ? HIDDEN_LATE_MS : POLL_MS + LATE_MS;
    isLost = late > (isExpected ? usual : LATE_MS);
    const face = [isLost ? "(old) " + title : title, isLost ? byId("icon").dataset.lost : icon];
    if (document.title !== face[0]) document.title = face[0];
    if (byId("icon").getAttribute("href") !== face[1]) byId("icon").setAttribute("href", face[1]);
    if (isLost === connection.hidden) connection.hidden = !isLost;
    document.body.classList.toggle("lost", isLost);
    if (!isLost) {
      if (connection.textContent) connection.textContent = "";
      return;
    }
    // Told to the second for the eye, once for the ear.
    const text = (failure || GONE) + ". What you see is ";
    let old = connection.querySelector(".age");
    if (!old || connection.firstChild.nodeValue !== text) {
      connection.textContent = text;
      old = document.createElement("span");
      old.className = "age";
      old.setAttribute("aria-live", "off");
      connection.append(old, " old. Trying again\u2026");
    }
    old.textContent = Math.round(late / 1000) + "\u00a0s";
  }

  function tick() {
    const now = Date.now();
    if (source) {
      tell("mine");
      if (now - Math.max(heard, opened) > DEAD_MS) leave(NEXT_STREAM_MS);
    } else if (!document.hidden && now >= mayConnect && now - led > SILENT_MS) {
      connect();
    }
    if (followed && !follows()) want();
    followed = follows();
    const isBehind = have < wanted || (follows() && age() > LATE_MS);
    const wait = document.hidden ? HIDDEN_POLL_MS : isBehind || failure ? RETRY_MS : POLL_MS;
    if ((isBehind || !follows()) && now - asked >= wait) want();
    judge();
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) leave(0);
    else want();
  });
  // A page that is left must not keep its place among the few streams there are.
  addEventListener("pagehide", () => {
    leave(0);
    if (channel) channel.close();
    channel = null;
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    join();
    want();
  });
  compareClocks(taken, performance.timeOrigin);
  showAsOf(taken, performance.timeOrigin);
  connection.hidden = true;
  join();
  setTimeout(tick, 300);
  setInterval(tick, 1000);
})();
