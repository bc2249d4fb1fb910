"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const COLORS = ["#c8553d", "#3d7ea8", "#5f9347", "#9567ab", "#b88a1b", "#7a7a7a", "#3fa59a", "#c06090"];
  const state = { shown: data.cells, sortedBy: null, isDescending: false, current: null };

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };
  const words = (name) => name.replaceAll("_", " ");
  const shown = (value) => {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number" || Number.isInteger(value)) return String(value);
    return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
  };
  const picture = (image, alt, attributes = {}) =>
    make("img", { src: image.src, width: image.width, height: image.height, alt, decoding: "async", ...attributes });

  // --- head ---
  byId("title").textContent = data.title;
  const done = data.cells.filter((cell) => cell.state === "done").length;
  byId("summary").textContent = `${done} of ${data.cells.length} cells are painted` +
    (data.axes.length ? `; what varies: ${data.axes.map(words).join(", ")}.` : ".");
  for (const input of data.inputs) {
    if (input.image) byId("inputs").append(
      make("figure", {}, picture(input.image, input.label), make("figcaption", {}, input.label)));
  }
  byId("command").textContent = data.command;
  byId("command-section").hidden = !data.command;

  // --- grid ---
  const facts = (cell) => [
    cell.row.iterations !== undefined && cell.row.iterations !== null ? `${cell.row.iterations} iterations` : "",
    cell.row.seconds !== undefined && cell.row.seconds !== null ? `${shown(cell.row.seconds)} s` : "",
  ].filter(Boolean).join(", ");
  const showGrid = () => byId("grid").replaceChildren(...state.shown.map((cell) => make("li", {},
    make("button", { class: "tile", type: "button", onclick: () => open(cell) },
      cell.image ? picture(cell.image, "", { loading: "lazy" })
        : make("span", { class: "blank" }, cell.error || "not painted yet"),
      make("span", {}, cell.label),
      make("span", { class: "faint" }, cell.state === "done" ? facts(cell) : `${cell.state} ${facts(cell)}`)))));
  byId("size").addEventListener("input", (event) => byId("grid").style.setProperty("--tile", `${event.target.value}px`));

  // --- table ---
  const isNumeric = (name) => data.cells.every((cell) => cell.row[name] === null || typeof cell.row[name] === "number");
  const numeric = Object.fromEntries(data.columns.map((name) => [name, isNumeric(name)]));
  const showTable = () => {
    const sorting = (name) => state.sortedBy !== name ? "none" : state.isDescending ? "descending" : "ascending";
    const head = data.columns.map((name) => make("th",
      { scope: "col", class: numeric[name] ? "number" : "", "aria-sort": sorting(name) },
      make("button", { type: "button", "data-column": name, onclick: () => sortBy(name) }, words(name))));
    document.querySelector("thead").replaceChildren(make("tr", {}, make("th", { scope: "col" }, "picture"), ...head));
    document.querySelector("tbody").replaceChildren(...state.shown.map((cell) => make("tr", {},
      make("td", {}, make("button", { type: "button", "aria-label": `Show ${cell.label}`, onclick: () => open(cell) }, "Show")),
      ...data.columns.map((name) => make("td", { class: numeric[name] ? "number" : "" }, shown(cell.row[name]))))));
  };
  const compare = (a, b) => {
    if (a === b) return 0;
    if (a === null || a === undefined) return 1;
    if (b === null || b === undefined) return -1;
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  };
  const sortBy = (name) => {
    state.isDescending = state.sortedBy === name && !state.isDescending;
    state.sortedBy = name;
    update();
    document.querySelector(`[data-column="${CSS.escape(name)}"]`).focus();
  };
  const update = () => {
    const wanted = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (cell) => `${cell.label} ${cell.state} ${cell.row.stop_reason ?? ""}`.toLowerCase().split(/[\s,]+/);
    state.shown = data.cells.filter((cell) => wanted.every((word) => text(cell).some((part) => part.startsWith(word))));
    if (state.sortedBy) {
      const sign = state.isDescending ? -1 : 1;
      const unknown = (cell) => cell.row[state.sortedBy] === null || cell.row[state.sortedBy] === undefined;
      state.shown.sort((a, b) => unknown(a) || unknown(b)  // what is unknown comes last, whichever way
        ? compare(a.row[state.sortedBy], b.row[state.sortedBy]) : sign * compare(a.row[state.sortedBy], b.row[state.sortedBy]));
    }
    byId("count").textContent = state.shown.length === data.cells.length
      ? `${data.cells.length} cells` : `${state.shown.length} of ${data.cells.length} cells`;
    showGrid();
    showTable();
    showCurves();
  };
  byId("filter").addEventListener("input", update);

  // --- curves ---
  const svg = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const showCurves = () => {
    const over = document.querySelector('input[name="over"]:checked').value;
    const cells = state.shown.filter((cell) => cell.curve.objective).slice(0, 24);
    byId("curves").hidden = !data.cells.some((cell) => cell.curve.objective);
    const points = cells.map((cell) => cell.curve[over].map((x, i) => [x, cell.curve.objective[i]]).filter(([, y]) => y > 0));
    const all = points.flat();
    if (!all.length) { byId("chart").replaceChildren(); byId("legend").replaceChildren(); return; }
    const [width, height, left, right, top, bottom] = [900, 360, 64, 12, 10, 34];
    const most = Math.max(...all.map(([x]) => x)) || 1;
    const logs = all.map(([, y]) => Math.log10(y));
    const [low, high] = [Math.min(...logs), Math.max(Math.max(...logs), Math.min(...logs) + 0.01)];
    const toX = (x) => left + (width - left - right) * x / most;
    const toY = (y) => top + (height - top - bottom) * (high - Math.log10(y)) / (high - low);
    const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `Lowest objective over ${over}, logarithmic, of ${cells.length} cells` });
    for (let step = 0; step <= 4; step++) {
      const y = 10 ** (low + (high - low) * step / 4), x = most * step / 4;
      chart.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: toY(y), y2: toY(y) }),
        svg("text", { x: left - 6, y: toY(y) + 4, "text-anchor": "end" }, y.toPrecision(2)),
        svg("text", { x: toX(x), y: height - 14, "text-anchor": "middle" }, shown(x < 10 ? Number(x.toPrecision(2)) : Math.round(x))));
    }
    chart.append(svg("text", { x: width - right, y: height - 1, "text-anchor": "end" }, over));
    points.forEach((line, index) => chart.append(svg("path", { stroke: COLORS[index % COLORS.length],
      "stroke-dasharray": ["none", "6 3", "2 3"][Math.floor(index / COLORS.length) % 3],
      d: line.map(([x, y], i) => `${i ? "L" : "M"}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`).join("") })));
    byId("chart").replaceChildren(chart);
    byId("legend").replaceChildren(...cells.map((cell, index) => {
      const mark = make("i");
      mark.style.background = COLORS[index % COLORS.length];
      return make("li", {}, mark, cell.label);
    }), ...(state.shown.length > cells.length ? [make("li", {}, "Show fewer cells to see the others.")] : []));
  };
  for (const radio of document.querySelectorAll('input[name="over"]')) radio.addEventListener("change", showCurves);

  // --- viewer ---
  const viewer = byId("viewer");
  const others = () => [...data.inputs.map((input) => ({ label: input.label, image: input.image })), ...data.cells];
  others().forEach((other, index) => {
    if (other.image) byId("other").append(make("option", { value: index }, other.label));
  });
  const open = (cell) => {
    state.current = cell;
    byId("viewer-title").textContent = cell.label;
    byId("viewer-error").textContent = cell.error;
    byId("viewer-tools").hidden = byId("stage").hidden = !cell.image;
    byId("facts").replaceChildren(...data.columns.filter((name) => cell.row[name] !== null && name !== "error")
      .flatMap((name) => [make("dt", {}, words(name)), make("dd", {}, shown(cell.row[name]))]));
    for (const part of ["command", "recipe"]) {
      byId(`cell-${part}`).textContent = cell[part];
      byId(`cell-${part}`).parentElement.hidden = !cell[part];
    }
    if (cell.file) byId("file").setAttribute("href", cell.file);
    byId("said").textContent = "";
    if (!viewer.open) viewer.showModal();
    place();
  };
  const place = () => {
    const cell = state.current;
    if (!cell || !cell.image) return;
    const other = others()[Number(byId("other").value)] ?? cell, wipe = Number(byId("wipe").value);
    const stage = byId("stage"), zoom = Number(byId("zoom").value);
    const fit = Math.min((stage.clientWidth - 4) / cell.image.width, (stage.clientHeight - 4) / cell.image.height);
    byId("sheet").style.width = `${cell.image.width * fit * zoom}px`;
    byId("sheet").style.height = `${cell.image.height * fit * zoom}px`;
    byId("above").src = cell.image.src;
    byId("above").alt = cell.label;
    byId("below").src = (other.image ?? cell.image).src;
    byId("below").alt = `Compared with: ${other.label}`;
    byId("above").style.clipPath = `inset(0 ${100 - wipe}% 0 0)`;
    byId("edge").style.left = `${wipe}%`;
    byId("edge").hidden = wipe === 0 || wipe === 100;
    byId("wipe").setAttribute("aria-valuetext", `${wipe} % ${cell.label}, the rest ${other.label}`);
    byId("caption").textContent = `Left ${cell.label}; right of the edge ${other.label}. Arrow keys move wipe and zoom; N and P show the next and the previous picture.`;
  };
  const step = (by) => {
    const index = state.shown.indexOf(state.current);
    open(state.shown[(index + by + state.shown.length) % state.shown.length]);
  };
  for (const id of ["other", "wipe", "zoom"]) byId(id).addEventListener("input", place);
  addEventListener("resize", place);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("keydown", (event) => {
    if (event.target.tagName === "SELECT" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "n") step(1);
    if (event.key === "p") step(-1);
  });
  byId("stage").addEventListener("pointermove", (event) => {
    if (!(event.buttons & 1)) return;
    const box = byId("sheet").getBoundingClientRect();
    byId("wipe").value = String(Math.round(100 * (event.clientX - box.left) / box.width));
    place();
  });

  // --- copying ---
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {  // where a page from disk has no clipboard
      const area = make("textarea", { "aria-hidden": "true" });
      area.value = text;
      (viewer.open ? viewer : document.body).append(area);
      area.select();
      const isCopied = document.execCommand("copy");
      area.remove();
      return isCopied;
    }
  };
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const isCopied = await copy(byId(button.dataset.copy).textContent);
      const sentence = isCopied ? "Copied." : "The browser does not let this page copy; select the text instead.";
      if (viewer.open) byId("said").textContent = sentence; else byId("count").textContent = sentence;
      button.focus();
    });
  }
  update();
})();
