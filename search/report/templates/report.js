// The search's page: the plot's views, the design that a click or a budget chooses, and its layers.
const element = id => document.getElementById(id);
const plot = element("pareto"), phone = matchMedia("(max-width: 900px)");
const figures = {num_parameters: {data: plot.data, layout: plot.layout}};
const hoverTexts = plot.data.flatMap(trace => trace.hovertext ?? []);
for (const script of document.querySelectorAll("script[data-cost]")) {
  const figure = figures[script.dataset.cost] = JSON.parse(script.textContent);
  for (const trace of figure.data) {
    // A number is a text's place among those of the first figure.
    if (trace.hovertext) trace.hovertext = trace.hovertext.map(text => hoverTexts[text] ?? text);
  }
}

// What differs between a desk and a phone, and whether single runs are shown.
function fit() {
  const singles = plot.data.flatMap((trace, i) => trace.meta === "single" ? [i] : []);
  const shown = element("single-runs").checked, layout = plot.layout.meta[phone.matches ? "phone" : "desk"];
  Plotly.update(plot, singles.length ? {visible: shown} : {},
    {...structuredClone(layout), showlegend: shown && singles.length > 0}, singles.length ? singles : undefined);
}
phone.addEventListener("change", fit);
if (phone.matches) fit();

const catalogue = JSON.parse(document.getElementById("catalogue").textContent);
const designs = catalogue.designs.architecture.map((_, i) => {
  return Object.fromEntries(Object.entries(catalogue.designs).map(([key, column]) => [key, column[i]]));
});
const count = number => number.toLocaleString("en");
const percent = fraction => `${(100 * fraction).toFixed(2)} %`;

function node(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function accuracy(design) {
  if (design.test_accuracy_mean !== null) {
    const seeds = `${design.num_seeds} fresh seed${design.num_seeds === 1 ? "" : "s"}`;
    const intervals = design.intervals && `, 95 % intervals ${design.intervals}`;
    return `${percent(design.test_accuracy_mean)} on the test set, mean of ${seeds}${intervals}`;
  }
  if (design.val_accuracy !== null) {
    return `${percent(design.val_accuracy)} on the validation images, one run of the search`;
  }
  return "not known: not trained to the end";
}

// The side panel, and a ring around the design in the plot.
function show(design) {
  const states = {named: "a named design", front: "on the front", candidate: "a candidate"};
  element("design-choice").value = design.architecture;
  element("design-name").textContent = design.name ?? design.architecture;
  element("design-facts").replaceChildren(...[
    ["architecture", design.architecture],
    ["what it is", states[design.state] ?? `a candidate that ${design.state}`],
    ["parameters", `${count(design.num_parameters)}, ${count(design.weight_bytes)} bytes, ` +
      `${count(design.weight_bytes_int8)} in int8`],
    ["MACs", count(design.num_macs)],
    ["peak activations", `${count(design.peak_activation_bytes)} bytes, ` +
      `${count(design.peak_activation_bytes_int8)} in int8`],
    ["accuracy", accuracy(design)],
  ].flatMap(([term, text]) => [node("dt", term), node("dd", text)]));
  element("design-layers").replaceChildren(...design.layers.map(i => {
    const [name, shape, parameters, macs] = catalogue.layers[i], row = document.createElement("tr");
    const cells = [shape, parameters ? count(parameters) : "–", macs ? count(macs) : "–"];
    row.append(node("th", name, {scope: "row"}), ...cells.map(text => node("td", text, {class: "number"})));
    return row;
  }));
  const [least, most] = plot.layout.meta.errors;
  const ring = reached(design) === null ? [] : [{
    // A circle of pixels would do, but on a logarithmic axis Plotly drops its negative corners.
    type: "path", path: "M-14,0C-14,8 -8,14 0,14C8,14 14,8 14,0C14,-8 8,-14 0,-14C-8,-14 -14,-8 -14,0Z",
    xref: "x", yref: "y", xsizemode: "pixel", ysizemode: "pixel",
    xanchor: design[plot.layout.meta.cost], yanchor: Math.min(Math.max(100 * (1 - reached(design)), least), most),
    line: {color: "#cc79a7", width: 3},
  }];
  Plotly.relayout(plot, {shapes: ring});
  showFailures(design);
}

// The limits: each with its field, what it counts of a design, and its unit.
const limits = [
  ["budget-flash", "weight_bytes", "bytes of weights"],
  ["budget-ram", "peak_activation_bytes", "bytes of activations"],
  ["budget-macs", "num_macs", "MACs"],
].map(([id, cost, unit]) => ({field: element(id), cost, unit}));

function costOf(design, {cost}) {
  const isInt8 = element("budget-weights").value === "int8" && cost !== "num_macs";
  return design[isInt8 ? `${cost}_int8` : cost];
}

const reached = design => design.test_accuracy_mean ?? design.val_accuracy;

// Of the designs within all limits that fresh seeds have judged (else: that the search has), the one with the highest
// lower end of its interval; single runs all have the same number of seeds, so there the accuracy says as much.
// And the one with the fewest parameters among those that are as accurate but for one standard error of it.
function pick() {
  const set = limits.filter(({field}) => field.value !== "");
  const affordable = designs.filter(design => set.every(limit => costOf(design, limit) <= Number(limit.field.value)));
  const retrained = affordable.filter(design => design.test_accuracy_mean !== null);
  const judged = retrained.length ? retrained : affordable.filter(design => design.val_accuracy !== null);
  const worth = design => retrained.length ? design.test_accuracy_low ?? 0 : design.val_accuracy;
  const [best] = [...judged].sort((a, b) => worth(b) - worth(a) || a.num_parameters - b.num_parameters);
  const [simplest] = judged.filter(design => reached(design) >= (best.one_error_below ?? reached(best)))
    .sort((a, b) => a.num_parameters - b.num_parameters || reached(b) - reached(a));
  return {set, best, simplest};
}

// Says it, and answers with it.
function answer() {
  const {set, best, simplest} = pick(), said = element("budget-answer"), command = element("take-away");
  const within = set.length
    ? `within ${set.map(({field, unit}) => `${count(Number(field.value))} ${unit}`).join(", ")}` : "of any size";
  if (!best) {
    const known = designs.filter(design => reached(design) !== null);
    const least = limits.map(limit => `${count(Math.min(...known.map(it => costOf(it, limit))))} ${limit.unit}`);
    said.textContent = `No design ${within}: the least that one needs of each is ${least.join(", ")}.`;
    command.textContent = "";
    return null;
  }
  const isBest = !element("budget-simplest").checked, found = isBest ? best : simplest;
  const name = found.name ? `${found.name}, ${found.architecture}` : found.architecture;
  const costs = limits.map(limit => `${count(costOf(found, limit))} ${limit.unit}`).join(", ");
  said.replaceChildren(isBest ? `Best design ${within}: ` :
    `Simplest design ${within} and one standard error of the best, ${best.architecture}: `, node("strong", name),
    ` with ${count(found.num_parameters)} parameters, ${costs}; ${accuracy(found)}.`);
  command.textContent = command.dataset.command.replace("--design DESIGN", `--design ${found.architecture}`);
  return found;
}

function listen() {
  const choose = () => {
    const found = answer();
    if (found) show(found);
  };
  for (const {field} of limits) field.addEventListener("input", choose);
  for (const id of ["budget-weights", "budget-simplest"]) element(id).addEventListener("change", choose);
  const groups = {named: "named designs", front: "the front", candidate: "other candidates"};
  for (const state of [...Object.keys(groups), "stopped early", "diverged", "failed"]) {
    const own = designs.filter(design => design.state === state);
    const group = node("optgroup", "", {label: groups[state] ?? state});
    group.append(...own.map(design =>
      node("option", design.name ?? design.architecture, {value: design.architecture})));
    if (own.length) element("design-choice").append(group);
  }
  const byText = text => designs.find(design => design.architecture === text);
  element("design-choice").addEventListener("change", event => show(byText(event.target.value)));
  const click = event => {
    const design = byText(event.points[0].customdata);
    if (design) show(design);
  };
  plot.on("plotly_click", click);
  element("single-runs").addEventListener("change", fit);
  element("cost").addEventListener("change", event => {
    const {data, layout} = structuredClone(figures[event.target.value]);
    Plotly.react(plot, data, layout).then(() => { fit(); show(byText(element("design-choice").value)); });
  });
  for (const table of document.querySelectorAll("table.sortable")) {
    table.addEventListener("click", event => {
      const cells = [...(event.target.closest("tbody tr")?.cells ?? [])];
      const design = cells.map(cell => byText(cell.textContent)).find(Boolean);
      if (design) show(design);
    });
  }
  for (const limit of limits) limit.field.value = costOf(designs[0], limit);
  answer();
  show(designs[0]);
}
