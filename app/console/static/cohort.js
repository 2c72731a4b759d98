// What became of the pain of many patients: responders, with whom they are counted among.

import { read } from "./api.js";
import { h, s, table } from "./dom.js";

const FIELDS = [
  ["score", "Score, as nrs-average-7d"],
  ["window", "Window, as 12-weeks"],
  ["diagnosis", "Diagnosis, as diabetic-neuropathy"],
  ["from", "Treatments begun from"],
  ["until", "Treatments begun until"],
];

export async function cohort() {
  const results = h("div", { "aria-live": "polite" });
  const inputs = FIELDS.map(([name, label]) => [h("label", { for: name }, label), h("input", { id: name, name, autocomplete: "off" })]);
  const look = async (event) => {
    event?.preventDefault();
    const asked = new URLSearchParams(inputs.map(([, field]) => [field.name, field.value.trim()]).filter(([, value]) => value));
    try {
      results.replaceChildren(...shown(await read(`pain/cohort/outcomes?${new URLSearchParams([...asked, ["sql", "true"]])}`)));
    } catch (error) {
      results.replaceChildren(h("p", { class: "bad" }, error.message));
    }
  };
  await look();
  return h("div", {}, h("h1", {}, "Cohort"),
    h("form", { class: "grid", onsubmit: look }, inputs.map((pair) => h("div", {}, pair)), h("div", {}, h("button", {}, "Count"))),
    results);
}

function shown(found) {
  const told = `${found.score.label}, ${found.window.label}`;
  const first = (titles) => titles.map((name) => [name === "class" ? "Class" : "Diagnosis", (row) => row[name === "class" ? "class" : "diagnosis_label"] ?? "all"]);
  return [
    h("h2", {}, told),
    h("p", {}, found.total.suppressed
      ? `The whole has fewer than ${found.smallest_cell} courses or could give a small group away: it is not told.`
      : `${found.total.courses} courses of treatment, ${found.total.with_relief} with a relief that can be said.`),
    groups("By class of treatment", first(["class"]), found.by_class),
    groups("By diagnosis", first(["diagnosis"]), found.by_diagnosis),
    groups("By both", first(["class", "diagnosis"]), found.by_class_and_diagnosis),
    h("details", {}, h("summary", {}, "How this is counted"),
      h("dl", { class: "facts" }, Object.entries(found.methods).map(([name, text]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, text)])),
      h("pre", { tabindex: "0", "aria-label": "The statement the database was asked" }, found.sql)),
  ];
}

const groups = (title, columns, rows) => table(title, [
  ...columns,
  ["Courses", (row) => (row.suppressed ? "fewer than may be told" : String(row.courses))],
  ["With relief", (row) => count(row.with_relief)],
  ["Baseline missing", (row) => count(row.baseline_missing)],
  ["≥ 30 %", (row) => responders(row.responder_30, row.with_relief)],
  ["≥ 50 %", (row) => responders(row.responder_50, row.with_relief)],
  ["Median relief", (row) => (row.median_relief_percent ? `${row.median_relief_percent.median} % ${interval(row.median_relief_percent.interval)}` : "")],
], rows, "Nobody was counted.");

const count = (value) => (value === undefined || value === null ? "" : String(value));
const interval = (ends) => (ends ? `(${ends[0]} to ${ends[1]})` : "");

/** A share with its interval, as numbers and drawn on a line from 0 to 100. */
function responders(found, all) {
  if (!found) return "";
  const { percent, interval: ends } = found;
  return [
    `${found.responders} of ${all}: ${percent} % ${interval(ends)}`,
    s("svg", { viewBox: "0 0 104 10", class: "share", "aria-hidden": "true" },
      s("line", { x1: 2, x2: 102, y1: 5, y2: 5, class: "axis" }),
      s("line", { x1: 2 + Number(ends[0]), x2: 2 + Number(ends[1]), y1: 5, y2: 5, class: "interval" }),
      s("circle", { cx: 2 + Number(percent), cy: 5, r: 3 })),
  ];
}
