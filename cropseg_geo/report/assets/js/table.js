// The table: sorted by its headings, filtered, a page at a time; rows and plots point at each other.
"use strict";
const Table = (() => {
  const { data, state } = App;
  const body = document.getElementById("plot-rows");
  if (!body) return { csv: () => "" };
  const ROWS = 25;
  const head = document.getElementById("plot-heads");
  const scroller = document.getElementById("table-scroll");
  let page = 0;
  let current = null; // the plot whose row takes the keyboard
  const pages = () => Math.max(1, Math.ceil(state.shown.length / ROWS));

  const isNumber = (column) => column.kind === "number" && column.name !== "plot_id";
  let heads = [];
  let ordered = data.columns; // plot and chosen statistic first, so that both are in sight on a phone
  const headOf = (column) => {
    const button = App.make("button", { type: "button", title: column.about }, App.make("span", { textContent: column.label }));
    if (column.unit) button.append(App.make("small", { textContent: column.unit }));
    button.addEventListener("click", () => { page = 0; App.setSort(column.name); });
    return App.make("th", { scope: "col", className: isNumber(column) ? "number" : "" }, button);
  };
  const makeHeads = () => {
    const first = (column) => (column.name === "plot_id" ? 0 : column.name === state.statistic ? 1 : 2);
    ordered = [...data.columns].sort((a, b) => first(a) - first(b));
    heads = ordered.map(headOf);
    head.replaceChildren(...heads);
  };
  const drawHeads = () => ordered.forEach((column, k) => {
    const sorted = state.sort.name === column.name;
    heads[k].setAttribute("aria-sort", sorted ? (state.sort.descending ? "descending" : "ascending") : "none");
    heads[k].classList.toggle("statistic", column.name === state.statistic);
  });
  const cell = (i, column) => {
    const raw = App.value(i, column.name);
    const td = App.make("td", { className: isNumber(column) ? "number" : "" });
    if (column.name === "plot_id") {
      const swatch = App.make("i", { className: "swatch" });
      swatch.style.background = App.plotColour(i);
      td.append(swatch);
      td.append(App.make("span", { textContent: App.plain(column, raw) }));
      if (data.flags[i].length) td.append(App.make("span", { className: "flag", textContent: "!", title: data.flags[i].join(", ") }), App.make("span", { className: "unseen", textContent: data.flags[i].join(", ") }));
    } else td.textContent = App.plain(column, raw);
    return td;
  };
  const draw = () => {
    page = Math.min(page, pages() - 1);
    const visible = state.shown.slice(page * ROWS, (page + 1) * ROWS);
    if (!visible.includes(current)) current = visible.includes(state.selected) ? state.selected : visible[0] ?? null;
    body.replaceChildren(...visible.map((i) => {
      const row = App.make("tr", { tabIndex: i === current ? 0 : -1 }, ...ordered.map((column) => cell(i, column)));
      row.dataset.plot = i;
      row.setAttribute("aria-selected", String(i === state.selected));
      return row;
    }));
    drawHeads();
    document.getElementById("plot-count").textContent = `${App.number(state.shown.length, 0)} of ${App.number(App.size, 0)} plots`;
    document.getElementById("page-count").textContent = `Page ${page + 1} of ${pages()}`;
    document.getElementById("page-back").disabled = page === 0;
    document.getElementById("page-on").disabled = page >= pages() - 1;
  };
  const rowOf = (i) => body.querySelector(`tr[data-plot="${i}"]`);
  const goTo = (i) => {
    const place = state.shown.indexOf(i);
    if (place < 0) return;
    current = i;
    page = Math.floor(place / ROWS);
    draw();
    const row = rowOf(i);
    scroller.scrollTop = row.offsetTop - scroller.clientHeight / 2; // the page itself stays where it is
  };
  const plotOf = (event) => {
    const row = event.target.closest("tr[data-plot]");
    return row ? Number(row.dataset.plot) : null;
  };
  body.addEventListener("click", (event) => { const i = plotOf(event); if (i !== null) App.select(i, "table"); });
  body.addEventListener("focusin", (event) => { current = plotOf(event); App.emit("focus", current); });
  body.addEventListener("focusout", () => App.emit("focus", null));
  body.addEventListener("mouseover", (event) => App.emit("focus", plotOf(event)));
  body.addEventListener("mouseleave", () => App.emit("focus", null));
  body.addEventListener("keydown", (event) => {
    const i = plotOf(event);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: ROWS, PageUp: -ROWS, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); App.select(i, "table"); rowOf(i)?.focus(); return; }
    if (!step) return;
    event.preventDefault();
    const next = Math.min(state.shown.length - 1, Math.max(0, state.shown.indexOf(i) + step));
    goTo(state.shown[next]);
    rowOf(state.shown[next]).focus();
  });
  document.getElementById("page-back").addEventListener("click", () => { page -= 1; draw(); });
  document.getElementById("page-on").addEventListener("click", () => { page += 1; draw(); });
  App.on("filter", draw);
  App.on("statistic", () => { makeHeads(); draw(); });
  makeHeads();
  App.on("select", ({ i, from }) => {
    if (from !== "table") goTo(i);
    else { current = i; const focused = body.contains(document.activeElement); draw(); if (focused) rowOf(i)?.focus(); }
  });

  App.on("hover", (i) => {
    body.querySelector(".pointed")?.classList.remove("pointed");
    if (i !== null) rowOf(i)?.classList.add("pointed");
  });

  // RFC 4180, the columns as they are named in files, the values as they are stored; rows as shown.
  const quote = (raw) => {
    const text = raw === null || raw === undefined ? "" : String(raw);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const csv = () => [data.columns.map((c) => quote(c.name)), ...state.shown.map((i) => data.columns.map((c) => quote(App.value(i, c.name))))]
    .map((line) => `${line.join(",")}\r\n`).join("");
  document.getElementById("download").addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob(["\ufeff", csv()], { type: "text/csv;charset=utf-8" }));
    const link = App.make("a", { href: url, download: `${data.title}_plots.csv` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  });
  return { csv };
})();
