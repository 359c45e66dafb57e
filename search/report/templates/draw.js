// Each plot is drawn when the reader comes near it, the page's first one at once, all of them for the printer.
const config = {displayModeBar: false, showTips: false, responsive: true};  // bar and tips would cover the title
const waiting = new Map([...document.querySelectorAll("script[data-plot]")].map(script =>
  [document.getElementById(script.dataset.plot), script]));

function draw(place) {
  const script = waiting.get(place);
  if (!script) return;
  waiting.delete(place);
  const {data, layout} = JSON.parse(script.textContent);
  Plotly.newPlot(place, data, layout, config);
}

const near = new IntersectionObserver(
  entries => entries.forEach(entry => entry.isIntersecting && draw(entry.target)), {rootMargin: "50%"});
const places = [...waiting.keys()];
if (places.length) draw(places[0]);
places.slice(1).forEach(place => near.observe(place));
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  places.forEach(draw);
  places.forEach(place => Plotly.relayout(place, {width: 680}));  // pixels that A4 and Letter leave
});
addEventListener("afterprint", () =>
  places.forEach(place => Plotly.relayout(place, {width: null, autosize: true})));
