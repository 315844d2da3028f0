const byId = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en");
const element = (name, text, kind) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};
// Data in the page: gzipped JSON as base64 in a block that is not run.
const unpacked = async (id) => {
  const packed = Uint8Array.from(atob(byId(id).textContent), (char) => char.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
};
// Storage is refused to some pages that are opened from a file.
const remembered = (name, value) => {
  try {
    if (value !== undefined) localStorage.setItem(name, value);
    return localStorage.getItem(name);
  } catch {
    return value;
  }
};
