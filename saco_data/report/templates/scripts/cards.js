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
    let fitting = 0;
    for (const { node, data, text } of grid.cards) {
      const fits = (!want.subset || data.subset === want.subset) && (!want.state || data.state === want.state)
        && (!want.kind || data.kind === want.kind) && text.includes(want.text);
      if (fits) fitting += 1;
      node.hidden = !fits || fitting > grid.limit;
    }
    grid.more.hidden = fitting <= grid.limit;
    matching += fitting;
    all += grid.cards.length;
  }
  byId("s-cards").textContent = all === 0 ? "There is nothing to show yet."
    : matching === all ? `${number(all)} pictures, a sample.`
    : matching ? `${number(matching)} of ${number(all)} sampled pictures match.`
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
byId("masks").addEventListener("change", (event) => {
  document.body.classList.toggle("no-masks", !event.target.checked);
});
