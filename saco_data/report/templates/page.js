"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const number = (value) => value.toLocaleString("en");
  const filters = { text: byId("f-text"), subset: byId("f-subset"), state: byId("f-state"), kind: byId("f-kind") };

  // Theme: the system's, until the reader chooses another.
  const theme = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const remembered = (value) => {
    try {
      if (value) localStorage.setItem("saco-theme", value);
      return localStorage.getItem("saco-theme");
    } catch {
      return value;  // storage is refused to some pages opened from a file
    }
  };
  const isDark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const show = () => theme.setAttribute("aria-pressed", String(isDark()));
  const asked = remembered();
  if (asked) document.documentElement.dataset.theme = asked;
  theme.addEventListener("click", () => {
    const wanted = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = wanted;
    remembered(wanted);
    show();
  });
  system.addEventListener("change", show);
  show();

  byId("masks").addEventListener("change", (event) => {
    document.body.classList.toggle("no-masks", !event.target.checked);
  });

  const wanted = () => ({
    text: filters.text.value.trim().toLowerCase(),
    subset: filters.subset.value,
    state: filters.state.value,
    kind: filters.kind.value,
  });

  // Pictures: the cards are in the page; a filter hides them.
  const STEP = 24;
  const grids = [...document.querySelectorAll(".grid")].map((grid) => ({
    cards: [...grid.children].map((node) => ({ node, data: node.dataset, text: node.dataset.text.toLowerCase() })),
    more: document.querySelector(`[data-more="${grid.id}"]`),
    limit: STEP,
  }));
  const showCards = () => {
    const want = wanted();
    let matching = 0;
    let all = 0;
    for (const grid of grids) {
      let found = 0;
      for (const { node, data, text } of grid.cards) {
        const fits = (!want.subset || data.subset === want.subset) && (!want.state || data.state === want.state)
          && (!want.kind || data.kind === want.kind) && text.includes(want.text);
        if (fits) found += 1;
        node.hidden = !fits || found > grid.limit;
      }
      grid.more.hidden = found <= grid.limit;
      matching += found;
      all += grid.cards.length;
    }
    byId("s-cards").textContent = all === 0 ? "There is nothing to show yet."
      : matching === all ? `${number(all)} pictures.`
      : matching ? `${number(matching)} of ${number(all)} pictures match.`
      : "None of the sampled pictures match; the list of files below is complete.";
  };
  for (const grid of grids) {
    grid.more.addEventListener("click", () => {
      const next = grid.cards.find((card) => card.node.hidden);
      grid.limit += STEP * 2;
      showCards();
      if (next) { next.node.tabIndex = -1; next.node.focus(); }
    });
  }

  // Files: unpacked from the compressed columns in the page.
  const PAGE = 50;
  const SHOWN = 6;
  let rows = null;
  let found = [];
  let at = 0;

  const unpacked = async () => {
    const packed = Uint8Array.from(atob(byId("packed").textContent), (char) => char.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  const element = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const sized = (bytes) => {
    if (bytes === null) return "";
    const units = ["B", "kB", "MB", "GB"];
    let power = 0;
    for (; bytes >= 999.5 && power < 3; power += 1) bytes /= 1000;
    return `${bytes.toFixed(power && bytes < 99.5 ? 1 : 0)} ${units[power]}`;
  };

  const search = () => {
    const want = wanted();
    const hits = rows.lower.map((text) => text.includes(want.text));
    const any = (list) => list.some((index) => hits[index]);
    const subset = rows.subsets.indexOf(want.subset);
    found = [];
    for (let row = 0; row < rows.name.length; row += 1) {
      if (want.subset && rows.subset[row] !== subset) continue;
      if (want.state && rows.reasons[rows.reason[row]][1] !== want.state) continue;
      if (want.kind === "positive" && !rows.positive[row].length) continue;
      if (want.kind === "negative" && !rows.negatives[row]) continue;
      if (want.text) {
        const phrase = (want.kind !== "negative" && any(rows.positive[row]))
          || (want.kind !== "positive" && any(rows.negative[row]));
        if (!phrase && !rows.lowerName[row].includes(want.text)) continue;
      }
      found.push(row);
    }
    at = 0;
    rows.hits = want.text ? hits : null;
  };

  const phraseNode = (index, positive) => {
    const node = element("span", undefined, positive ? "ph positive" : "ph negative");
    node.append(element("span", positive ? "in the picture: " : "not in it: ", "sr"));
    const text = element("bdi", rows.texts[index]);
    node.append(text);
    return node;
  };
  const phrases = (row) => {
    const cell = element("td", undefined, "phrases");
    cell.dataset.label = "Phrases";
    const all = [...rows.positive[row].map((index) => [index, true]), ...rows.negative[row].map((index) => [index, false])];
    // Phrases that match the search come first.
    if (rows.hits) all.sort((one, other) => Number(rows.hits[other[0]]) - Number(rows.hits[one[0]]));
    cell.append(...all.slice(0, SHOWN).map((each) => phraseNode(...each)));
    if (all.length > SHOWN) {
      const rest = element("details");
      rest.append(element("summary", `${number(all.length - SHOWN)} more`));
      rest.addEventListener("toggle", () => {
        if (rest.children.length === 1) rest.append(...all.slice(SHOWN).map((each) => phraseNode(...each)));
      });
      cell.append(rest);
    }
    const lacking = rows.negatives[row] - rows.negative[row].length;
    if (lacking > 0) cell.append(element("span", `${number(lacking)} not in it`, "small"));
    return cell;
  };
  const line = (row) => {
    const subset = rows.subsets[rows.subset[row]];
    const [reason, state] = rows.reasons[rows.reason[row]];
    const made = element("tr");
    made.append(element("td", subset, "sub"));
    const file = element("th", undefined, "file");
    file.scope = "row";
    if (state === "done") {
      const link = element("a", rows.name[row]);
      const path = [subset, ...rows.name[row].split("/")].map(encodeURIComponent).join("/");
      link.href = `${byId("rows").dataset.images}/${path}`;
      file.append(link);
    } else {
      file.textContent = rows.name[row];
    }
    made.append(file);
    const cell = element("td");
    cell.append(element("span", state, `badge b-${state}`));
    if (state !== "done" && state !== "pending") cell.append(element("span", reason.replaceAll("_", " "), "small why"));
    const detail = rows.texts[rows.detail[row]];
    if (detail) cell.append(element("q", detail, "small why"));
    made.append(cell, phrases(row));
    const size = element("td", sized(rows.bytes[row]), "num");
    if (rows.bytes[row] !== null) size.dataset.label = "Size";
    made.append(size);
    return made;
  };
  const showRows = () => {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    byId("rows").replaceChildren(...found.slice(at * PAGE, (at + 1) * PAGE).map(line));
    byId("page").textContent = `Page ${number(at + 1)} of ${number(pages)}`;
    byId("previous").disabled = at === 0;
    byId("next").disabled = at >= pages - 1;
    const all = rows.name.length;
    byId("s-rows").textContent = found.length === all ? `${number(all)} files.` : `${number(found.length)} of ${number(all)} files match.`;
  };
  const turn = (by) => {
    at += by;
    showRows();
    byId("h-files").scrollIntoView();
  };
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));

  let timer = 0;
  const apply = () => {
    showCards();
    if (rows) { search(); showRows(); }
  };
  const form = byId("filters");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(apply, 120); });
  form.addEventListener("reset", () => { clearTimeout(timer); timer = setTimeout(apply); });

  showCards();
  unpacked().then((content) => {
    rows = content;
    rows.lower = rows.texts.map((text) => text.toLowerCase());
    rows.lowerName = rows.name.map((text) => text.toLowerCase());
    apply();
    document.body.dataset.ready = "yes";
  }).catch(() => { byId("s-rows").textContent = "This browser is too old to unpack the list of files."; });
})();
