// Replaces the script element with the cards: <script src="http://HOST:PORT/widget.js" data-group="..." data-height="300"></script>
(() => {
  const script = document.currentScript;
  const source = new URL("widget", script.src);
  for (const name of ["group", "status"]) {
    if (script.dataset[name]) source.searchParams.set(name, script.dataset[name]);
  }
  const frame = document.createElement("iframe");
  frame.src = source.href;
  frame.title = script.dataset.title || "Status of services";
  frame.width = "100%";
  frame.height = script.dataset.height || "300";
  frame.setAttribute("frameborder", "0");
  script.replaceWith(frame);
})();
