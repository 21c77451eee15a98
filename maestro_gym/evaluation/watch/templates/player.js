  // Moves the moment: by the clock, by decisions, by missed deadlines, by hand.
  const POLL_MS = 2000;
  let episodes = [], views = [], at = 0, end = 1, playing = false, before = null, picked = null, tag = null, following = false;

  const show = function (moment) {
    at = Math.min(Math.max(moment, 0), end);
    views.forEach(function (view) { view.draw(at, picked); });
    byId("at").value = at;
    says(byId("clock"), seconds(at));
    byId("now").style.left = 100 * at / end + "%";
    byId("picked").hidden = picked === null;
    if (picked !== null) write(byId("picked"), pickedWords(episodes, picked, at));
  };

  const play = function (go) {
    playing = go;
    before = null;
    says(byId("play"), go ? "⏸ pause" : "▶ play");
    if (go && at >= end && !following) at = 0;
    if (go) requestAnimationFrame(tick);
  };

  const tick = function (now) {
    if (!playing) return;
    if (before !== null) show(at + Number(byId("speed").value) * Math.min(250, now - before) / 1000);
    before = now;
    if (at >= end && !following) { play(false); return; }
    requestAnimationFrame(tick);
  };

  const moveBy = function (entries, forward) {
    play(false);
    byId("follow").checked = false;
    const moments = [];
    episodes.forEach(function (episode) {
      const list = episode[entries], place = after(list, at);
      if (forward && place < list.length) moments.push(list[place].at);
      if (!forward) {
        let earlier = place - 1;
        while (earlier >= 0 && list[earlier].at >= at) earlier--;
        if (earlier >= 0) moments.push(list[earlier].at);
      }
    });
    if (moments.length) show(forward ? Math.min(...moments) : Math.max(...moments));
    return moments.length > 0;
  };

  const jumpToMiss = function (forward) {
    const from = at;
    if (!moveBy("misses", forward)) return;
    // Whoever is missed at this moment is picked, so that one sees what it waited for.
    const found = episodes.flatMap(function (episode) { return episode.misses.filter(function (miss) { return miss.at === at; }); });
    picked = found.length && at !== from ? found[0].workflow : picked;
    show(at);
  };

  const faster = function (by) {
    const list = byId("speed");
    list.selectedIndex = Math.min(Math.max(list.selectedIndex + by, 0), list.options.length - 1);
  };

  const KEYS = {
    " ": function () { play(!playing); },
    ArrowRight: function () { moveBy("decisions", true); },
    ArrowLeft: function () { moveBy("decisions", false); },
    m: function () { jumpToMiss(true); },
    M: function () { jumpToMiss(false); },
    "+": function () { faster(1); },
    "-": function () { faster(-1); },
    Home: function () { show(0); },
    End: function () { show(end); },
    Escape: function () { picked = null; show(at); },
  };

  const chooseSide = function (number) {
    views.forEach(function (view, index) { view.place.classList.toggle("shown", index === number); });
    Array.from(byId("sides").children).forEach(function (button, index) { button.setAttribute("aria-pressed", index === number); });
  };

  const take = function (told) {
    const first = !episodes.length, wasAtEnd = at >= end;
    episodes = told.episodes.map(prepared);
    following = told.following;
    views = episodes.map(built);
    end = Math.max(1e-9, ...episodes.map(function (episode) { return episode.end_s; }));
    byId("at").max = end;
    says(byId("title"), told.title + (told.note ? " (" + told.note + ")" : "") + (following ? ", still running" : ""));
    byId("follow-label").hidden = !following;
    document.querySelector("main").replaceChildren(...views.map(function (view) { return view.place; }));
    document.querySelector("main").classList.toggle("two", views.length === 2);
    byId("sides").hidden = views.length < 2;
    const chosen = Math.max(0, Array.from(byId("sides").children).findIndex(function (button) { return button.getAttribute("aria-pressed") === "true"; }));
    byId("sides").replaceChildren(...episodes.map(function (episode, number) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = episode.policy;
      button.addEventListener("click", function () { chooseSide(number); });
      return button;
    }));
    chooseSide(chosen);
    drawCourse(byId("course"), episodes, end);
    show(following && byId("follow").checked && (first || wasAtEnd || !playing) ? end : at);
    document.body.dataset.ready = "yes";
  };

  const ask = async function () {
    const answer = await fetch(document.body.dataset.episodes, tag ? { headers: { "If-None-Match": tag } } : {});
    if (answer.status === 200 && answer.headers.get("ETag") !== tag) {
      const told = await answer.json();
      tag = answer.headers.get("ETag");
      take(told);
    } else if (!answer.ok && answer.status !== 304) throw new Error(await answer.text());
    byId("trouble").hidden = true;
  };

  const askAgain = async function () {
    try { await ask(); } catch (error) {
      byId("trouble").hidden = false;
      says(byId("trouble"), "The episode cannot be read: " + error.message + ". Is maestro-gym watch still running?");
    }
    if (following) setTimeout(askAgain, POLL_MS);
  };

  byId("play").addEventListener("click", function () { play(!playing); });
  byId("step").addEventListener("click", KEYS.ArrowRight);
  byId("back").addEventListener("click", KEYS.ArrowLeft);
  byId("miss").addEventListener("click", KEYS.m);
  byId("follow").addEventListener("change", function () { if (byId("follow").checked) show(end); });
  byId("at").addEventListener("input", function () { byId("follow").checked = false; show(Number(byId("at").value)); });
  byId("course").addEventListener("click", function (event) {
    show(end * event.offsetX / byId("course").clientWidth);
  });
  document.addEventListener("click", function (event) {
    const place = event.target.closest("[data-workflow]");
    if (!place) return;
    picked = Number(place.dataset.workflow) === picked ? null : Number(place.dataset.workflow);
    show(at);
  });
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "SELECT") return;
    if (event.key === " " && event.target.tagName === "BUTTON") return;  // the button does it
    if (!KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  addEventListener("resize", function () { drawCourse(byId("course"), episodes, end); });
  document.body.classList.toggle("film", location.search === "?film");
  window.watch = { show: show, showPart: function (part) { show(part * end); }, now: function () { return { at: at, end: end, playing: playing, picked: picked }; } };
  askAgain();
