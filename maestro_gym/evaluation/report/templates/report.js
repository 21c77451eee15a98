"use strict";
(function () {
  const byId = function (id) { return document.getElementById(id); };
  const escaped = function (text) { return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;"); };

{% include "table.js" %}

{% include "figures.js" %}

{% include "timeline.js" %}

  const unpack = async function (id) {
    const bytes = Uint8Array.from(atob(byId(id).textContent), function (sign) { return sign.charCodeAt(0); });
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };

  const begin = async function () {
    const data = JSON.parse(await unpack("data"));
    document.querySelectorAll("details[data-setting]").forEach(function (details) {
      details.addEventListener("toggle", function () { if (details.open) fillComplete(data, details); });
    });
    const reference = byId("reference");
    reference.addEventListener("change", function () { showDifferences(data, reference.value); });
    const library = document.createElement("script");
    library.textContent = await unpack("library");
    document.head.append(library);
    const redraw = function () { return drawPicture(data, reference.value); };
    await redraw();
    [byId("setting"), byId("metric"), reference].forEach(function (list) { list.addEventListener("change", redraw); });
    byId("picture").after(tools(byId("picture"), redraw));
    drawCharts(data);
    timeline(data);
    document.body.dataset.ready = "yes";
  };
  begin().catch(function (error) {
    byId("trouble").hidden = false;
    byId("trouble").append(" (" + error + ")");
  });
})();
