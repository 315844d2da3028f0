// A picture opened large: its masks are drawn here, so that each can be seen alone.
const COLOURS = [[230, 159, 0], [86, 180, 233], [204, 121, 167], [0, 158, 115], [240, 228, 66], [213, 94, 0], [0, 114, 178]];
const viewer = byId("viewer");
const picture = element("img");
picture.id = "v-picture";
const layer = element("img");
layer.alt = "";
const canvas = element("canvas");
canvas.id = "v-canvas";
canvas.setAttribute("role", "img");
byId("v-frame").append(picture, layer, canvas);
let shapes = null;
let openCard = null;

const inside = (runs, size) => {
  const mask = new Uint8Array(size);
  let at = 0;
  runs.forEach((length, index) => {
    if (index % 2) mask.fill(1, at, at + length);
    at += length;
  });
  return mask;
};
const paint = (image, mask, width, colour, fill) => {
  for (let at = 0; at < mask.length; at += 1) {
    if (!mask[at]) continue;
    const column = at % width;
    const isEdge = column === 0 || column === width - 1 || !mask[at - 1] || !mask[at + 1]
      || !mask[at - width] || !mask[at + width];
    const alpha = isEdge ? 255 : fill;
    if (!alpha) continue;
    [image.data[4 * at], image.data[4 * at + 1], image.data[4 * at + 2]] = colour;
    image.data[4 * at + 3] = alpha;
  }
};
const chosenShapes = () => {
  const all = (shapes && shapes[openCard.dataset.at]) || [];
  const only = byId("v-instance").value;
  return [...all.entries()].filter(([at]) => only === "" || String(at) === only);
};
const drawShapes = () => {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  const image = context.createImageData(width, height);
  const fill = Math.round(255 * Number(byId("v-opacity").value) / 100);
  const drawn = chosenShapes();
  for (const [at, [runs]] of drawn) paint(image, inside(runs, width * height), width, COLOURS[at % COLOURS.length], fill);
  context.putImageData(image, 0, 0);
  if (byId("v-boxes").checked) {
    context.lineWidth = 1;
    for (const [at, [, box]] of drawn) {
      if (!box) continue;
      context.strokeStyle = `rgb(${COLOURS[at % COLOURS.length]})`;
      context.strokeRect(box[0] * width, box[1] * height, box[2] * width, box[3] * height);
    }
  }
  canvas.setAttribute("aria-label", `${drawn.length} masks drawn`);
};
const showCard = (card) => {
  openCard = card;
  const [from, over] = card.querySelectorAll("img");
  picture.src = from.src;
  picture.alt = from.alt;
  // The size in pixels that masks refer to, not the size on the screen.
  const [width, height] = ["width", "height"].map((name) => Number(from.getAttribute(name)));
  canvas.width = width;
  canvas.height = height;
  byId("v-frame").style.aspectRatio = `${width} / ${height}`;
  byId("v-frame").style.setProperty("--ratio", width / height);
  byId("v-title").textContent = card.querySelector(".phrase").textContent;
  byId("v-file").textContent = card.querySelector(".file").textContent;
  const all = shapes[card.dataset.at] || [];
  // Strips of videos have their masks as one layer.
  const isStrip = !all.length && Boolean(over);
  layer.hidden = !isStrip;
  if (isStrip) layer.src = over.src;
  byId("v-tools").hidden = !all.length;
  const count = Number(card.dataset.masks);
  byId("v-note").textContent = all.length < count && !isStrip ? `${number(all.length)} of ${number(count)} masks can be shown.` : "";
  const choice = byId("v-instance");
  const options = [new Option(`All ${all.length}`, ""), ...all.map((_, at) => new Option(`${at + 1} of ${all.length}`, String(at)))];
  choice.replaceChildren(...options);
  drawShapes();
};
const visibleCards = () => [...document.querySelectorAll(".card:not([hidden])")];
const step = (by) => {
  const cards = visibleCards();
  const next = cards[cards.indexOf(openCard) + by];
  if (next) showCard(next);
};
const stepInstance = (by) => {
  const choice = byId("v-instance");
  const count = choice.options.length;
  choice.selectedIndex = (choice.selectedIndex + by + count) % count;
  drawShapes();
};
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-open]");
  if (!button || !shapes) return;
  showCard(button.closest(".card"));
  viewer.showModal();
});
viewer.addEventListener("keydown", (event) => {
  if (event.target.matches("input[type=range], select")) return;
  const keys = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), ArrowUp: () => stepInstance(-1), ArrowDown: () => stepInstance(1) };
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
});
viewer.addEventListener("close", () => openCard.querySelector("[data-open]").focus());
byId("v-close").addEventListener("click", () => viewer.close());
byId("v-previous").addEventListener("click", () => step(-1));
byId("v-next").addEventListener("click", () => step(1));
byId("v-before").addEventListener("click", () => stepInstance(-1));
byId("v-after").addEventListener("click", () => stepInstance(1));
byId("v-tools").addEventListener("input", drawShapes);
const readShapes = unpacked("shapes").then((content) => { shapes = content; });
