// The search's page: the plot's views, the design that a click or a budget chooses, and its layers.
const element = id => document.getElementById(id);
const plot = element("pareto"), phone = matchMedia("(max-width: 900px)");
const figures = {num_parameters: {data: plot.data, layout: plot.layout}};
for (const script of document.querySelectorAll("script[data-cost]")) {
  figures[script.dataset.cost] = JSON.parse(script.textContent);
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
  const design = Object.fromEntries(Object.entries(catalogue.designs).map(([key, column]) => [key, column[i]]));
  return {...design, weight_bytes: design.num_parameters * catalogue.bytes_per_weight};
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
    const interval = design.test_accuracy_low === null ? ""
      : `, 95 % interval ${(100 * Math.max(design.test_accuracy_low, 0)).toFixed(2)} to ` +
        percent(Math.min(design.test_accuracy_high, 1));
    return `${percent(design.test_accuracy_mean)} on the test set, mean of ${seeds}${interval}`;
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
    ["parameters", `${count(design.num_parameters)}, ${count(design.weight_bytes)} bytes`],
    ["MACs", count(design.num_macs)],
    ["peak activations", `${count(design.peak_activation_bytes)} bytes`],
    ["accuracy", accuracy(design)],
  ].flatMap(([term, text]) => [node("dt", term), node("dd", text)]));
  element("design-layers").replaceChildren(...design.layers.map(i => {
    const [name, shape, parameters, macs] = catalogue.layers[i], row = document.createElement("tr");
    const cells = [shape, parameters ? count(parameters) : "–", macs ? count(macs) : "–"];
    row.append(node("th", name, {scope: "row"}), ...cells.map(text => node("td", text, {class: "number"})));
    return row;
  }));
  const reached = design.test_accuracy_mean ?? design.val_accuracy;
  const [least, most] = plot.layout.meta.errors;
  const ring = reached === null ? [] : [{
    // A circle of pixels would do, but on a logarithmic axis Plotly drops its negative corners.
    type: "path", path: "M-14,0C-14,8 -8,14 0,14C8,14 14,8 14,0C14,-8 8,-14 0,-14C-8,-14 -14,-8 -14,0Z",
    xref: "x", yref: "y", xsizemode: "pixel", ysizemode: "pixel",
    xanchor: design[plot.layout.meta.cost], yanchor: Math.min(Math.max(100 * (1 - reached), least), most),
    line: {color: "#cc79a7", width: 3},
  }];
  Plotly.relayout(plot, {shapes: ring});
}

// The most accurate design within a budget: by test accuracy where one was re-trained, else by validation accuracy.
function best(measure, budget) {
  const affordable = designs.filter(design => design[measure] <= budget);
  const by = ["test_accuracy_mean", "val_accuracy"].find(key => affordable.some(design => design[key] !== null));
  return affordable.filter(design => design[by] !== null && by)
    .sort((a, b) => b[by] - a[by] || a[measure] - b[measure])[0];
}

// Says it, and answers with it.
function answer() {
  const unit = element("budget-unit"), measure = unit.value, budget = Number(element("budget-number").value);
  const found = best(measure, budget), said = element("budget-answer");
  const within = `within ${count(budget)} ${unit.selectedOptions[0].textContent}`;
  if (!found) {
    const known = designs.filter(design => design.test_accuracy_mean !== null || design.val_accuracy !== null);
    const least = Math.min(...known.map(design => design[measure]));
    said.textContent = `No design ${within}: the smallest one needs ${count(least)}.`;
    element("take-away").textContent = "";
    return null;
  }
  const name = found.name ? `${found.name}, ${found.architecture}` : found.architecture;
  said.replaceChildren(`Best design ${within}: `, node("strong", name), ` with ${count(found[measure])}; ` +
    `${accuracy(found)}.`);
  const command = element("take-away");
  command.textContent = command.dataset.command.replace("--design DESIGN", `--design ${found.architecture}`);
  return found;
}

function listen() {
  const choose = () => {
    const found = answer();
    if (found) show(found);
  };
  const slider = element("budget-slider"), number = element("budget-number"), unit = element("budget-unit");
  const range = () => {
    const sizes = designs.map(design => design[unit.value]);
    return [Math.min(...sizes), Math.max(...sizes)].map(Math.log);
  };
  const slide = () => {  // the slider moves on a logarithmic scale, its words are the budget's
    const [low, high] = range();
    slider.value = Math.round(1000 * (Math.log(Number(number.value)) - low) / (high - low || 1));
    slider.setAttribute("aria-valuetext", `${count(Number(number.value))} ${unit.selectedOptions[0].textContent}`);
  };
  slider.addEventListener("input", () => {
    const [low, high] = range(), exact = Math.exp(low + slider.value / 1000 * (high - low));
    const step = 10 ** Math.max(Math.floor(Math.log10(exact)) - 2, 0);
    number.value = Math.ceil(exact / step) * step;
    slider.setAttribute("aria-valuetext", `${count(Number(number.value))} ${unit.selectedOptions[0].textContent}`);
    choose();
  });
  number.addEventListener("input", () => { slide(); choose(); });
  unit.addEventListener("change", () => {  // as much of the new unit as the reference takes
    number.value = designs[0][unit.value];
    slide();
    choose();
  });
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
  number.value = designs[0].num_parameters;
  slide();
  answer();
  show(designs[0]);
}

if (designs.length) listen();
else for (const part of ["design", "picker"]) element(part).hidden = true;
