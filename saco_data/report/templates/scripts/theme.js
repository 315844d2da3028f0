// Theme: the system's, until the reader chooses another.
const theme = byId("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
const showTheme = () => theme.setAttribute("aria-pressed", String(isDark()));
const askedTheme = remembered("saco-theme");
if (askedTheme) document.documentElement.dataset.theme = askedTheme;
theme.addEventListener("click", () => {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  remembered("saco-theme", next);
  showTheme();
});
system.addEventListener("change", showTheme);
showTheme();
