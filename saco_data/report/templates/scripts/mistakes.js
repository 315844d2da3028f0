// All items are in the page, compressed; the filters and the search cover each of them.
const PAGE = 50;
let content = null;
let found = [];
let at = 0;

const cell = (text, kind) => {
  const made = document.createElement("td");
  const inner = document.createElement("bdi");
  inner.textContent = text;
  made.append(inner);
  if (kind) made.className = kind;
  return made;
};
const line = ([subset, id, name, phrase, kind, truth, predicted, f1]) => {
  const made = document.createElement("tr");
  made.append(cell(content.subsets[subset]), cell(id), cell(name), cell(content.phrases[phrase]),
    cell(content.kinds[kind]), cell(number(truth), "num"), cell(number(predicted), "num"), cell(f1.toFixed(2), "num"));
  return made;
};
const show = () => {
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  byId("rows").replaceChildren(...found.slice(at * PAGE, (at + 1) * PAGE).map(line));
  byId("page").textContent = `Page ${number(at + 1)} of ${number(pages)}`;
  byId("previous").disabled = at === 0;
  byId("next").disabled = at >= pages - 1;
  byId("s-rows").textContent = `${number(found.length)} of ${number(content.rows.length)} items.`;
};
const search = () => {
  if (!content) return;
  const text = byId("f-text").value.trim().toLowerCase();
  const subset = content.subsets.indexOf(byId("f-subset").value);
  const kind = content.kinds.indexOf(byId("f-kind").value);
  const hits = content.lower.map((phrase) => phrase.includes(text));
  found = content.rows.filter((row) => (subset < 0 || row[0] === subset) && (kind < 0 || row[4] === kind)
    && (!text || hits[row[3]] || row[2].toLowerCase().includes(text) || String(row[1]) === text));
  at = 0;
  show();
};
byId("previous").addEventListener("click", () => { at -= 1; show(); });
byId("next").addEventListener("click", () => { at += 1; show(); });
const form = byId("filters");
let timer = 0;
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 120); });
form.addEventListener("reset", () => { clearTimeout(timer); timer = setTimeout(search); });
unpacked("packed").then((read) => {
  content = read;
  content.lower = content.phrases.map((phrase) => phrase.toLowerCase());
  search();
  document.body.dataset.ready = "yes";
}).catch(() => { byId("s-rows").textContent = "This browser is too old to unpack the list of items."; });
