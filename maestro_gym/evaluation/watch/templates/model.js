  // How things stand at a moment, worked out of the columns of an episode.
  const RISK = 0.25;  // part of a workflow's time under which it is at risk

  const moments = function (columns, names) {
    names.forEach(function (name) {
      columns[name] = columns[name].map(function (value) { return value === null ? Infinity : value; });
    });
  };

  const byTime = function (first, second) { return first.at - second.at; };

  const prepared = function (episode) {
    const stages = episode.stages, workflows = episode.workflows;
    moments(stages, ["ready_s", "sent_s", "admitted_s", "first_token_s", "finished_s"]);
    moments(workflows, ["arrival_s", "deadline_s", "finished_s", "rejected_s"]);
    stages.rejected_s = stages.workflow.map(function (workflow) { return workflows.rejected_s[workflow]; });
    episode.misses = [];
    workflows.deadline_s.forEach(function (deadline, workflow) {
      if (workflows.finished_s[workflow] > deadline && deadline <= episode.end_s && workflows.arrival_s[workflow] <= episode.end_s)
        episode.misses.push({ at: deadline, workflow: workflow });
    });
    episode.misses.sort(byTime);
    episode.decisions = decisionsOf(episode).sort(byTime);
    episode.course = courseOf(episode);
    return episode;
  };

  // What the policy decided: who is sent where, who is admitted, which model is loaded or put down. A narrow column cuts
  // the end of a line, so the workflow stands first and its stage last.
  const decisionsOf = function (episode) {
    const found = [], stages = episode.stages, names = {};
    episode.nodes.forEach(function (node) { names[node.id] = node.name; });
    stages.sent_s.forEach(function (sent, stage) {
      const workflow = stages.workflow[stage], node = names[stages.node[stage]];
      const words = function (verb) { return workflow + verb + node + ": " + episode.roles[stages.role[stage]]; };
      if (sent <= episode.end_s && node !== undefined)
        found.push({ at: sent, workflow: workflow, words: words(" to ") });
      if (stages.admitted_s[stage] <= episode.end_s && node !== undefined)
        found.push({ at: stages.admitted_s[stage], workflow: workflow, words: words(" admitted by ") });
    });
    episode.workflows.rejected_s.forEach(function (rejected, workflow) {
      if (rejected <= episode.end_s) found.push({ at: rejected, workflow: workflow, words: "workflow " + workflow + " is turned away" });
    });
    episode.engines.forEach(function (engine) {
      const model = episode.models[engine.model], node = names[engine.node];
      engine.spans.forEach(function ([begin, end, state, source], place) {
        const next = engine.spans[place + 1];
        if (begin > 0 && state === "loading") found.push({ at: begin, workflow: null, words: node + (source === "sleeping" ? " wakes " : " loads ") + model + (source === "sleeping" ? "" : " from " + source) });
        if (begin > 0 && state === "asleep") found.push({ at: begin, workflow: null, words: node + " puts " + model + " to sleep" });
        if (end < episode.end_s && (!next || next[0] > end)) found.push({ at: end, workflow: null, words: node + " drops " + model });
      });
    });
    return found;
  };

  // Workflows in the system over time: +1 at an arrival, -1 at an end.
  const courseOf = function (episode) {
    const steps = [], workflows = episode.workflows;
    workflows.arrival_s.forEach(function (arrival, workflow) {
      if (arrival > episode.end_s) return;
      steps.push({ at: arrival, by: 1 });
      const left = Math.min(workflows.finished_s[workflow], workflows.rejected_s[workflow]);
      if (left <= episode.end_s) steps.push({ at: left, by: -1 });
    });
    let count = 0;
    return steps.sort(byTime).map(function (step) { count += step.by; return { at: step.at, count: count }; });
  };

  // The place of the first entry later than a moment, in entries by time.
  const after = function (entries, at) {
    let low = 0, high = entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((entries[middle].at === undefined ? entries[middle] : entries[middle].at) <= at) low = middle + 1; else high = middle;
    }
    return low;
  };

  const urgency = function (episode, workflow, at) {
    const deadline = episode.workflows.deadline_s[workflow];
    if (at > deadline) return "late";
    return deadline - at < RISK * (deadline - episode.workflows.arrival_s[workflow]) ? "risk" : "";
  };

  const stateOf = function (engine, at) {
    const span = engine.spans.find(function ([begin, end]) { return begin <= at && at < end; });
    return span ? span[2] : "";
  };

  const phaseOf = function (stages, stage, at) {
    if (stages.finished_s[stage] <= at) return "done";
    if (stages.admitted_s[stage] <= at) return stages.first_token_s[stage] <= at ? "decode" : "prefill";
    if (stages.rejected_s[stage] <= at) return "turned away";
    if (stages.ready_s[stage] > at) return "to come";
    return stages.sent_s[stage] <= at && stages.node[stage] >= 0 ? "at its node" : "waits";
  };

  const standing = function (episode, at) {
    const stages = episode.stages, workflows = episode.workflows;
    const found = { queue: [], queued: {}, running: {}, present: [], met: 0, missed: 0, rejected: 0, risk: 0, batch: 0, waiting: 0 };
    const into = function (place, key, stage) { (place[key] = place[key] || []).push(stage); };
    for (let stage = 0; stage < stages.ready_s.length; stage++) {
      const phase = phaseOf(stages, stage, at);
      if (phase === "waits") found.queue.push(stage);
      else if (phase === "at its node") { into(found.queued, stages.node[stage], stage); found.waiting++; }
      else if (phase === "prefill" || phase === "decode") {
        into(found.running, stages.node[stage] + "/" + stages.model[stage], stage);
        found.batch++;
      }
    }
    for (let workflow = 0; workflow < workflows.arrival_s.length; workflow++) {
      if (workflows.arrival_s[workflow] > at) continue;
      const finished = workflows.finished_s[workflow], deadline = workflows.deadline_s[workflow];
      if (at > deadline ? finished > deadline : false) found.missed++;
      if (finished <= at) { if (finished <= deadline) found.met++; continue; }
      if (workflows.rejected_s[workflow] <= at) { found.rejected++; continue; }
      found.present.push(workflow);
      if (urgency(episode, workflow, at) === "risk") found.risk++;
    }
    return found;
  };
