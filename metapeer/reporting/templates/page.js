"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  root.classList.add("scripted");

  // Variants: all of them are in the page, and attributes of the root say which are shown.
  const shown = document.getElementById("shown");
  const method = document.getElementById("method-choice");
  const radios = all("input[name=r]");
  const choose = () => {
    const row = radios.find((one) => one.checked);
    const r = row ? row.value : "0";
    const m = method ? method.value : "0";
    root.dataset.r = r;
    root.dataset.m = m;
    root.dataset.v = `${r}-${m}`;
    for (const name of ["r", "m", "v"]) {
      const now = root.dataset[name];
      for (const one of all(`[data-on-${name}]`)) {
        one.classList.toggle("off", !one.getAttribute(`data-on-${name}`).split(" ").includes(now));
      }
    }
    const words = [];
    if (row) words.push(`suspicious rows ${row.parentElement.textContent.trim()}`);
    if (method) words.push(method.selectedOptions[0].textContent.trim());
    if (words.length) shown.textContent = `Shown: ${words.join("; ")}`;
  };
  if (method) method.addEventListener("change", choose);
  for (const one of radios) one.addEventListener("change", choose);
  if (method || radios.length) choose();

  const theme = document.getElementById("theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const paint = (wanted) => {
    root.dataset.theme = wanted;
    theme.setAttribute("aria-pressed", String(wanted === "dark"));
  };
  theme.setAttribute("aria-pressed", String(dark.matches));
  theme.addEventListener("click", () => paint(theme.getAttribute("aria-pressed") === "true" ? "light" : "dark"));

  // Tables that can be sorted and filtered.
  const text = (row, column) => (row.cells[column] ? row.cells[column].textContent.trim() : "");
  const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const number = (words) => {
    const found = /^[<>]?\s*(-?\d[\d,]*\.?\d*)/.exec(words);
    return found ? Number(found[1].replaceAll(",", "")) : NaN;
  };
  const compare = (a, b) => {
    if (!a || !b) return a ? -1 : b ? 1 : 0;
    const x = number(a);
    const y = number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? order.compare(a, b) : x - y;
  };
  for (const tools of all(".tools")) {
    const table = document.getElementById(tools.dataset.table);
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const search = tools.querySelector("input");
    const selects = all("select", tools);
    const status = tools.querySelector(".count");
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      rows.forEach((row, place) => {
        const keep =
          words.every((word) => texts[place].includes(word)) &&
          selects.every((one) => !one.value || text(row, Number(one.dataset.column)) === one.value);
        row.hidden = !keep;
        left += keep ? 1 : 0;
      });
      status.textContent = `${left} of ${rows.length} shown`;
    };
    search.addEventListener("input", filter);
    for (const one of selects) one.addEventListener("change", filter);
    const reset = () => {
      search.value = "";
      for (const one of selects) one.value = "";
      filter();
    };
    tools.querySelector("button").addEventListener("click", reset);
    const heads = all("thead th", table);
    heads.forEach((head) => {
      const column = head.cellIndex;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const sorted = rows
          .map((row, place) => [text(row, column), place, row])
          .sort(([a, i], [b, j]) => {
            if (!a || !b) return compare(a, b) || i - j;
            return (up ? compare(a, b) : compare(b, a)) || i - j;
          });
        body.append(...sorted.map(([, , row]) => row));
        status.textContent = `Sorted by ${button.textContent.trim()}, ${up ? "ascending" : "descending"}`;
      });
    });
    status.textContent = `${rows.length} of ${rows.length} shown`;
    table.resetFilter = reset;
  }

  // A link into a filtered table shows its row; one into a closed part opens it.
  const reveal = () => {
    const name = decodeURIComponent(window.location.hash.slice(1));
    const target = name && document.getElementById(name);
    if (!target) return;
    for (let one = target.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
    const table = target.closest("table");
    if (target.hidden && table && table.resetFilter) table.resetFilter();
    target.scrollIntoView({ block: "center" });
  };
  window.addEventListener("hashchange", reveal);
  reveal();

  // The source of a row, on hover and on focus; Escape closes it.
  const tip = document.getElementById("tip");
  let owner = null;
  const hide = () => {
    if (owner) owner.removeAttribute("aria-describedby");
    owner = null;
    tip.hidden = true;
  };
  const place = () => {
    const box = owner.getBoundingClientRect();
    const room = root.clientWidth - tip.offsetWidth - 8;
    const below = box.bottom + 6;
    const fits = below + tip.offsetHeight < window.innerHeight;
    const top = fits ? below : Math.max(4, box.top - tip.offsetHeight - 6);
    tip.style.left = `${Math.max(8, Math.min(box.left, room))}px`;
    tip.style.top = `${top}px`;
  };
  const show = (target) => {
    if (owner === target) return;
    hide();
    owner = target;
    tip.textContent = target.dataset.source;
    tip.hidden = false;
    target.setAttribute("aria-describedby", "tip");
    place();
  };
  for (const one of all("a[title]")) {
    one.dataset.source = one.title;
    one.removeAttribute("title");
  }
  const sourced = (event) => (event.target.closest ? event.target.closest("[data-source]") : null);
  document.addEventListener("focusin", (event) => (sourced(event) ? show(sourced(event)) : hide()));
  document.addEventListener("mouseover", (event) => {
    if (sourced(event)) show(sourced(event));
    else if (owner && owner !== document.activeElement && event.target !== tip) hide();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
  window.addEventListener("scroll", () => owner && place(), { capture: true, passive: true });

  window.addEventListener("beforeprint", () => {
    hide();
    for (const one of all("details:not([open])")) {
      one.open = true;
      one.dataset.closed = "";
    }
  });
  window.addEventListener("afterprint", () => {
    for (const one of all("details[data-closed]")) {
      one.open = false;
      delete one.dataset.closed;
    }
  });
})();
