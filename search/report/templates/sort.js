// Tables that a button in each heading sorts. What is absent, a dash, stays last.
for (const head of document.querySelectorAll(".sortable thead th")) {
  head.firstChild.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending", column = head.cellIndex;
    const body = head.closest("table").tBodies[0], numeric = head.classList.contains("number");
    const text = row => row.cells[column].textContent.trim();
    const number = row => text(row).startsWith("none") ? Infinity : parseFloat(text(row).replace(/[,<>\s]/g, ""));
    const order = (a, b) => numeric ? number(a) - number(b) : text(a).localeCompare(text(b));
    const absent = row => text(row) === "–";
    const absentLast = (a, b) => absent(a) - absent(b) || (up ? order(a, b) : order(b, a)) || 0;
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...[...body.rows].sort(absentLast));
  });
}
