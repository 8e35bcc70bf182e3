// Filters, tabs, sorting and marking of trials. Its state lives in the address after "#view:", so that a reload keeps it.
"use strict";
(() => {
  const root = document.documentElement;
  const find = (selector, within = document) => [...within.querySelectorAll(selector)];
  root.classList.add("script");
  const state = new URLSearchParams(location.hash.startsWith("#view:") ? location.hash.slice(6) : "");
  const keep = () => {
    for (const [name, value] of [...state]) if (value === "") state.delete(name);
    const view = state.toString();
    history.replaceState(null, "", view ? "#view:" + view : location.pathname + location.search);
  };
  const set = (name, value) => { state.set(name, value); keep(); };
  addEventListener("hashchange", keep);

  // A trial's name is shown next to the pointer; the titles that serve pages without a script would show twice.
  const names = new Map();
  for (const drawn of find("g.trial")) {
    const title = drawn.querySelector(":scope > title");
    if (title) { names.set(drawn.dataset.trial, title.textContent); title.remove(); }
  }

  const rows = find("#trials-table tbody tr");
  const about = new Map(rows.map(row => [row.dataset.trial, row]));
  const everywhere = find("[data-trial]");

  // Marking one trial in all charts and tables
  const charts = find(".chart");
  const light = trial => {
    for (const element of everywhere) element.classList.toggle("marked", element.dataset.trial === trial);
    for (const chart of charts) chart.classList.toggle("dimmed", Boolean(trial && chart.querySelector("g.trial.marked:not([hidden])")));
  };
  const pin = trial => {
    for (const button of find(".pin")) {
      button.setAttribute("aria-pressed", String(button.closest("tr").dataset.trial === trial && trial !== ""));
    }
    light(trial);
  };
  const pinned = () => (about.has(state.get("trial")) ? state.get("trial") : "");
  const toggle = trial => { set("trial", pinned() === trial ? "" : trial); pin(pinned()); };
  for (const button of find(".pin")) button.addEventListener("click", () => toggle(button.closest("tr").dataset.trial));
  pin(pinned());

  // Filters
  const filters = document.getElementById("filters");
  const shown = document.getElementById("shown");
  const matches = row => {
    const boxes = name => find(`input[name="${name}"]`, filters);
    const allowed = name => !boxes(name).length || boxes(name).some(box => box.checked && box.value === row.dataset[name]);
    const best = Number(filters.elements.best.value);
    if (best && !(Number(row.dataset.rank) <= best && row.dataset.rank)) return false;
    const text = filters.elements.text.value.trim().toLowerCase();
    return allowed("status") && allowed("role") && (!text || row.textContent.toLowerCase().includes(text));
  };
  const filter = () => {
    const visible = new Set(rows.filter(matches).map(row => row.dataset.trial));
    for (const element of everywhere) element.toggleAttribute("hidden", !visible.has(element.dataset.trial));
    light(pinned());
    shown.textContent = shown.dataset.text.replace("{shown}", visible.size).replace("{of}", rows.length);
  };
  const off = name => find(`input[name="${name}"]`, filters).filter(box => !box.checked).map(box => box.value).join(",");
  const filtered = () => {
    for (const name of ["status", "role"]) state.set("no-" + name, off(name));
    state.set("best", filters.elements.best.value);
    set("text", filters.elements.text.value.trim());
    filter();
  };
  for (const name of ["status", "role"]) {
    const hidden = (state.get("no-" + name) || "").split(",");
    for (const box of find(`input[name="${name}"]`, filters)) box.checked = !hidden.includes(box.value);
  }
  if (state.get("best")) filters.elements.best.value = state.get("best");
  if (filters.elements.best.selectedIndex < 0) filters.elements.best.value = "";
  filters.elements.text.value = state.get("text") || "";
  filters.addEventListener("input", filtered);
  filters.addEventListener("submit", event => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(filtered));
  filter();

  // Tabs: arrows, Home and End move between them
  const tabs = find('[role="tab"]');
  const open = (tab, focus) => {
    for (const other of tabs) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
    }
    if (focus) tab.focus();
  };
  if (tabs.length) open(tabs.find(tab => tab.id === "tab-" + state.get("tab")) || tabs[0]);
  tabs.forEach((tab, place) => {
    const go = next => { open(next, true); set("tab", next.id.slice(4)); };
    tab.addEventListener("click", () => go(tab));
    tab.addEventListener("keydown", event => {
      const forward = root.dir === "rtl" ? "ArrowLeft" : "ArrowRight";
      const back = root.dir === "rtl" ? "ArrowRight" : "ArrowLeft";
      const steps = { [forward]: place + 1, [back]: place - 1 + tabs.length, Home: 0, End: tabs.length - 1 };
      if (!(event.key in steps)) return;
      event.preventDefault();
      go(tabs[steps[event.key] % tabs.length]);
    });
  });

  // The trial nearest to the pointer, by its line or its dot
  const tip = document.getElementById("tip");
  const toSegment = (p, a, b) => {
    const dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    const along = length ? Math.max(0, Math.min(1, ((p.x - a.x) * dx + (p.y - a.y) * dy) / length)) : 0;
    return Math.hypot(p.x - a.x - along * dx, p.y - a.y - along * dy);
  };
  const distance = (drawn, p) => {
    let least = Infinity;
    for (const line of drawn.querySelectorAll("polyline")) {
      const at = [...line.points];
      if (at.length === 1) least = Math.min(least, Math.hypot(p.x - at[0].x, p.y - at[0].y));
      for (let i = 1; i < at.length; i++) least = Math.min(least, toSegment(p, at[i - 1], at[i]));
    }
    for (const dot of drawn.querySelectorAll("circle")) {
      least = Math.min(least, Math.hypot(p.x - dot.cx.baseVal.value, p.y - dot.cy.baseVal.value));
    }
    return least;
  };
  const nearest = (svg, event) => {
    const matrix = svg.getScreenCTM();
    if (!matrix) return null;
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    let found = null, least = 14;
    for (const drawn of svg.querySelectorAll("g.trial:not([hidden])")) {
      const here = distance(drawn, p);
      if (here <= least) { found = drawn; least = here; }
    }
    return found;
  };
  const leave = () => { tip.hidden = true; light(pinned()); };
  for (const svg of find(".chart .drawing > svg")) {
    if (!svg.querySelector("g.trial")) continue;
    svg.addEventListener("pointermove", event => {
      const drawn = nearest(svg, event);
      if (!drawn) return leave();
      light(drawn.dataset.trial);
      tip.textContent = names.get(drawn.dataset.trial) || drawn.dataset.trial;
      tip.hidden = false;
      const box = tip.getBoundingClientRect();
      tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8)) + "px";
      tip.style.top = Math.max(4, Math.min(event.clientY + 16, innerHeight - box.height - 8)) + "px";
    });
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("click", event => { const drawn = nearest(svg, event); if (drawn) toggle(drawn.dataset.trial); });
  }

  // Sorting by a column; what has no value stays at the end
  for (const table of find("table.sortable")) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = row => {
          const cell = row.cells[column];
          return (cell.dataset.sort ?? cell.textContent).trim();
        };
        const order = (one, other) => {
          const a = key(one), b = key(other);
          if (a === "" || b === "") return (a === "") - (b === "");
          const both = Number(a) - Number(b);
          const found = Number.isNaN(both) ? a.localeCompare(b) : both;
          return down ? -found : found;
        };
        body.append(...[...body.rows].sort(order));
      });
    });
  }

  // While the run continues: reload, unless that is switched off or something is playing
  const live = document.getElementById("live");
  if (live) {
    live.checked = state.get("live") !== "off";
    live.addEventListener("change", () => set("live", live.checked ? "" : "off"));
    const playing = () => find("audio").some(audio => !audio.paused);
    setInterval(() => { if (live.checked && !playing() && !document.hidden) location.reload(); }, 1000 * live.dataset.seconds);
  }
})();
