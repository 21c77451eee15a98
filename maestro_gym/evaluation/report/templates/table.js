  // Tables: sort, hide rows and columns, pick the reference of the differences.
  const numberOf = function (text) { return Number(text.replace(/,/g, "").replace("−", "-")); };

  const keyOf = function (row, column) {
    const cell = row.cells[column];
    return cell.dataset.sort !== undefined ? cell.dataset.sort : cell.innerText.split("\n")[0].trim();
  };

  // Numbers are sorted as numbers, unknown ones come last.
  const sortBy = function (table, column) {
    const headings = Array.from(table.tHead.rows[0].cells);
    const down = headings[column].getAttribute("aria-sort") === "ascending";
    headings.forEach(function (heading) { heading.removeAttribute("aria-sort"); });
    headings[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = Array.from(table.tBodies[0].rows);
    rows.sort(function (first, second) {
      const a = keyOf(first, column), b = keyOf(second, column);
      if (a === "" || b === "") return (a === "") - (b === "");
      const x = numberOf(a), y = numberOf(b);
      const order = Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
      return down ? -order : order;
    });
    rows.forEach(function (row) { table.tBodies[0].appendChild(row); });
  };

  const makeSortable = function (table) {
    Array.from(table.tHead.rows[0].cells).forEach(function (heading, column) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", function () { sortBy(table, column); });
    });
  };
  document.querySelectorAll("table.sortable").forEach(makeSortable);

  const results = Array.from(document.querySelectorAll("table.results"));

  // The first box of a group stands for all of it.
  const choices = function (id, apply) {
    const group = byId(id), boxes = Array.from(group.querySelectorAll("input[type=checkbox]"));
    boxes.forEach(function (box) { box.addEventListener("change", function () { apply(box.value, box.checked); }); });
    group.querySelectorAll("button").forEach(function (button) {
      button.addEventListener("click", function () {
        boxes.forEach(function (box) {
          if (box.closest("label").hidden) return;
          box.checked = button.value === "all";
          apply(box.value, box.checked);
        });
      });
    });
  };
  choices("columns", function (column, shown) {
    results.forEach(function (table) {
      table.querySelectorAll('[data-column="' + column + '"]').forEach(function (cell) { cell.hidden = !shown; });
    });
  });
  choices("rows", function (policy, shown) {
    results.forEach(function (table) { table.querySelector('tr[data-policy="' + policy + '"]').hidden = !shown; });
  });
  byId("find").addEventListener("input", function (event) {
    const words = event.target.value.toLowerCase();
    byId("rows").querySelectorAll("label").forEach(function (label) {
      label.hidden = !label.innerText.toLowerCase().includes(words);
    });
  });

  const showDifferences = function (data, reference) {
    document.querySelectorAll(".reference-name").forEach(function (place) { place.textContent = reference; });
    results.forEach(function (table, setting) {
      const cells = data.differences[setting][reference];
      Array.from(table.tBodies[0].rows).forEach(function (row) {
        const name = data.policies[row.dataset.policy];
        row.classList.toggle("reference", name === reference);
        Array.from(row.querySelectorAll("small.gap")).forEach(function (place, column) {
          const [words, tone] = name === reference ? ["", ""] : cells[name][column];
          place.textContent = words;
          place.className = ("gap " + tone).trim();
        });
      });
    });
  };

  // Every metric: a table that is made when somebody opens it.
  const fillComplete = function (data, details) {
    const table = details.querySelector("table");
    if (table.tHead) return;
    const cell = function (row, tag, text, side) {
      const made = row.appendChild(document.createElement(tag));
      made.append(text);
      made.className = side;
      return made;
    };
    const heading = table.createTHead().insertRow();
    cell(heading, "th", "metric", "");
    cell(heading, "th", "unit", "left");
    data.policies.forEach(function (name) { cell(heading, "th", name, ""); });
    const body = table.createTBody();
    data.complete[details.dataset.setting].forEach(function ([column, unit, cells]) {
      const row = body.insertRow();
      cell(row, "td", column, "");
      cell(row, "td", unit, "left");
      cells.forEach(function ([value, bounds, tone]) {
        const small = cell(row, "td", value, "").appendChild(document.createElement("small"));
        small.textContent = bounds;
        small.className = tone;
      });
    });
    makeSortable(table);
  };
