// The playground: paste a resource or a Bundle, see every issue at its line.

import { address, ask, profilePage } from "./api.js";
import { h, table, tell } from "./dom.js";

const EXAMPLE = {
  resourceType: "Observation",
  meta: { profile: ["https://w3id.org/dermatome/fhir/StructureDefinition/pain-intensity"] },
  status: "finl",
  code: { text: "Average pain, last 7 days" },
  subject: { reference: "Patient/example" },
  effectiveDateTime: "2026-05-01T25:00:00Z",
  valueInteger: "7",
};
const ORDER = ["fatal", "error", "warning", "information"];
const LINE = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line";

export async function validate({ signal }) {
  const results = h("div", { "aria-live": "polite" });
  const field = h("textarea", {
    id: "pasted", rows: "18", spellcheck: "false", value: JSON.stringify(EXAMPLE, null, 2),
    onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) check(event); },
  });
  const profile = h("input", { id: "profile", type: "url", placeholder: "https://…/StructureDefinition/…" });
  const check = async (event) => {
    event.preventDefault();
    const asked = profile.value.trim() ? `?profile=${encodeURIComponent(profile.value.trim())}` : "";
    const type = field.value.trimStart().startsWith("<") ? "application/fhir+xml" : "application/fhir+json";
    try {
      const headers = { "Content-Type": type, Accept: "application/fhir+json" };
      const answer = await ask(`fhir/$validate${asked}`, { method: "POST", body: field.value, headers, may: [400, 422] });
      const { issue } = await answer.json();
      if (!signal.aborted) results.replaceChildren(...shown(field.value, issue));
    } catch (error) {
      results.replaceChildren(h("p", { class: "bad" }, error.message));
    }
  };
  return h("div", {},
    h("h1", {}, "Validate"),
    h("p", {}, "Nothing of what is checked here is kept. The profiles that a resource claims are checked, and those of a Bundle's entries."),
    h("form", { onsubmit: check },
      h("label", { for: "pasted" }, "A resource or Bundle, as JSON or XML"), field,
      h("label", { for: "profile" }, "A further profile (optional)"), profile,
      h("p", { class: "actions" }, h("button", {}, "Validate"), h("span", { class: "hint" }, "or Ctrl and Enter"))),
    results);
}

function shown(text, issues) {
  const counts = ORDER.map((name) => [name, issues.filter((each) => each.severity === name).length]).filter(([, count]) => count);
  const isValid = !issues.some((each) => each.severity === "fatal" || each.severity === "error");
  const told = `${isValid ? "Valid" : "Not valid"}: ${counts.map(([name, count]) => `${count} ${name}`).join(", ") || "no issue"}.`;
  tell(told);
  const found = [...issues].sort((one, other) => ORDER.indexOf(one.severity) - ORDER.indexOf(other.severity));
  return [
    h("h2", {}, told),
    table("Issues", [
      ["Line", (each) => (line(each) ? h("a", { href: "#/validate", onclick: go(line(each)) }, line(each)) : "–")],
      ["Severity", (each) => h("span", { class: `severity ${each.severity}` }, each.severity)],
      ["Where", (each) => h("code", {}, each.expression?.[0] ?? "")],
      ["What", (each) => [each.diagnostics, details(each)]],
      ["Rule", (each) => rule(each)],
    ], found, "No issue was found."),
    lines(text, issues),
    profiles(text),
  ];
}

const extensions = (issue) => Object.fromEntries((issue.extension ?? [])
  .flatMap((each) => each.extension ?? []).map((each) => [each.url, each.valueString]));
const line = (issue) => issue.extension?.find((each) => each.url === LINE)?.valueInteger;

function details(issue) {
  const { expected, found, suggestion } = extensions(issue);
  const facts = [["Expected", expected], ["Found", found], ["Suggestion", suggestion]].filter(([, value]) => value);
  return facts.length ? h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])) : "";
}

function rule(issue) {
  const code = issue.details?.coding?.[0]?.code ?? "";
  return code.startsWith("np-") ? h("a", { href: address(`guide/rules.html#:~:text=${code}`) }, code) : h("code", {}, code);
}

const go = (number) => (event) => {
  event.preventDefault();
  const found = document.getElementById(`line-${number}`);
  found?.scrollIntoView({ block: "center" });
  found?.focus();
};

/** The text with every issue below its line; of a long one only the lines near issues. */
function lines(text, issues) {
  const all = text.split("\n");
  const at = new Map();
  for (const each of issues) {
    const number = line(each);
    if (number) (at.get(number) ?? at.set(number, []).get(number)).push(each);
  }
  const isNear = (number) => all.length <= 400 || [-2, -1, 0, 1, 2].some((off) => at.has(number + off));
  return h("ol", { class: "lines", "aria-label": "The text, with its issues" }, all.map((content, place) => {
    const number = place + 1;
    if (!isNear(number)) return null;
    const found = at.get(number) ?? [];
    return h("li", { value: String(number), id: `line-${number}`, tabindex: found.length ? "-1" : null, class: found.length ? "has" : null },
      h("code", {}, content || " "),
      found.map((each) => h("p", { class: `severity ${each.severity}` }, each.diagnostics)));
  }));
}

function profiles(text) {
  const found = [...new Set(text.match(/https?:\/\/[^"\s<>]+\/StructureDefinition\/[A-Za-z0-9.-]+/g) ?? [])]
    .map((name) => [name, profilePage(name)]).filter(([, page]) => page);
  return found.length ? h("p", {}, "In the guide: ", found.map(([name, page]) => [h("a", { href: page }, name.replace(/.*\//, "")), " "])) : "";
}
