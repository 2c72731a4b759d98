// Making elements. Text is always text: nothing that comes from a server is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (["value", "checked", "disabled"].includes(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

export const h = (tag, attributes, ...children) => filled(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);

/** A table with a caption. columns: [title, row => cell]; what is told where there are no rows. */
export function table(caption, columns, rows, none = "There are none.") {
  if (!rows.length) return h("div", {}, h("p", { class: "caption" }, caption), h("p", { class: "none" }, none));
  const cell = (row, [, show], place) => h(place ? "td" : "th", place ? {} : { scope: "row" }, show(row) ?? "");
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {},
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, columns.map(([title]) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((column, place) => cell(row, column, place)))))));
}

export const button = (label, onclick, more = {}) => h("button", { type: "button", onclick, ...more }, label);

export const section = (title, ...children) => {
  const id = `h-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), children);
};

/** Tells something to those who see the page and to those who hear it. */
export function tell(text) {
  document.getElementById("told").textContent = text;
}

/** A date as it was written, without what is finer than the minute. */
export const when = (text) => (text ?? "").replace("T", " ").replace(/(:\d\d)(:\d\d(\.\d+)?)/, "$1");

export const number = (value) => (value === null || value === undefined ? "" : String(value));
