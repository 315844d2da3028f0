// Filters: kept in the address, so that a link shows the same selection.
const filters = {};
for (const name of ["text", "subset", "state", "kind", "since", "there"]) {
  const field = byId(`f-${name}`);
  if (field) filters[name] = field;
}
const wanted = () => {
  const values = { text: "", subset: "", state: "", kind: "", since: "", there: "" };
  for (const [name, field] of Object.entries(filters)) values[name] = field.value.trim();
  values.text = values.text.toLowerCase();
  return values;
};
const readAddress = () => {
  const given = new URLSearchParams(location.search);
  for (const [name, field] of Object.entries(filters)) {
    field.value = given.get(name) || "";
    // A value that this page does not have filters nothing.
    if (field.selectedIndex === -1) field.value = "";
  }
};
const writeAddress = () => {
  const kept = new URLSearchParams();
  for (const [name, field] of Object.entries(filters)) if (field.value) kept.set(name, field.value);
  const query = kept.toString();
  try {
    history.replaceState(null, "", `${location.pathname}${query ? `?${query}` : ""}${location.hash}`);
  } catch { /* a page inside another document has no address of its own */ }
};
