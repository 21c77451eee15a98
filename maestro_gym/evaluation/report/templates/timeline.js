  // The timeline: two policies on the same episode, one over the other; a slider moves the edge between them.
  const timeline = function (data) {
    if (!data.timelines.length) return;
    const [episode, view, left, right, cut] = ["episode", "view", "left", "right", "cut"].map(byId);
    const [under, over, edge] = [".under", ".over", ".cut"].map(function (name) { return document.querySelector(".wipe " + name); });
    let passing = false;

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

    const show = async function () {
      const of = data.timelines[episode.value], figures = of.views[view.value];
      await draw(under, figures[left.value]);
      await draw(over, figures[right.value]);
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
      document.querySelector(".wipe").after(tools(under, show));
      episode.addEventListener("change", function () { choose(); show(); });
      [view, left, right].forEach(function (list) { list.addEventListener("change", show); });
      cut.addEventListener("input", place);
      addEventListener("resize", function () { setTimeout(place, 200); });
    });
  };
