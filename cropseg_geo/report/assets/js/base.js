// The report's data, what is chosen, filtered and sorted, and the words for values.
"use strict";
const App = (() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const columns = new Map(data.columns.map((column) => [column.name, column]));
  const size = data.columns.length ? data.rows[data.columns[0].name].length : 0;
  const state = {
    statistic: data.statistics[0] ?? null,
    sort: data.columns.length ? { name: data.columns[0].name, descending: false } : null,
    query: "", low: null, high: null, flaggedOnly: false,
    selected: null,
    shown: Array.from({ length: size }, (_, i) => i), // indexes of plots that pass the filter, in order
  };

  const listeners = new Map();
  const on = (name, listen) => listeners.set(name, [...(listeners.get(name) ?? []), listen]);
  const emit = (name, detail) => (listeners.get(name) ?? []).forEach((listen) => listen(detail));

  const formats = new Map();
  const number = (value, decimals) => {
    if (!formats.has(decimals)) {
      formats.set(decimals, new Intl.NumberFormat("en-GB", {
        minimumFractionDigits: decimals, maximumFractionDigits: decimals,
      }));
    }
    return formats.get(decimals).format(value);
  };
  const value = (i, name) => data.rows[name][i];
  const plain = (column, raw) => {
    if (raw === null || raw === undefined) return "–";
    if (column.kind === "number") return column.name === "plot_id" ? String(raw) : number(raw * column.factor, column.decimals);
    if (column.kind === "flag") return raw ? "yes" : "no";
    return String(raw);
  };
  const withUnit = (column, raw) => {
    const text = plain(column, raw);
    return column.unit && text !== "–" ? `${text}\u00a0${column.unit}` : text;
  };
  const plotName = (i) => String(value(i, "plot_id") ?? i + 1);

  const channels = data.ramp.map((hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)));
  const rampColour = (fraction) => {
    const place = Math.min(Math.max(fraction, 0), 1) * (channels.length - 1);
    const left = Math.min(Math.floor(place), channels.length - 2);
    const mixed = channels[left].map((c, k) => Math.round(c + (place - left) * (channels[left + 1][k] - c)));
    return `rgb(${mixed.join(",")})`;
  };
  const colourOf = (column, raw) => {
    if (raw === null || raw === undefined || !column?.range) return data.missing;
    const [low, high] = column.range;
    return rampColour((raw - low) / (high - low));
  };
  const plotColour = (i) => (state.statistic === null ? data.missing : colourOf(columns.get(state.statistic), value(i, state.statistic)));

  const haystack = data.columns.filter((c) => c.kind === "text" || c.name === "plot_id" || !data.statistics.includes(c.name));
  const texts = Array.from({ length: size }, (_, i) => haystack.map((c) => plain(c, value(i, c.name))).join("\u0000").toLowerCase());
  const passes = (i) => {
    if (state.query && !state.query.split(/\s+/).every((word) => texts[i].includes(word))) return false;
    if (state.flaggedOnly && !data.flags[i].length) return false;
    if (state.low === null && state.high === null) return true;
    const column = columns.get(state.statistic);
    const raw = value(i, state.statistic);
    if (raw === null) return false;
    const seen = raw * column.factor;
    return (state.low === null || seen >= state.low) && (state.high === null || seen <= state.high);
  };
  const collator = new Intl.Collator("en", { numeric: true });
  const compare = (column) => (a, b) => {
    const [x, y] = [value(a, column.name), value(b, column.name)];
    if (x === null || y === null) return (x === null) - (y === null); // missing last, either way
    const order = typeof x === "string" ? collator.compare(x, y) : x - y;
    return (state.sort.descending ? -order : order) || a - b;
  };
  const refresh = () => {
    state.shown = [];
    for (let i = 0; i < size; i += 1) if (passes(i)) state.shown.push(i);
    if (state.sort) state.shown.sort(compare(columns.get(state.sort.name)));
    emit("filter");
  };

  return {
    data, columns, size, state, on, emit, number, value, plain, withUnit, plotName, colourOf, plotColour, rampColour,
    setStatistic(name) { Object.assign(state, { statistic: name, low: null, high: null }); refresh(); emit("statistic"); },
    setSort(name) {
      const again = state.sort.name === name;
      state.sort = { name, descending: again ? !state.sort.descending : data.statistics.includes(name) };
      refresh();
    },
    setFilter(changes) { Object.assign(state, changes); refresh(); },
    select(i, from) { state.selected = i; emit("select", { i, from }); },
    refresh,
    // A style's colour as the browser resolves it, for canvases.
    ink(name) {
      const probe = document.getElementById("ink-probe");
      probe.className = `ink-${name}`;
      return getComputedStyle(probe).color;
    },
    make(tag, properties = {}, ...children) {
      const node = Object.assign(document.createElement(tag), properties);
      node.append(...children);
      return node;
    },
  };
})();
