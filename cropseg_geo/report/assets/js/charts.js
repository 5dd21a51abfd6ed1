// Distribution, ranking and growth of the chosen statistic, drawn by uPlot.
"use strict";
const Charts = (() => {
  const { data, state } = App;
  const HEIGHT = 220;
  const drawn = new Map();
  const column = () => App.columns.get(state.statistic);
  const font = "12px Inter, system-ui, sans-serif";
  const axis = (more) => ({
    font, stroke: () => App.ink("2"), grid: { stroke: () => App.ink("line"), width: 1 },
    ticks: { stroke: () => App.ink("line"), width: 1, size: 4 }, ...more,
  });
  const put = (id, options, values) => {
    const box = document.getElementById(id);
    if (!box) return;
    drawn.get(id)?.destroy();
    drawn.set(id, new uPlot({
      width: Math.max(200, box.clientWidth), height: HEIGHT, legend: { show: false },
      padding: [8, 18, 0, 0], ...options,
    }, values, box));
  };
  const say = (id, text) => { const node = document.getElementById(id); if (node) node.textContent = text; };
  const describe = (id, text) => document.getElementById(id)?.setAttribute("aria-label", text);
  const percentile = (sorted, share) => {
    const place = share * (sorted.length - 1);
    const left = Math.floor(place);
    return sorted[left] + (place - left) * ((sorted[left + 1] ?? sorted[left]) - sorted[left]);
  };
  const bars = (share, fills) => uPlot.paths.bars({
    size: [share, 64, 1],
    disp: { fill: { unit: 3, values: () => fills }, stroke: { unit: 3, values: () => fills.map(() => App.ink("3")) } },
  });
  const cursor = { x: true, y: false, points: { show: false }, drag: { x: false, y: false } };

  const histogram = () => {
    const c = column();
    const values = state.shown.map((i) => App.value(i, c.name)).filter((v) => v !== null);
    const [low, high] = c.range;
    const n = values.length > 500 ? 20 : 10;
    const counts = new Array(n).fill(0);
    values.forEach((v) => { counts[Math.min(n - 1, Math.max(0, Math.floor(((v - low) / (high - low)) * n)))] += 1; });
    const edge = (k) => (low + ((high - low) * k) / n) * c.factor;
    const centres = counts.map((_, k) => (edge(k) + edge(k + 1)) / 2);
    const decimals = Math.max(0, Math.min(4, Math.ceil(-Math.log10(((high - low) * c.factor) / n))));
    const name = (k) => `${App.number(edge(k), decimals)}–${App.number(edge(k + 1), decimals)}${c.unit ? `\u00a0${c.unit}` : ""}`;
    const sorted = [...values].sort((a, b) => a - b);
    const summary = sorted.length
      ? `Median ${App.withUnit(c, percentile(sorted, 0.5))}, half of the plots between ${App.withUnit(c, percentile(sorted, 0.25))} and ${App.withUnit(c, percentile(sorted, 0.75))}`
      : "No plot to show";
    say("histogram-readout", summary);
    describe("histogram", `Distribution of ${c.label} over ${values.length} plots. ${summary}.`);
    put("histogram", {
      scales: { x: { time: false, range: [low * c.factor, high * c.factor] }, y: { range: (u, a, b) => [0, Math.max(1, b) * 1.08] } },
      axes: [axis({ label: c.unit || undefined, labelFont: font, labelSize: c.unit ? 18 : 0, size: 30 }), axis({ size: 38, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000] })],
      series: [{}, { width: 1, points: { show: false }, paths: bars(0.92, centres.map((x) => App.colourOf(c, x / c.factor))) }],
      cursor,
      hooks: { setCursor: [(u) => say("histogram-readout", u.cursor.idx == null || u.cursor.left < 0 ? summary : `${name(u.cursor.idx)}: ${counts[u.cursor.idx]} plots`)] },
    }, [centres, counts]);
  };

  let ranked = [];
  const ranking = () => {
    const c = column();
    ranked = state.shown.filter((i) => App.value(i, c.name) !== null)
      .sort((a, b) => App.value(b, c.name) - App.value(a, c.name));
    const values = ranked.map((i) => App.value(i, c.name) * c.factor);
    const name = (k) => `${k + 1} of ${ranked.length}: plot ${App.plotName(ranked[k])}, ${App.withUnit(c, App.value(ranked[k], c.name))}`;
    const chosen = ranked.indexOf(state.selected);
    const summary = chosen >= 0 ? name(chosen)
      : ranked.length ? `Highest ${App.plotName(ranked[0])}, lowest ${App.plotName(ranked[ranked.length - 1])}` : "No plot to show";
    say("ranking-readout", summary);
    describe("ranking", `Plots ranked by ${c.label}. ${summary}.`);
    put("ranking", {
      scales: { x: { time: false, range: () => [0.4, Math.max(1, ranked.length) + 0.6] }, y: { range: (u, a, b) => [Math.min(0, a ?? 0), (b ?? 1) * 1.08 || 1] } },
      axes: [axis({ size: 30, label: "rank", labelFont: font, labelSize: 18, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000] }), axis({ size: 46, label: c.unit || undefined, labelFont: font, labelSize: c.unit ? 18 : 0 })],
      series: [{}, { width: ranked.length > 60 ? 0 : 1, points: { show: false }, paths: bars(0.86, ranked.map((i) => (i === state.selected ? App.ink("accent") : App.plotColour(i)))) }],
      cursor,
      hooks: {
        setCursor: [(u) => say("ranking-readout", u.cursor.idx == null || u.cursor.left < 0 ? summary : name(u.cursor.idx))],
        ready: [(u) => u.over.addEventListener("click", () => { if (u.cursor.idx != null) App.select(ranked[u.cursor.idx], "chart"); })],
      },
    }, [ranked.map((_, k) => k + 1), values]);
  };

  const growth = () => {
    if (!data.series) return;
    const wanted = data.series.values[state.statistic] ? state.statistic : Object.keys(data.series.values)[0];
    const c = App.columns.get(wanted) ?? { name: wanted, label: wanted, kind: "number", unit: "", factor: 1, decimals: 2 };
    const table = data.series.values[wanted];
    const times = data.series.dates.map((date) => Date.parse(`${date}T00:00Z`) / 1000);
    const quantile = (share) => times.map((_, t) => {
      const sorted = state.shown.map((i) => table[i][t]).filter((v) => v !== null).sort((a, b) => a - b);
      return sorted.length ? percentile(sorted, share) * c.factor : null;
    });
    const own = (i) => table[i].map((v) => (v === null ? null : v * c.factor));
    const faint = state.shown.length <= 120 ? state.shown.filter((i) => i !== state.selected) : [];
    const [lower, middle, upper] = [0.25, 0.5, 0.75].map(quantile);
    const values = [times, upper, lower, ...faint.map(own), middle];
    const line = (more) => ({ spanGaps: true, points: { show: false }, ...more });
    const series = [{}, line({ width: 0, stroke: "transparent" }), line({ width: 0, stroke: "transparent" }),
      ...faint.map(() => line({ width: 1, stroke: () => App.ink("faint") })),
      line({ width: 2.5, stroke: () => App.ink("2"), dash: [6, 4] })];
    if (state.selected !== null) {
      values.push(own(state.selected));
      series.push(line({ width: 3, stroke: () => App.ink("accent"), points: { show: true, size: 7, fill: () => App.ink("accent") } }));
    }
    const last = times.length - 1;
    const at = (t) => {
      const median = middle[t] === null ? "–" : App.withUnit(c, middle[t] / c.factor);
      const mine = state.selected === null ? "" : `, plot ${App.plotName(state.selected)} ${App.withUnit(c, table[state.selected][t])}`;
      return `${data.series.dates[t]}: median ${median}${mine}`;
    };
    say("growth-title", `Growth: ${c.label}`);
    say("growth-readout", at(last));
    describe("growth", `${c.label} over ${times.length} dates. ${data.series.dates.map((_, t) => at(t)).join("; ")}.`);
    put("growth", {
      padding: [8, 30, 0, 0],
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC"),
      scales: { x: { range: (u, a, b) => (a === b ? [a - 86400, b + 86400] : [a, b]) }, y: { range: (u, a, b) => [Math.min(0, a ?? 0), (b ?? 1) * 1.08 || 1] } },
      axes: [axis({ size: 36, space: 70, ...(times.length * 64 < document.getElementById("growth").clientWidth ? { splits: () => times } : {}), values: (u, splits) => splits.map((s) => new Date(s * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" })) }), axis({ size: 46, label: c.unit || undefined, labelFont: font, labelSize: c.unit ? 18 : 0 })],
      series,
      bands: [{ series: [1, 2], fill: () => App.ink("band") }],
      cursor,
      hooks: { setCursor: [(u) => say("growth-readout", u.cursor.idx == null || u.cursor.left < 0 ? at(last) : at(u.cursor.idx))] },
    }, values);
  };

  const all = () => {
    if (state.statistic === null) return;
    const c = column();
    say("histogram-title", `Distribution: ${c.label}`);
    say("ranking-title", `Ranking: ${c.label}`);
    histogram();
    ranking();
    growth();
  };
  App.on("filter", all);
  App.on("statistic", all);
  App.on("select", () => { if (state.statistic !== null) { ranking(); growth(); } });
  Theme.onChange(all);
  const watch = new ResizeObserver((entries) => entries.forEach(({ target, contentRect }) => {
    const chart = drawn.get(target.id);
    if (chart && contentRect.width && Math.abs(chart.width - contentRect.width) > 1) chart.setSize({ width: contentRect.width, height: HEIGHT });
  }));
  ["histogram", "ranking", "growth"].forEach((id) => { const box = document.getElementById(id); if (box) watch.observe(box); });
  return { all, drawn };
})();
