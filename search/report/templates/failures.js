// Which classes the design fails on that the page shows: its worst images, accuracy by class, confusion matrix.
const MOST_CLASSES = 50;  // in the matrix, which could not be looked over with more
const failures = JSON.parse(element("recorded-failures").textContent);

function showFailures(design) {
  if (!failures) return;
  const name = design.name ?? design.architecture, own = failures.designs[design.architecture];
  const {classes, counts, pictures} = failures;
  element("failures-shown").hidden = !own?.seeds;
  if (!own?.seeds) {
    element("failures-said").textContent = own ? `${name}: all its runs died.`
      : `${name} was not trained again, so no test image was shown to it. Choose a re-trained design above.`;
    return;
  }
  const wrong = own.confusion.filter(([i, j]) => i !== j).sort((a, b) => b[2] - a[2]);
  const total = wrong.reduce((sum, [, , number]) => sum + number, 0);
  const images = counts.reduce((sum, number) => sum + number, 0);
  const seeds = own.seeds === 1 ? "1 seed" : `${own.seeds} seeds`;
  const most = wrong.slice(0, 3).map(([i, j, number]) => `${classes[i]} taken for ${classes[j]} (${number})`).join(", ");
  element("failures-said").textContent = `${name}: ${count(total)} mistakes by ${seeds} on ${count(images)} test images` +
    (total ? `, most often ${most}. The most confident of them:` : ".");
  element("failures-worst").replaceChildren(...own.worst.map(([image, label, taken, confidence]) => {
    const figure = node("figure", ""), words = `${classes[label]} taken for ${classes[taken]}`;
    figure.append(
      node("img", "", {src: `data:image/webp;base64,${pictures[image]}`, alt: `Test image ${image}: ${words}`}),
      node("figcaption", `${words}, ${percent(confidence)}`));
    return figure;
  }));
  element("failures-classes").replaceChildren(...classes.map((text, i) => {
    const row = document.createElement("tr");
    row.append(node("th", text, {scope: "row"}), node("td", count(counts[i]), {class: "number"}),
      node("td", own.accuracy[i] || "–", {class: "number"}));
    return row;
  }));
  element("failures-confusion").hidden = classes.length > MOST_CLASSES;
  if (classes.length > MOST_CLASSES) return;
  const matrix = classes.map(() => classes.map(() => 0));
  for (const [i, j, number] of own.confusion) matrix[i][j] = number;
  element("failures-taken").replaceChildren(
    node("td", ""), ...classes.map(text => node("th", text, {scope: "col", class: "number"})));
  element("failures-matrix").replaceChildren(...matrix.map((counted, i) => {
    const row = document.createElement("tr"), sum = counts[i] * own.seeds;
    row.append(node("th", classes[i], {scope: "row"}), ...counted.map((number, j) => {
      // Mistakes are few: the root of their share makes them seen.
      const colour = i === j ? "86, 180, 233" : "213, 94, 0", share = sum ? number / sum : 0;
      const strength = (i === j ? 0.35 * share : Math.min(0.9 * Math.sqrt(share), 0.45)).toFixed(3);
      const cell = node("td", number ? count(number) : "", {class: "number"});
      if (number) cell.style.background = `rgba(${colour}, ${strength})`;
      return cell;
    }));
    return row;
  }));
}

if (designs.length) listen();
else for (const part of ["design", "picker", "failures"]) element(part).hidden = true;
