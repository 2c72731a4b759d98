// Where it hurts: a figure from the front and from the back, marked by site and side.

import { read } from "./api.js";
import { h, s } from "./dom.js";

const MIDDLE = 60;
let places;

/** What there is to mark: [{code, text, laterality, what, is: "score" | "symptom" | "diagnosis"}]. */
export async function bodyMap(marks) {
  places ??= await read("console/body-map.json");
  const drawn = new Map();
  const listed = new Map();
  for (const mark of marks) {
    const where = [mark.text || "Site in words only", mark.laterality].filter(Boolean).join(", ");
    const words = listed.get(where) ?? listed.set(where, new Set()).get(where);
    words.add(mark.what);
    const place = places[mark.code];
    if (!place) continue;
    for (const [x, isSure] of sides(place, mark.laterality)) {
      drawn.set(`${place.view} ${x} ${place.y} ${mark.is}`, { ...place, x, isSure, is: mark.is, where });
    }
  }
  const view = (name, title) => s("svg", { viewBox: "0 0 120 262", role: "img", "aria-label": title },
    outline(), [...drawn.values()].filter((each) => each.view === name).map(dot),
    s("text", { x: 4, y: 12, class: "side" }, name === "front" ? "R" : "L"),
    s("text", { x: 110, y: 12, class: "side" }, name === "front" ? "L" : "R"));
  return h("div", { class: "body" },
    view("front", "The body from the front; the sites are listed beside it"),
    view("back", "The body from the back; the sites are listed beside it"),
    h("div", {},
      h("p", { class: "legend" }, "● score  ■ symptom  ▲ diagnosis; with a broken line: the side is not said"),
      listed.size
        ? h("dl", {}, [...listed].map(([where, words]) => [h("dt", {}, where), h("dd", {}, [...words].join("; "))]))
        : h("p", { class: "none" }, "No site is recorded.")));
}

/** Where a mark stands: (x, whether the side is said). The right side of a person is on the left seen from the front. */
function sides({ view, off }, laterality) {
  const right = view === "front" ? MIDDLE - off : MIDDLE + off;
  const left = 2 * MIDDLE - right;
  if (laterality === "midline" || off === 0) return [[MIDDLE, true]];
  if (laterality === "left") return [[left, true]];
  if (laterality === "right") return [[right, true]];
  return [[left, laterality === "bilateral"], [right, laterality === "bilateral"]];
}

const BESIDE = { score: 0, symptom: 6, diagnosis: -6 };

function dot({ x: middle, y, is, isSure, where }) {
  const x = middle + BESIDE[is];
  const attributes = { class: `mark ${is}${isSure ? "" : " unsure"}` };
  const title = s("title", {}, where);
  if (is === "symptom") return s("rect", { ...attributes, x: x - 5, y: y - 5, width: 10, height: 10 }, title);
  if (is === "diagnosis") return s("path", { ...attributes, d: `M${x} ${y - 9}l8 14h-16z` }, title);
  return s("circle", { ...attributes, cx: x, cy: y, r: 7 }, title);
}

const outline = () => s("g", { class: "outline" },
  s("circle", { cx: 60, cy: 18, r: 14 }),
  s("rect", { x: 53, y: 30, width: 14, height: 14, rx: 4 }),
  s("path", { d: "M36 46h48q8 2 9 12l9 74q1 10-5 10t-6-9l-9-62-3 0-3 58 2 30q4 40 2 88 4 8-2 10h-10q-4-2-2-10l-4-90h-4l-4 90q2 8-2 10h-10q-6-2-2-10-2-48 2-88l2-30-3-58h-3l-9 62q0 9-6 9t-5-10l9-74q1-10 9-12z" }));
