// Runs before the first paint, so that a chosen theme never flashes the other one.
"use strict";
const Theme = (() => {
  const KEY = "cropseg-report-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try { return localStorage.getItem(KEY); } catch { return null; } // files may have no storage
  };
  const store = (name) => {
    try { localStorage.setItem(KEY, name); } catch { /* the choice then lasts as long as the page */ }
  };
  let chosen = stored();
  const isDark = () => (chosen ? chosen === "dark" : system.matches);
  const listeners = [];
  const apply = () => {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
    listeners.forEach((listen) => listen());
  };
  system.addEventListener("change", apply);
  apply();
  return {
    isDark,
    toggle() { chosen = isDark() ? "light" : "dark"; store(chosen); apply(); },
    onChange(listen) { listeners.push(listen); },
  };
})();
