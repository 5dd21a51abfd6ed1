// The map: photograph, mask and plots in pixels of the overview (x = column, y = −row).
"use strict";
const MapView = (() => {
  const { data, state } = App;
  const box = document.getElementById("map");
  const bounds = L.latLngBounds([[-data.height, 0], [0, data.width]]);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const map = L.map(box, {
    crs: L.CRS.Simple, minZoom: -8, maxZoom: 4, zoomSnap: 0.25, zoomDelta: 0.5, wheelPxPerZoomLevel: 120,
    attributionControl: false, zoomControl: false, preferCanvas: true, maxBounds: bounds.pad(0.6),
  });
  L.control.zoom({ position: "topleft" }).addTo(map);
  const fit = () => map.fitBounds(bounds, { animate: false });
  fit();

  const overlay = (id, name) => {
    const picture = document.getElementById(id);
    if (!picture) return null;
    map.createPane(name);
    return L.imageOverlay(picture, bounds, { pane: name, className: `overlay-${name}` }).addTo(map);
  };
  const photo = overlay("photo", "photo");
  const mask = overlay("mask", "mask");
  if (photo) photo.getElement().hidden = false;
  mask.getElement().hidden = false;

  let plotOpacity = 0.7;
  let outline = 1;
  let layers = [];
  let hovered = null;
  const style = (i) => {
    const marked = i === state.selected || i === hovered;
    const dimmed = !kept.has(i);
    return {
      color: marked ? "#ffffff" : "#14201a", weight: marked ? 3 : outline, opacity: dimmed ? 0.25 : 1,
      fillColor: App.plotColour(i), fillOpacity: dimmed ? 0.04 : plotOpacity,
    };
  };
  let kept = new Set(state.shown);

  const tip = (i) => {
    const column = App.columns.get(state.statistic);
    const node = App.make("div", {}, App.make("strong", { textContent: App.plotName(i) }));
    if (column) node.append(App.make("span", { textContent: `${column.label} ${App.withUnit(column, App.value(i, column.name))}` }));
    data.flags[i].forEach((flag) => node.append(App.make("em", { textContent: flag })));
    return node;
  };
  const restyle = (i) => { if (i !== null && layers[i]) layers[i].setStyle(style(i)); };
  const hover = (i) => {
    const before = hovered;
    hovered = i;
    restyle(before);
    restyle(i);
    if (i !== null && layers[i]) layers[i].bringToFront();
    if (state.selected !== null && layers[state.selected]) layers[state.selected].bringToFront();
  };
  if (data.outlines) {
    const plots = L.geoJSON(data.outlines, {
      renderer: L.canvas({ padding: 0.4, tolerance: 2 }),
      style: (feature) => style(feature.properties.i),
      onEachFeature(feature, layer) {
        const { i } = feature.properties;
        layers[i] = layer;
        layer.on({
          mouseover: () => { hover(i); App.emit("hover", i); },
          mouseout: () => { hover(null); App.emit("hover", null); },
          click: (event) => { L.DomEvent.stop(event); App.select(i, "map"); },
        });
      },
    }).addTo(map);
    plots.bindTooltip((layer) => tip(layer.feature.properties.i), { sticky: true, direction: "top", className: "plot-tip" });
  }

  // Outlines must not hide small plots: they thin out with the plots' size on the screen.
  const thin = () => {
    const [first] = layers;
    if (!first) return;
    const area = first.getBounds();
    const side = Math.min(area.getEast() - area.getWest(), area.getNorth() - area.getSouth()) * 2 ** map.getZoom();
    const wanted = side < 7 ? 0 : side < 16 ? 0.5 : 1;
    if (wanted === outline) return;
    outline = wanted;
    layers.forEach((layer, i) => layer.setStyle(style(i)));
  };
  map.on("zoomend", thin);
  thin();

  // Ground lengths: a bar of 1, 2 or 5 × 10ⁿ metres, and north as it lies in the raster.
  const Scale = L.Control.extend({
    onAdd() {
      this.node = App.make("div", { className: "scale" });
      map.on("zoom zoomend resize", this.draw, this);
      this.draw();
      return this.node;
    },
    draw() {
      const metres = data.metresPerPixel / 2 ** map.getZoom();
      const most = metres * 110;
      const power = 10 ** Math.floor(Math.log10(most));
      const length = [5, 2, 1].map((k) => k * power).find((l) => l <= most);
      this.node.style.width = `${length / metres}px`;
      this.node.textContent = length >= 1000 ? `${length / 1000} km` : length >= 1 ? `${length} m` : `${Math.round(length * 100)} cm`;
    },
  });
  new Scale({ position: "bottomleft" }).addTo(map);
  const North = L.Control.extend({
    onAdd() {
      const node = document.getElementById("north").content.firstElementChild.cloneNode(true);
      node.querySelector("svg").style.transform = `rotate(${data.north}deg)`;
      return node;
    },
  });
  new North({ position: "topright" }).addTo(map);
  const Home = L.Control.extend({
    onAdd() {
      const button = App.make("button", { type: "button", className: "map-button", textContent: "Whole field" });
      L.DomEvent.disableClickPropagation(button);
      button.addEventListener("click", fit);
      return button;
    },
  });
  new Home({ position: "topleft" }).addTo(map);

  const show = (i) => {
    const target = layers[i]?.getBounds();
    if (!target) return;
    const pixels = map.latLngToContainerPoint(target.getSouthEast()).subtract(map.latLngToContainerPoint(target.getNorthWest()));
    const isSmall = Math.max(pixels.x, pixels.y) < 28;
    if (!isSmall && map.getBounds().contains(target)) return;
    const options = { maxZoom: Math.max(map.getZoom(), isSmall ? 1 : map.getZoom()), animate: !calm.matches, duration: 0.5 };
    if (calm.matches) map.fitBounds(target.pad(2), options);
    else map.flyToBounds(target.pad(2), options);
  };
  App.on("select", ({ i, from }) => {
    layers.forEach((layer, k) => { if (k === i || layer.options.weight > 1) layer.setStyle(style(k)); });
    layers[i]?.bringToFront();
    if (from !== "map") show(i);
    if (from === "table") {
      const place = box.getBoundingClientRect();
      if (place.bottom < 80 || place.top > innerHeight - 80) box.scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
    }
  });
  const redraw = () => {
    kept = new Set(state.shown);
    layers.forEach((layer, i) => layer.setStyle(style(i)));
  };
  App.on("filter", redraw);
  App.on("statistic", redraw);
  App.on("focus", (i) => hover(i));
  new ResizeObserver(() => map.invalidateSize({ animate: false })).observe(box);

  return {
    map,
    setMaskOpacity(share) { mask.setOpacity(share); },
    setPlotOpacity(share) { plotOpacity = share; redraw(); },
    centreOf: (i) => map.latLngToContainerPoint(layers[i].getBounds().getCenter()),
    drawnStyle: (i) => ({ ...layers[i].options }),
  };
})();
