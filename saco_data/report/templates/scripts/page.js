let timer = 0;
const apply = () => {
  writeAddress();
  showCards();
  if (rows) { search(); showRows(); }
};
const later = (wait) => { clearTimeout(timer); timer = setTimeout(apply, wait); };
const form = byId("filters");
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", () => later(120));
form.addEventListener("reset", () => later(0));
// Buttons elsewhere in the page that choose a filter: data-filter="since=1700000000".
for (const button of document.querySelectorAll("[data-filter]")) {
  button.addEventListener("click", () => {
    const given = new URLSearchParams(button.dataset.filter);
    for (const [name, value] of Object.entries(filters)) value.value = given.get(name) || "";
    apply();
    byId("h-files").scrollIntoView();
  });
}

readAddress();
showCards();
Promise.all([unpacked("packed"), readShapes]).then(([content]) => {
  rows = content;
  rows.lower = rows.texts.map((text) => text.toLowerCase());
  rows.lowerName = rows.name.map((text) => text.toLowerCase());
  apply();
  document.body.dataset.ready = "yes";
}).catch(() => { byId("s-rows").textContent = "This browser is too old to unpack the list of files."; });
