  // Draws how things stand; a part of the page is written anew only when it says something else than before.
  const MOST_MARKS = 120, MOST_ROWS = 5;
  const escaped = function (text) {
    return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
  };
  const seconds = function (value) { return value.toFixed(1) + " s"; };

  const write = function (place, html) {
    if (place.written === html) return;
    place.written = html;
    place.innerHTML = html;
  };

  const says = function (place, text) { if (place.textContent !== text) place.textContent = text; };

  const marks = function (episode, list, at, picked) {
    const stages = episode.stages;
    const shown = (list || []).slice(0, MOST_MARKS).map(function (stage) {
      const workflow = stages.workflow[stage];
      const classes = [episode.classes[episode.workflows.cls[workflow]], urgency(episode, workflow, at)];
      if (stages.admitted_s[stage] <= at && stages.first_token_s[stage] > at) classes.push("prefill");
      if (workflow === picked) classes.push("picked");
      return '<b class="' + classes.filter(Boolean).join(" ") + '" data-workflow="' + workflow + '" title="' +
        escaped(episode.roles[stages.role[stage]]) + " of workflow " + workflow + '"></b>';
    });
    const more = (list || []).length - MOST_MARKS;
    return shown.join("") + (more > 0 ? "<em>+" + more + "</em>" : "");
  };

  const COUNTS = [["in the system", "present"], ["met", "met"], ["missed", "missed"], ["turned away", "rejected"], ["at risk", "risk"],
                  ["running", "batch"], ["wait", "waits"]];

  // The parts of an episode that never change, and the function that fills them.
  const built = function (episode, number) {
    const place = document.createElement("section");
    place.className = "episode" + (number === 0 ? " shown" : "");
    place.setAttribute("aria-label", episode.policy);
    const turnsAway = episode.workflows.rejected_s.some(Number.isFinite);
    const counted = COUNTS.filter(function ([, name]) { return name !== "rejected" || turnsAway; });
    place.innerHTML = "<h2>" + escaped(episode.policy) + '</h2><dl class="counts">' +
      counted.map(function ([words, name]) { return "<div><dt>" + words + '</dt><dd data-count="' + name + '"></dd></div>'; }).join("") +
      '</dl><h3>global queue: <span class="ready"></span> stages</h3><div class="fleet"><div class="stages"></div></div>' +
      '<div class="lists"><div><h3>most urgent</h3><ol class="deadlines"></ol></div><div><h3>decisions</h3><ol class="decisions"></ol></div></div>' +
      '<h3>nodes</h3><div class="nodes">' +
      episode.nodes.map(function (node) {
        return '<div class="node" data-node="' + node.id + '"><h4><span>' + escaped(node.name) + "</span><small></small></h4>" +
          '<div class="kv"><span class="pool"></span><span class="used"></span><span class="reserved"></span></div>' +
          episode.engines.map(function (engine, index) {
            return engine.node !== node.id ? "" : '<div class="engine" data-engine="' + index + '"><span class="state"></span><span class="name" title="' +
              escaped(episode.models[engine.model]) + '">' + escaped(episode.models[engine.model]) + '</span><span class="stages"></span><span class="size"></span></div>';
          }).join("") + '<div class="waits"><span>waits</span><span class="stages"></span></div></div>';
      }).join("") + "</div>";
    const one = function (name) { return place.querySelector(name); };
    const counts = counted.map(function ([, name]) { return [one('[data-count="' + name + '"]'), name]; });
    const [ready, queue, deadlines, decisions] = [".ready", ".fleet .stages", ".deadlines", ".decisions"].map(one);
    const nodes = Array.from(place.querySelectorAll(".node")).map(function (card) {
      const part = function (name) { return card.querySelector(name); };
      return {
        kv: part(".kv"), bars: ["pool", "used", "reserved"].map(function (name) { return part("." + name); }), words: part("small"),
        waits: part(".waits .stages"), engines: Array.from(card.querySelectorAll(".engine")).map(function (row) {
          return { row: row, engine: episode.engines[row.dataset.engine], batch: row.querySelector(".stages"), size: row.querySelector(".size") };
        }),
      };
    });
    const pools = episode.nodes.map(function (_, column) {
      return Math.max(1e-9, ...episode.kv.pool.map(function (row) { return row[column]; }));
    });

    const draw = function (at, picked) {
      const now = standing(episode, at), workflows = episode.workflows;
      now.waits = now.queue.length + now.waiting;
      counts.forEach(function ([cell, name]) { says(cell, String(name === "present" ? now.present.length : now[name])); });
      says(ready, String(now.queue.length));
      write(queue, marks(episode, now.queue, at, picked));
      const sample = after(episode.kv.time_s, at) - 1;
      nodes.forEach(function (card, column) {
        const id = episode.nodes[column].id;
        if (sample >= 0) {
          const [used, reserved, pool] = ["used", "reserved", "pool"].map(function (name) { return episode.kv[name][sample][column]; });
          [pool, used, reserved].forEach(function (value, bar) {
            card.bars[bar].style.width = Math.min(100, 100 * value / pools[column]).toFixed(1) + "%";
          });
          says(card.words, "KV " + used.toFixed(0) + " of " + pool.toFixed(0) + " GB");
        }
        card.kv.hidden = sample < 0;
        card.engines.forEach(function (place) {
          const batch = now.running[id + "/" + place.engine.model], state = stateOf(place.engine, at);
          if (place.row.dataset.state !== state) { place.row.dataset.state = state; place.row.title = state || "not resident"; }
          write(place.batch, marks(episode, batch, at, picked));
          says(place.size, batch ? String(batch.length) : "");
        });
        write(card.waits, marks(episode, now.queued[id], at, picked));
      });
      const urgent = now.present.sort(function (a, b) { return workflows.deadline_s[a] - workflows.deadline_s[b]; });
      const ahead = urgent.filter(function (workflow) { return workflows.deadline_s[workflow] >= at; }).slice(0, MOST_ROWS);
      write(deadlines, ahead.map(function (workflow) {
        const left = workflows.deadline_s[workflow] - at;
        return '<li class="' + urgency(episode, workflow, at) + '"><button type="button" data-workflow="' + workflow + '"><time>' + seconds(left) +
          "</time>" + workflow + " " + episode.classes[workflows.cls[workflow]] + ", " + progress(episode, workflow, at) + "</button></li>";
      }).join(""));
      const last = after(episode.decisions, at);
      write(decisions, episode.decisions.slice(Math.max(0, last - MOST_ROWS), last).reverse().map(function (decision) {
        const words = "<time>" + seconds(decision.at) + "</time>" + escaped(decision.words), full = ' title="' + escaped(decision.words) + '"';
        return "<li" + full + ">" + (decision.workflow === null ? words
          : '<button type="button" data-workflow="' + decision.workflow + '">' + words + "</button>") + "</li>";
      }).join(""));
    };
    return { place: place, draw: draw };
  };

  const progress = function (episode, workflow, at) {
    const first = episode.workflows.first_stage[workflow], count = episode.workflows.num_stages[workflow];
    let done = 0;
    for (let stage = first; stage < first + count; stage++) if (episode.stages.finished_s[stage] <= at) done++;
    return done + " of " + count + " stages done";
  };

  // The workflow that somebody has picked, stage by stage, under each policy.
  const pickedWords = function (episodes, workflow, at) {
    return episodes.map(function (episode) {
      const workflows = episode.workflows, first = workflows.first_stage[workflow], list = [];
      if (first === undefined) return "";
      for (let stage = first; stage < first + workflows.num_stages[workflow]; stage++) {
        const node = episode.nodes.find(function (one) { return one.id === episode.stages.node[stage]; });
        const phase = phaseOf(episode.stages, stage, at);
        const where = node && phase !== "waits" && phase !== "to come" ? ", " + node.name : "";
        list.push("<li>" + escaped(episode.roles[episode.stages.role[stage]]) + ": " + phase + escaped(where) + "</li>");
      }
      const left = workflows.deadline_s[workflow] - at, finished = workflows.finished_s[workflow];
      const how = finished <= at ? "finished at " + seconds(finished) + (finished <= workflows.deadline_s[workflow] ? ", in time" : ", too late")
        : workflows.rejected_s[workflow] <= at ? "turned away at " + seconds(workflows.rejected_s[workflow])
        : left < 0 ? "late by " + seconds(-left) : seconds(left) + " left";
      return "<div><b>" + escaped(episode.policy) + "</b>: workflow " + workflow + ", " + episode.classes[workflows.cls[workflow]] + ", tenant " +
        workflows.tenant[workflow] + "; " + how + "<ul>" + list.join("") + "</ul></div>";
    }).join("");
  };

  // How many workflows are in the system over the whole episode, and where deadlines are missed.
  const COURSE_COLOURS = ["#0072b2", "#d55e00"], COURSE_DASHES = [[], [5, 3]];
  const drawCourse = function (canvas, episodes, end) {
    const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const most = Math.max(1, ...episodes.map(function (episode) {
      return episode.course.reduce(function (high, step) { return Math.max(high, step.count); }, 0);
    }));
    const foot = height - 6 * episodes.length;
    episodes.forEach(function (episode, number) {
      pen.strokeStyle = pen.fillStyle = COURSE_COLOURS[number];
      pen.lineWidth = 1.5;
      pen.setLineDash(COURSE_DASHES[number]);
      pen.beginPath();
      pen.moveTo(0, foot);
      let before = 0;
      episode.course.forEach(function (step) {
        const x = width * step.at / end;
        pen.lineTo(x, foot - (foot - 14) * before / most);
        pen.lineTo(x, foot - (foot - 14) * step.count / most);
        before = step.count;
      });
      pen.stroke();
      pen.setLineDash([]);
      episode.misses.forEach(function (miss) { pen.fillRect(width * miss.at / end, foot + 6 * number + 1, 1, 4); });
      pen.font = "11px system-ui, sans-serif";
      pen.fillText((number ? "\u2505 " : "\u2501 ") + episode.policy, 4 + number * width / 2, 10);
    });
    canvas.title = "workflows in the system, up to " + most + "; the ticks under them are missed deadlines";
  };
