// Copy buttons: each names the element whose text it copies.
for (const button of document.querySelectorAll("[data-copy]")) {
  const label = button.textContent;
  const say = (text) => {
    button.textContent = text;
    setTimeout(() => { button.textContent = label; }, 2000);
  };
  button.addEventListener("click", async () => {
    const source = byId(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      say("Copied");
    } catch {
      // Without permission the text is selected, for the reader's own key.
      getSelection().selectAllChildren(source);
      say("Press Ctrl+C");
    }
  });
}
