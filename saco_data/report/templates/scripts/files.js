// Files: unpacked from the compressed columns in the page.
const PAGE = 50;
const SHOWN = 6;
let rows = null;
let found = [];
let at = 0;

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
  const isReady = (row) => rows.reasons[rows.reason[row]][1] === "done";
  const places = { both: (row) => isReady(row) && rows.there[row], here: (row) => isReady(row) && rows.there[row] === false,
    there: (row) => !isReady(row) && rows.there[row], neither: (row) => !isReady(row) && rows.there[row] === false };
  found = [];
  for (let row = 0; row < rows.name.length; row += 1) {
    if (want.subset && rows.subset[row] !== subset) continue;
    if (want.state && rows.reasons[rows.reason[row]][1] !== want.state) continue;
    if (want.since && !(rows.since[row] >= Number(want.since))) continue;
    if (want.there && !places[want.there](row)) continue;
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
// Relative to the page where it was written; a reader of a moved page says where the folder is.
const folder = byId("f-folder");
folder.value = remembered("saco-folder") || "";
const addressOf = (row) => {
  const subset = rows.subset[row];
  const path = rows.name[row].split("/").map(encodeURIComponent).join("/");
  let base = folder.value.trim().replace(/\/+$/, "");
  if (!base) return `${rows.folders[subset]}/${path}`;
  if (/^([/\\]|[a-z]:)/i.test(base)) base = `file:///${base.replaceAll("\\", "/").replace(/^\/+/, "").split("/").map(encodeURIComponent).join("/")}`;
  return `${base}/${encodeURIComponent(rows.subsets[subset])}/${path}`;
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
    link.href = addressOf(row);
    file.append(link);
  } else {
    file.textContent = rows.name[row];
  }
  if (rows.origin[row]) {
    const source = element("a", "at the source", "source");
    source.href = rows.origin[row];
    source.rel = "noreferrer";
    file.append(" ", source);
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
  byId("csv").disabled = found.length === 0;
  const all = rows.name.length;
  const text = found.length === all ? `${number(all)} files.` : `${number(found.length)} of ${number(all)} files match.`;
  byId("s-rows").textContent = text;
  byId("s-all").textContent = text;
};
const turn = (by) => {
  at += by;
  showRows();
  byId("h-files").scrollIntoView();
};
byId("previous").addEventListener("click", () => turn(-1));
byId("next").addEventListener("click", () => turn(1));
folder.addEventListener("change", () => { remembered("saco-folder", folder.value.trim()); if (rows) showRows(); });
byId("csv").addEventListener("click", () => save("files.csv", csvOf(rows, found)));
