// Pain over time: a chart for each scale and one of treatments and events below, all with the same time axis.
// Scales are never put together: a point of one is no point of another.

import { h, number, when } from "./dom.js";
import { show } from "./resource.js";

// Okabe and Ito's palette can be told apart by the colour-blind; each line has marks of its own too.
const LIGHT = ["#0072b2", "#b34700", "#007a5a", "#9c3a7a", "#5a5a00", "#333333"];
const DARK = ["#56b4e9", "#e69f00", "#2fc79b", "#e79ac7", "#f0e442", "#dddddd"];
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
const LEFT = 56;
const LANE = 26;
const DAY = 86400;
const isDark = matchMedia("(prefers-color-scheme: dark)");

/** Seconds since 1970 of a date as it was written; the first moment of a day, month or year. */
export const moment = (text) => Date.parse(text.length < 10 ? `${text}-01`.slice(0, 10) : text) / 1000;

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const palette = () => (isDark.matches ? DARK : LIGHT);

/** The scores with a value and a time, by scale: [{title, isTenPoint, lines: [{label, score, rows}]}]. */
export function scales(scores) {
  const shown = scores.filter((row) => row.value !== null && row.effective && !row.comparator);
  const groups = new Map();
  for (const row of shown) {
    const own = row.is_intensity ? `Intensity (${row.unit === "{score}" ? "0 to 10" : row.unit})` : row.score_text;
    const lines = groups.get(own) ?? groups.set(own, new Map()).get(own);
    const place = [row.body_site_text, row.laterality].filter(Boolean).join(", ");
    const key = `${row.score} ${place}`;
    const line = lines.get(key) ?? lines.set(key, { text: row.score_text, place, score: row.score, rows: [] }).get(key);
    line.rows.push(row);
  }
  const isIntensity = ([title]) => !title.startsWith("Intensity");
  return [...groups].sort((one, other) => isIntensity(one) - isIntensity(other) || (one[0] < other[0] ? -1 : 1))
    .map(([title, lines]) => group(title, [...lines.values()]));
}

/** The place stands with each line where there are several, else with the title. */
function group(title, lines) {
  const places = [...new Set(lines.map((line) => line.place))];
  const label = (line) => (places.length > 1 ? `${line.text} – ${line.place || "no site"}` : line.text);
  return {
    title: places.length === 1 && places[0] ? `${title} – ${places[0]}` : title,
    isTenPoint: title.startsWith("Intensity (0 to 10)"),
    lines: lines.map((line) => ({ ...line, label: label(line) })),
  };
}

/** Draws everything into an element that is in the page, until the signal tells it to end.
 *
 * compared: answers the rows of the table `responses` whose baselines are shown. Answers what draws it again.
 */
export function draw(place, { scores, steps, compared, events, signal }) {
  const groups = scales(scores);
  const times = [
    ...groups.flatMap((group) => group.lines.flatMap((line) => line.rows.map((row) => moment(row.effective)))),
    ...steps.flatMap((step) => [step.started, step.stopped].filter(Boolean).map(moment)),
    ...events.map((event) => event.at),
  ].filter(Number.isFinite);
  if (!times.length) {
    place.replaceChildren(h("p", { class: "none" }, "Nothing has a date that could be drawn."));
    return () => {};
  }
  const margin = Math.max(7 * DAY, (Math.max(...times) - Math.min(...times)) * 0.03);
  const whole = [Math.min(...times) - margin, Math.max(...times) + margin];
  let charts = [];

  const moveAll = (chart) => {
    const { min, max } = chart.scales.x;
    for (const other of charts) {
      if (other !== chart && (other.scales.x.min !== min || other.scales.x.max !== max)) other.setScale("x", { min, max });
    }
  };
  const make = () => {
    for (const chart of charts) chart.destroy();
    charts = [];
    place.replaceChildren();
    const width = place.clientWidth;
    const parts = [
      ...groups.map((group) => (into) => scaleChart(into, group, compared(), { width, whole, moveAll })),
      (into) => laneChart(into, steps, events, { width, whole, moveAll }),
    ];
    for (const part of parts) {
      const figure = h("figure", {});
      place.append(figure);
      charts.push(part(figure));
    }
  };
  make();
  const size = new ResizeObserver(() => {
    if (Math.abs(place.clientWidth - (charts[0]?.width ?? 0)) > 1) make();
  });
  size.observe(place);
  isDark.addEventListener("change", make, { signal });
  signal.addEventListener("abort", () => { size.disconnect(); charts.forEach((chart) => chart.destroy()); });
  return make;
}

const axes = (height) => [
  { stroke: ink("--ink"), grid: { stroke: ink("--line") }, ticks: { stroke: ink("--line") }, size: 44 },
  { stroke: ink("--ink"), grid: { stroke: ink("--line") }, ticks: { stroke: ink("--line") }, size: LEFT, space: height / 6 },
];

function scaleChart(figure, group, responses, { width, whole, moveAll }) {
  const colours = palette();
  const all = [...new Set(group.lines.flatMap((line) => line.rows.map((row) => moment(row.effective))))].sort((a, b) => a - b);
  const at = group.lines.map((line) => new Map(line.rows.map((row) => [moment(row.effective), row])));
  const values = at.map((rows) => all.map((time) => rows.get(time)?.value ?? null));
  const most = Math.max(...values.flat().filter((value) => value !== null));
  const least = Math.min(0, ...values.flat().filter((value) => value !== null));
  const top = group.isTenPoint ? 10 : Math.ceil(most * 1.1) || 1;
  const cutoffs = [...new Set(group.lines.flatMap((line) => line.rows.map((row) => row.cutoff)))].filter((each) => each !== null);
  const own = responses.filter((row) => row.is_last && row.baseline !== null && group.lines.some((line) => line.score === row.score));
  figure.append(h("figcaption", {}, group.title));
  const chart = new window.uPlot({
    width, height: 240,
    cursor: { sync: { key: "time", setSeries: false }, focus: { prox: 24 } },
    scales: { x: { time: true, range: (_, min, max) => (min === null ? whole : [min, max]) }, y: { range: [least, top] } },
    axes: axes(240),
    series: [
      { label: "When" },
      ...group.lines.map((line, place) => ({
        label: line.label, stroke: colours[place % colours.length], width: 2, dash: DASHES[place % DASHES.length],
        spanGaps: true, points: { show: true, size: 8 }, value: (_, value) => number(value),
      })),
    ],
    hooks: {
      setScale: [(self, key) => key === "x" && moveAll(self)],
      draw: [(self) => {
        for (const cutoff of cutoffs) level(self, whole, cutoff, `cut-off ${cutoff}`, ink("--warn"), [2, 4]);
        for (const row of own) {
          const span = [moment(row.baseline_at), row.stopped ? moment(row.stopped) : whole[1]];
          const colour = colours[group.lines.findIndex((line) => line.score === row.score) % colours.length];
          for (const share of [30, 50]) level(self, span, row.baseline * (1 - share / 100), `−${share} %`, colour, [6, 3]);
        }
      }],
      ready: [(self) => self.over.addEventListener("click", () => {
        const row = nearest(self, at, all);
        if (row) show(`Observation/${row.id}`);
      })],
    },
  }, [all, ...values], figure);
  chart.setScale("x", { min: whole[0], max: whole[1] });
  return chart;
}

/** The score whose mark was meant: the nearest within reach. */
function nearest(chart, at, all) {
  const { idx, left, top } = chart.cursor;
  if (idx === null || idx === undefined) return null;
  const found = at.map((rows) => rows.get(all[idx])).filter(Boolean)
    .map((row) => [Math.hypot(chart.valToPos(all[idx], "x") - left, chart.valToPos(row.value, "y") - top), row]);
  found.sort((one, other) => one[0] - other[0]);
  return found[0]?.[0] < 24 ? found[0][1] : null;
}

function level(chart, [from, until], value, text, colour, dash) {
  const { ctx } = chart;
  const [x0, x1] = [from, until].map((time) => chart.valToPos(time, "x", true));
  const y = chart.valToPos(value, "y", true);
  const { left, top, width, height } = chart.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.setLineDash(dash.map((each) => each * devicePixelRatio));
  ctx.strokeStyle = colour;
  ctx.fillStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(x0, y);
  ctx.lineTo(x1, y);
  ctx.stroke();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "right";
  ctx.textBaseline = "bottom";
  ctx.fillText(text, Math.min(x1, left + width) - 4 * devicePixelRatio, y - 2 * devicePixelRatio);
  ctx.restore();
}

/** Treatments as bars, events as marks, each in a lane of its own. */
function laneChart(figure, steps, events, { width, whole, moveAll }) {
  const lanes = [
    ...steps.map((step) => ({
      label: [step.what, step.dose_text].filter(Boolean).join(", "),
      from: step.started ? moment(step.started) : null,
      until: step.stopped ? moment(step.stopped) : null,
      goesOn: !step.stopped && step.status === "active",
    })),
    ...events.map((event) => ({ label: event.label, from: event.at, until: event.at })),
  ].filter((lane) => lane.from !== null);
  const height = Math.max(2, lanes.length) * LANE + 60;
  figure.append(h("figcaption", {}, "Treatments and events"));
  const chart = new window.uPlot({
    width, height,
    cursor: { sync: { key: "time", setSeries: false }, y: false },
    legend: { show: false },
    scales: { x: { time: true, range: (_, min, max) => (min === null ? whole : [min, max]) }, y: { range: [0, Math.max(2, lanes.length)] } },
    axes: [axes(height)[0], { ...axes(height)[1], values: () => [], grid: { show: false }, ticks: { show: false } }],
    series: [{}, { label: "Lanes" }],
    hooks: {
      setScale: [(self, key) => key === "x" && moveAll(self)],
      draw: [(self) => lanes.forEach((lane, place) => bar(self, lane, lanes.length - place - 0.5, place, whole))],
    },
  }, [whole, [null, null]], figure);
  chart.setScale("x", { min: whole[0], max: whole[1] });
  return chart;
}

function bar(chart, lane, middle, place, whole) {
  const { ctx } = chart;
  const end = lane.until ?? (lane.goesOn ? whole[1] : lane.from);
  const [x0, x1] = [lane.from, end].map((time) => chart.valToPos(time, "x", true));
  const y = chart.valToPos(middle, "y", true);
  const unit = devicePixelRatio;
  const { left, top, width, height } = chart.bbox;
  const colour = palette()[place % palette().length];
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.globalAlpha = 0.25;
  ctx.fillStyle = colour;
  ctx.fillRect(x0, y - 10 * unit, Math.max(4 * unit, x1 - x0), 20 * unit);
  ctx.globalAlpha = 1;
  ctx.fillRect(x0, y - 10 * unit, 3 * unit, 20 * unit);
  ctx.fillStyle = ink("--ink");
  ctx.font = `${12 * unit}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  const text = lane.goesOn ? `${lane.label} →` : lane.label;
  // What begins near the right edge is named to its left.
  const size = ctx.measureText(text).width;
  const start = Math.max(x0, left) + 8 * unit;
  ctx.fillText(text, start + size > left + width ? Math.max(left + 4 * unit, x0 - size - 6 * unit) : start, y + 4 * unit);
  ctx.restore();
}

/** The same in words and numbers, for those who do not see the charts. */
export const spoken = (scores) => {
  const shown = scores.filter((row) => row.is_intensity && row.value !== null && row.effective);
  if (!shown.length) return "No intensity of pain is recorded.";
  const [first, last] = [shown[0], shown[shown.length - 1]];
  return `${shown.length} intensities, from ${first.value} (${first.score_text}, ${when(first.effective)}) to ` +
    `${last.value} (${last.score_text}, ${when(last.effective)}). Every one stands in the table of scores below.`;
};
