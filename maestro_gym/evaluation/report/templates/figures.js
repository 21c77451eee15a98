  // Figures: drawn when they come into sight, zoomed by mouse, by touch through buttons, and by keyboard through them.
  const COARSE = matchMedia("(pointer: coarse)").matches;
  const CONFIG = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false };
  const AXIS = { gridcolor: "#e4e4e4", linecolor: "#b9c1ca", zerolinecolor: "#b9c1ca", ticks: "outside", tickcolor: "#b9c1ca" };

  const laidOut = function (layout) {
    const whole = Object.assign({
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "#1d2430" },
      paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff", hovermode: "closest", dragmode: COARSE ? false : "zoom",
      hoverlabel: { bgcolor: "#ffffff", font: { color: "#1d2430" }, align: "left" },
    }, layout);
    Object.keys(layout).filter(function (key) { return /^[xy]axis\d*$/.test(key); }).forEach(function (key) {
      whole[key] = Object.assign({}, AXIS, layout[key]);
      if (layout[key].title) whole[key].title = Object.assign({ standoff: 10 }, layout[key].title);
    });
    return whole;
  };

  const draw = function (place, figure, extra) {
    const layout = Object.assign(laidOut(figure.layout), extra || {});
    if (layout.showlegend) {
      // A legend takes lines of its own above the axes: as many as its names need at this width.
      const names = figure.data.filter(function (line) { return line.showlegend !== false; }).map(function (line) { return line.name; });
      const each = 7 * Math.max(...names.map(function (name) { return name.length; })) + 52;
      const across = Math.max(1, Math.floor((place.clientWidth - 80) / each)), room = 22 * Math.ceil(names.length / across);
      layout.height += room;
      layout.margin = Object.assign({}, layout.margin, { t: 12 + room });
    }
    place.style.minHeight = layout.height + "px";
    return Plotly.react(place, JSON.parse(JSON.stringify(figure.data)), JSON.parse(JSON.stringify(layout)), CONFIG);
  };

  const axesOf = function (place, letter) {
    return Object.keys(place._fullLayout).filter(function (key) { return new RegExp("^" + letter + "axis\\d*$").test(key); });
  };

  // Moves the ends of axes: by parts of their present length.
  const moved = function (place, letter, low, high) {
    const change = {};
    axesOf(place, letter).forEach(function (key) {
      const [a, b] = place._fullLayout[key].range;
      change[key + ".range[0]"] = a + low * (b - a);
      change[key + ".range[1]"] = b + high * (b - a);
    });
    return change;
  };

  const MOVES = [
    ["+", "zoom in", function (p) { return moved(p, "x", 0.2, -0.2); }],
    ["−", "zoom out", function (p) { return moved(p, "x", -0.333, 0.333); }],
    ["◀", "left", function (p) { return moved(p, "x", -0.25, -0.25); }],
    ["▶", "right", function (p) { return moved(p, "x", 0.25, 0.25); }],
    ["▲", "up", function (p) { return moved(p, "y", p.dataset.rows ? -0.5 : 0.25, p.dataset.rows ? -0.5 : 0.25); }],
    ["▼", "down", function (p) { return moved(p, "y", p.dataset.rows ? 0.5 : -0.25, p.dataset.rows ? 0.5 : -0.25); }],
  ];

  const tools = function (place, whole) {
    const bar = document.createElement("div");
    bar.className = "tools";
    const add = function (sign, words, act) {
      const button = bar.appendChild(document.createElement("button"));
      button.type = "button";
      button.textContent = sign;
      button.title = words;
      button.setAttribute("aria-label", words);
      button.addEventListener("click", act);
    };
    MOVES.forEach(function ([sign, words, move]) {
      add(sign, words, function () { Plotly.relayout(place, move(place)); });
    });
    add("whole", "the whole figure", whole);
    return bar;
  };

  const asSoonAsSeen = function (place, act) {
    const observer = new IntersectionObserver(function (entries) {
      if (!entries.some(function (entry) { return entry.isIntersecting; })) return;
      observer.disconnect();
      act();
    }, { rootMargin: "600px" });
    observer.observe(place);
    addEventListener("beforeprint", function () { observer.disconnect(); act(); }, { once: true });
  };

  // The picture of the answer: the reference is a line, wherever it is picked.
  const drawPicture = function (data, reference) {
    const place = byId("picture");
    const figure = data.pictures[byId("setting").value + "/" + byId("metric").value];
    const value = figure.values[reference], extra = {};
    if (value !== undefined && value !== null) {
      const [low, high] = figure.layout.xaxis.range;
      const inside = low <= value && value <= high;
      const at = Math.min(Math.max(value, low), high), part = (at - low) / (high - low);
      extra.shapes = inside ? [{ type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, layer: "below",
                                 line: { color: "#1d2430", width: 1.5, dash: "dash" } }] : [];
      extra.annotations = (figure.layout.annotations || []).concat([{
        x: at, yref: "paper", y: 1, yanchor: "bottom", showarrow: false,
        xanchor: part > 0.7 ? "right" : part < 0.3 ? "left" : "center",
        text: "reference " + escaped(reference) + (inside ? "" : " lies beyond the edge") }]);
    }
    return draw(place, figure, extra);
  };

  const drawCharts = function (data) {
    document.querySelectorAll(".figure[data-chart]").forEach(function (place) {
      asSoonAsSeen(place, function () {
        const figure = data.charts[place.dataset.chart];
        draw(place, figure);
        place.after(tools(place, function () { draw(place, figure); }));
      });
    });
  };
