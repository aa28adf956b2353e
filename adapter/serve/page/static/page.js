// What a page does beyond links and forms: plots, what is in a cell, completion, copying.

const LONGEST = 30000; // characters of an address
const DELAY = 200; // ms after which somebody has stopped typing, or rests on a cell

function later(act) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), DELAY);
  };
}

async function told(url, params) {
  const joint = url.includes("?") ? "&" : "?";
  try {
    return await (await fetch(`${url}${joint}${new URLSearchParams(params)}`)).json();
  } catch {
    return { fault: "No answer." };
  }
}

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

// Ids that begin as somebody types.
for (const input of document.querySelectorAll("[data-complete]")) {
  let last = 0;
  input.addEventListener("input", later(async () => {
    const number = ++last;
    const found = await told(input.dataset.complete, { typed: input.value });
    if (number !== last || !Array.isArray(found)) return;
    input.list.replaceChildren(...found.map(({ id, label }) => {
      const option = element("option", label);
      option.value = id;
      return option;
    }));
  }));
}

for (const range of document.querySelectorAll("input[type=range]")) {
  const output = range.parentElement.querySelector("output");
  range.addEventListener("input", () => { output.textContent = range.value; });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // to be copied by hand
      button.textContent = "Selected";
    }
  });
}

// An address has room for most vectors, and a form's body for all.
for (const form of document.querySelectorAll("form[method=get]")) {
  form.addEventListener("submit", () => {
    const { length } = String(new URLSearchParams(new FormData(form)));
    if (form.elements.vector && length > LONGEST) form.method = "post";
  });
}

for (const form of document.querySelectorAll("[data-busy]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    button.disabled = true;
    button.textContent = form.dataset.busy;
  });
}

// What is typical of a cell.
const cell = document.getElementById("cell");
let wanted = "";
async function showCell({ cells: url, search }, bucket) {
  if (bucket === wanted) return;
  wanted = bucket;
  const found = await told(url, { bucket });
  if (bucket !== wanted) return;
  if (!found.typical) {
    wanted = "";
    cell.replaceChildren(element("p", found.fault ?? found.error?.reason ?? "No answer."));
    return;
  }
  const list = element("ul", "", ...found.typical.map(({ id, label }) => {
    const link = element("a", "", element("bdi", id));
    link.href = `${search}${search.includes("?") ? "&" : "?"}${new URLSearchParams({ id })}`;
    return element("li", "", link, element("bdi", label ? ` ${label}` : ""));
  }));
  const documents = found.documents.toLocaleString("en");
  cell.replaceChildren(element("h3", `Bucket ${bucket}, ${documents} documents`), list);
}

const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(`--${name}`).trim();
// A specification names the page's colours; they are known here.
function coloured(value) {
  if (value === "quiet" || value === "lit" || value === "mark") return colour(value);
  if (Array.isArray(value)) return value.map(coloured);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, key === "values" ? one : coloured(one)]));
}

function draw(place) {
  place.specification ??= place.querySelector("script").textContent; // which drawing replaces
  const given = JSON.parse(place.specification);
  const text = colour("text");
  const line = colour("line");
  const config = {
    background: "transparent",
    font: "system-ui, sans-serif",
    axis: { labelColor: text, titleColor: text, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 13 },
    legend: { labelColor: text, titleColor: text, labelFontSize: 12, labelLimit: 400 },
    view: { stroke: line },
    mark: { color: colour("accent") },
    range: { category: [colour("accent"), colour("lit"), colour("soft"), colour("quiet")] },
  };
  const { spec } = vegaLite.compile({ ...coloured(given), config });
  const view = new vega.View(vega.parse(spec, null, { ast: true }), {
    expr: vega.expressionInterpreter,
    renderer: "canvas",
    container: place,
    hover: true,
  });
  if (place.dataset.cells) {
    const show = later((bucket) => showCell(place.dataset, bucket));
    view.addEventListener("pointerover", (_, item) => {
      if (item?.datum?.bucket) show(item.datum.bucket);
    });
  }
  return view.runAsync();
}

for (const place of document.querySelectorAll("[data-plot]")) draw(place);
for (const button of document.querySelectorAll("[data-cell]")) {
  const { dataset } = document.querySelector("[data-cells]");
  button.addEventListener("click", () => showCell(dataset, button.dataset.cell));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const place of document.querySelectorAll("[data-plot]")) draw(place);
});
