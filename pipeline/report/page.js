// Tables: a search field hides rows, a heading sorts them.
for (const field of document.querySelectorAll("input[data-filter]")) {
  const rows = document.querySelectorAll(`#${field.dataset.filter} tbody tr`);
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}
for (const table of document.querySelectorAll("table.rows")) {
  table.querySelectorAll("thead th").forEach((th, column) => {
    const sorter = document.createElement("button");
    sorter.append(...th.childNodes);
    th.append(sorter);
    sorter.addEventListener("click", () => {
      const rising = th.getAttribute("aria-sort") !== "ascending";
      for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const text = row => row.cells[column].textContent.trim();
      const order = new Intl.Collator("en", { numeric: true }).compare;
      const rows = [...table.tBodies[0].rows].sort((a, b) => (rising ? 1 : -1) * order(text(a), text(b)));
      table.tBodies[0].append(...rows);
    });
  });
}

// A link into something folded opens it.
function unfold() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  if (target) target.scrollIntoView();
}
addEventListener("hashchange", unfold);
unfold();
