// The controls, the legend and the card of the selected plot; then the first drawing.
"use strict";
(() => {
  const { data, state } = App;
  const byId = (id) => document.getElementById(id);

  const themeButton = byId("theme");
  const nameTheme = () => { themeButton.querySelector("span").textContent = Theme.isDark() ? "Light" : "Dark"; };
  themeButton.addEventListener("click", Theme.toggle);
  Theme.onChange(nameTheme);
  nameTheme();

  const slider = (id, apply) => {
    const input = byId(id);
    if (!input) return;
    const set = () => { byId(`${id}-value`).textContent = `${input.value} %`; apply(input.value / 100); };
    input.addEventListener("input", set);
    set();
  };
  slider("mask-opacity", MapView.setMaskOpacity);
  slider("plot-opacity", MapView.setPlotOpacity);
  document.querySelectorAll("[data-colour]").forEach((node) => { node.style.background = node.dataset.colour; });

  if (!byId("plots-title")) return; // a page without plots has a map alone

  const chooser = byId("statistic"); // not there where the plots carry no statistics
  data.statistics.forEach((name) => {
    const column = App.columns.get(name);
    chooser.append(App.make("option", { value: name, textContent: column.unit ? `${column.label} (${column.unit})` : column.label }));
  });
  chooser?.addEventListener("change", () => App.setStatistic(chooser.value));
  const endText = (column, v) => {
    const text = (v * column.factor).toLocaleString("en-GB", { maximumFractionDigits: Math.max(column.decimals, 1) });
    return column.unit ? `${text}\u00a0${column.unit}` : text;
  };
  const drawLegend = () => {
    const column = App.columns.get(state.statistic);
    if (!column) return;
    byId("legend").hidden = !data.outlines;
    byId("legend-bar").style.background = `linear-gradient(to right, ${data.ramp.join(",")})`;
    byId("legend-missing").style.background = data.missing;
    const [low, high] = column.range;
    const ends = [low, (low + high) / 2, high].map((v) => endText(column, v));
    byId("legend-ends").replaceChildren(...ends.map((text) => App.make("span", { textContent: text })));
    byId("legend-about").textContent = column.about ? `${column.label}: ${column.about}.` : column.label;
    chooser.value = state.statistic;
    for (const id of ["low", "high"]) byId(id).value = "";
    byId("range-name").textContent = `${column.label}${column.unit ? ` (${column.unit})` : ""}`;
  };
  App.on("statistic", drawLegend);

  const filters = () => {
    const bound = (id) => { const n = parseFloat(byId(id).value); return Number.isFinite(n) ? n : null; };
    App.setFilter({ query: byId("search").value.trim().toLowerCase(), low: bound("low"), high: bound("high"), flaggedOnly: byId("flagged")?.checked ?? false });
  };
  let waiting = null;
  for (const id of ["search", "low", "high", "flagged"]) {
    byId(id)?.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filters, App.size > 800 ? 150 : 0); });
  }
  byId("reset").addEventListener("click", () => {
    for (const id of ["search", "low", "high"]) byId(id).value = "";
    if (byId("flagged")) byId("flagged").checked = false;
    filters();
  });

  const card = byId("plot-card");
  const drawCard = (i) => {
    byId("plot-name").textContent = `Plot ${App.plotName(i)}`;
    byId("plot-flags").textContent = data.flags[i].join(", ");
    byId("plot-facts").replaceChildren(...data.columns.filter((c) => c.name !== "plot_id").map((column) => App.make("div", {},
      App.make("dt", { textContent: column.label }), App.make("dd", { textContent: App.withUnit(column, App.value(i, column.name)) }))));
    card.classList.remove("empty");
    const column = App.columns.get(state.statistic);
    byId("announce").textContent = `Plot ${App.plotName(i)}${column ? `, ${column.label} ${App.withUnit(column, App.value(i, column.name))}` : ""}${data.flags[i].length ? `, ${data.flags[i].join(", ")}` : ""}`;
  };
  App.on("select", ({ i }) => drawCard(i));
  App.on("focus", (i) => { if (i !== null) drawCard(i); else if (state.selected !== null) drawCard(state.selected); });
  const step = (by) => {
    if (!state.shown.length) return;
    const place = state.shown.indexOf(state.selected);
    const next = place < 0 ? (by > 0 ? 0 : state.shown.length - 1) : (place + by + state.shown.length) % state.shown.length;
    App.select(state.shown[next], "step");
  };
  byId("plot-back").addEventListener("click", () => step(-1));
  byId("plot-on").addEventListener("click", () => step(1));

  drawLegend();
  App.refresh();
})();
