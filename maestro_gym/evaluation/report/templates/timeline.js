  // The timeline: two policies on the same episode, one over the other; a slider moves the edge between them.
  const timeline = function (data) {
    if (!data.timelines.length) return;
    const [episode, view, left, right, cut] = ["episode", "view", "left", "right", "cut"].map(byId);
    const [under, over, edge] = [".under", ".over", ".cut"].map(function (name) { return document.querySelector(".wipe " + name); });
    const pick = byId("pick"), pickedWords = byId("picked"), hint = pickedWords.textContent;
    let passing = false, picked = null;

    const place = function () {
      const shown = under._fullLayout;
      if (!shown) return;
      const part = Number(cut.value) / 100, width = under.clientWidth;
      const at = shown.margin.l + part * (width - shown.margin.l - shown.margin.r);
      over.style.clipPath = "inset(0 0 0 " + at + "px)";
      edge.style.left = at + "px";
      edge.hidden = part === 0 || part === 1;
      cut.setAttribute("aria-valuetext", Math.round(100 * part) + " % " + left.selectedOptions[0].text);
    };

    // The bars of the workflow that is picked, once more and dark; of a figure by workflow its row comes into sight.
    const withPicked = function (figure) {
      if (picked === null) return figure;
      const x = [], y = [];
      figure.data.forEach(function (line) {
        (line.customdata || []).forEach(function (workflow, at) {
          if (line.mode !== "lines" || line.fill || workflow !== picked) return;
          x.push(line.x[at]);
          y.push(line.y[at]);
          if (line.customdata[at + 1] === null) { x.push(null); y.push(null); }
        });
      });
      if (!x.length) return figure;
      const bars = { x: x, y: y, mode: "lines", line: { color: "#1d2430", width: 7 }, hoverinfo: "skip" };
      const layout = JSON.parse(JSON.stringify(figure.layout)), known = function (value) { return value !== null; };
      if (view.value === "workflows") {
        const [last, first] = layout.yaxis.range, row = Math.round(y.find(known)), half = (last - first) / 2;
        const begin = Math.max(first, row - half);
        layout.yaxis.range = [begin + 2 * half, begin];
        layout.shapes = [{ type: "rect", xref: "paper", x0: 0, x1: 1, y0: row - 0.5, y1: row + 0.5, layer: "below",
                           fillcolor: "#fff3d6", line: { width: 0 } }];
        bars.line.width = 2;
      }
      const from = Math.min(...x.filter(known)), to = Math.max(...x.filter(known)), range = layout.xaxis.range;
      if (range && (from < range[0] || to > range[1])) layout.xaxis.range = [Math.min(from, range[0]), Math.max(to, range[1])];
      return { data: figure.data.concat([bars]), layout: layout };
    };

    const choosePicked = function (workflow, next) {
      picked = workflow;
      pick.value = workflow === null ? "" : workflow;
      pickedWords.textContent = workflow === null ? hint
        : "Workflow " + workflow + " is picked: its row among the workflows, its stages among the nodes.";
      if (next) view.value = next;
      show();
    };

    const show = async function () {
      const of = data.timelines[episode.value], figures = of.views[view.value];
      await draw(under, withPicked(figures[left.value]));
      await draw(over, withPicked(figures[right.value]));
      [under, over].forEach(function (figure) { figure.dataset.rows = "yes"; });
      document.querySelector(".sides").children[0].textContent = "◀ " + left.selectedOptions[0].text;
      document.querySelector(".sides").children[1].textContent = right.selectedOptions[0].text + " ▶";
      document.querySelectorAll(".key[data-view]").forEach(function (key) { key.hidden = key.dataset.view !== view.value; });
      byId("episode-words").textContent = of.words;
      place();
    };

    const choose = function () {
      const names = data.timelines[episode.value].policies;
      [left, right].forEach(function (list, side) {
        list.replaceChildren(...names.map(function (name, index) { return new Option(name, index); }));
        list.value = Math.min(side, names.length - 1);
      });
    };

    // Whoever is zoomed takes the other along.
    const follow = function (from, to) {
      from.on("plotly_relayout", function (change) {
        const ranges = Object.fromEntries(Object.entries(change).filter(function ([key]) { return /^[xy]axis/.test(key); }));
        if (passing || !Object.keys(ranges).length) return;
        passing = true;
        Promise.resolve(Plotly.relayout(to, ranges)).finally(function () { passing = false; place(); });
      });
    };

    choose();
    asSoonAsSeen(under, async function () {
      await show();
      follow(under, over);
      follow(over, under);
      [under, over].forEach(function (figure) {
        figure.on("plotly_click", function (event) {
          if (view.value !== "workflows" && view.value !== "stages") return;
          const workflow = event.points[0].customdata;
          if (Number.isInteger(workflow)) choosePicked(workflow, "workflows");
        });
      });
      pick.addEventListener("change", function () { choosePicked(pick.value === "" ? null : Number(pick.value)); });
      document.querySelector(".wipe").after(tools(under, show));
      episode.addEventListener("change", function () { choose(); choosePicked(null); });
      [view, left, right].forEach(function (list) { list.addEventListener("change", show); });
      cut.addEventListener("input", place);
      addEventListener("resize", function () { setTimeout(place, 200); });
    });
  };
