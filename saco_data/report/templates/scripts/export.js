// The filtered list as CSV (RFC 4180).
const field = (value) => {
  let text = String(value ?? "");
  // A spreadsheet takes these for formulas, and names come from outside.
  if (/^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const csvOf = (rows, chosen) => {
  const texts = (list) => list.map((index) => rows.texts[index]).join("; ");
  const lines = [["subset", "file", "state", "reason", "detail", "bytes", "positive phrases", "negative phrases", "source"]];
  for (const row of chosen) {
    const [reason, state] = rows.reasons[rows.reason[row]];
    lines.push([rows.subsets[rows.subset[row]], rows.name[row], state, reason, rows.texts[rows.detail[row]],
      rows.bytes[row], texts(rows.positive[row]), texts(rows.negative[row]), rows.origin[row]]);
  }
  return lines.map((line) => line.map(field).join(",")).join("\r\n") + "\r\n";
};
const save = (name, text) => {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};
