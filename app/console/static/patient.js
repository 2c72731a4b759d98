// The patients, and the pain of one on one page.

import { ask, read, rows } from "./api.js";
import { bodyMap } from "./body.js";
import { button, h, number, section, table, when } from "./dom.js";
import { shows } from "./resource.js";
import { draw, moment, spoken } from "./timeline.js";

export async function patients({ signal }) {
  const found = h("div", {});
  const field = h("input", { id: "find", type: "search", autocomplete: "off" });
  const look = async (path) => {
    const bundle = await read(path);
    const link = (name) => bundle.link.find((each) => each.relation === name)?.url;
    const go = (name, label) => link(name) && button(label, () => look(new URL(link(name)).pathname.replace(/^.*\/fhir/, "fhir") + new URL(link(name)).search));
    const shown = (bundle.entry ?? []).map((entry) => entry.resource);
    if (signal.aborted) return;
    found.replaceChildren(
      table("Patients", [
        ["Patient", (one) => h("a", { href: `#/patient/${one.id}` }, named(one))],
        ["Identifier", (one) => (one.identifier ?? []).map((each) => each.value).filter(Boolean).join(", ")],
        ["Born", (one) => one.birthDate],
        ["Gender", (one) => one.gender],
      ], shown, "No patient was found."),
      h("p", { class: "actions" }, go("previous", "Back"), go("next", "Further")));
  };
  const search = async (event) => {
    event?.preventDefault();
    const text = field.value.trim();
    const by = text && (/\d/.test(text) ? `identifier=${encodeURIComponent(text)}` : `name=${encodeURIComponent(text)}`);
    try {
      await look(`fhir/Patient?_count=25${by ? `&${by}` : "&_sort=-_lastUpdated"}`);
    } catch (error) {
      found.replaceChildren(h("p", { class: "bad" }, error.message));
    }
  };
  await look("fhir/Patient?_count=25&_sort=-_lastUpdated");
  return h("div", {},
    h("h1", {}, "Patients"),
    h("form", { onsubmit: search, role: "search" },
      h("label", { for: "find" }, "Name, or identifier"), field, h("button", {}, "Find")),
    found);
}

function named(one) {
  const name = one.name?.[0];
  return name?.text || [...(name?.given ?? []), name?.family].filter(Boolean).join(" ") || one.id;
}

const VIEWS = ["pain-scores", "treatment-steps", "responses", "diagnoses", "symptoms", "guideline-findings", "nerve-tests"];

export async function patient({ id, signal }) {
  const [one, ...tables] = await Promise.all([read(`fhir/Patient/${encodeURIComponent(id)}`), ...VIEWS.map((view) => rows(view, id))]);
  const [scores, steps, responses, diagnoses, symptoms, findings, tests] = tables;
  scores.sort(by("effective"));
  steps.sort(by("started"));
  const pains = diagnoses.filter((each) => each.kind === "pain");
  const graded = await Promise.all(pains.map(grade));
  const chart = h("div", { class: "charts" });
  const events = [
    ...pains.filter((each) => each.recorded).map((each) => ({ label: `Diagnosis: ${each.diagnosis_text}`, at: moment(each.recorded) })),
    ...[...new Set(tests.filter((each) => each.effective).map((each) => `${each.effective.slice(0, 10)} ${each.examination}`))]
      .map((each) => ({ label: `Examination: ${each.slice(11)}`, at: moment(each.slice(0, 10)) })),
  ];
  const measured = steps.filter((step) => responses.some((row) => isOf(row, step) && row.baseline !== null));
  let chosen = measured[measured.length - 1];
  let again = () => {};
  const choose = (event) => {
    chosen = measured[Number(event.target.value)];
    again();
  };
  const compared = () => responses.filter((row) => chosen && isOf(row, chosen));
  // Charts need a place in the page: they are as wide as it.
  requestAnimationFrame(() => { if (!signal.aborted) again = draw(chart, { scores, steps, compared, events, signal }); });
  return h("div", {},
    h("h1", {}, named(one)),
    h("p", {}, [one.gender, one.birthDate && `born ${one.birthDate}`].filter(Boolean).join(", "), " ", shows(`Patient/${id}`, "Resource")),
    section("Pain over time", h("p", {}, spoken(scores)),
      h("p", { class: "hint" }, "A mark opens its resource. Draw across a chart to look closer; a double click shows everything again."),
      measured.length > 0 && [
        h("label", { for: "compared" }, "Lines at 30 and 50 percent less than the baseline of"),
        h("select", { id: "compared", onchange: choose }, measured.map((step, place) =>
          h("option", { value: String(place), selected: step === chosen }, `${step.what}, from ${when(step.started)}`)),
          h("option", { value: "-1" }, "no treatment")),
      ],
      chart, scoreTable(scores)),
    section("Where", await bodyMap(marks(scores, symptoms, pains))),
    section("Grade and evidence", graded.length ? graded : h("p", { class: "none" }, "No diagnosis with a grade is recorded.")),
    section("Treatment", stepTable(steps, responses), findingTable(findings, steps)));
}

const isOf = (row, step) => row.step_id === step.id && row.kind === step.kind;
const by = (name) => (one, other) => (one[name] ?? "").localeCompare(other[name] ?? "");
const place = (row) => [row.body_site_text, row.laterality].filter(Boolean).join(", ");

const scoreTable = (scores) => table("Scores", [
  ["When", (row) => when(row.effective)],
  ["Score", (row) => row.score_text],
  ["Value", (row) => (row.value === null ? `none: ${row.absent_text ?? row.absent_reason ?? ""}` : `${row.comparator ?? ""}${row.value}${row.unit === "mm" ? " mm" : ""}`)],
  ["Cut-off", (row) => (row.cutoff === null ? "" : `${row.cutoff}: ${row.positive ? "reached" : "not reached"}`)],
  ["Recall", (row) => row.recall],
  ["Where", place],
  ["Resource", (row) => shows(`Observation/${row.id}`)],
], [...scores].reverse(), "No score is recorded.");

function marks(scores, symptoms, diagnoses) {
  const mark = (is, what) => (row) => ({ code: row.body_site, text: row.body_site_text, laterality: row.laterality, what: what(row), is });
  const isSomewhere = (row) => row.body_site || row.body_site_text;
  return [
    ...scores.filter(isSomewhere).map(mark("score", (row) => row.score_text)),
    ...symptoms.filter((row) => row.present && isSomewhere(row)).map(mark("symptom", (row) => [row.symptom_text, row.severity].filter(Boolean).join(", "))),
    ...diagnoses.filter(isSomewhere).map(mark("diagnosis", (row) => row.diagnosis_text)),
  ];
}

const STEPS = {
  history: "History of a relevant lesion or disease",
  distribution: "Distribution is neuroanatomically plausible",
  signs: "Sensory signs in the same distribution",
  test: "Confirmatory test",
};
const said = (value) => (value === true ? "yes" : value === false ? "no" : value === null || value === undefined ? "not said" : String(value));

/** How the grade comes about, step by step, with the resources that each step rests on. */
async function grade(row) {
  const answer = await ask(`pain/diagnoses/${row.id}`, { may: [404, 409, 422] });
  const view = answer.ok ? await answer.json() : null;
  const codes = [row.snomed_code && `SNOMED CT ${row.snomed_code}`, row.icd_10_cm_code && `ICD-10-CM ${row.icd_10_cm_code}`, row.icd_11_code && `ICD-11 ${row.icd_11_code}`];
  const steps = view?.steps?.map((step) => h("li", { class: step.reached ? "reached" : "" },
    h("strong", {}, STEPS[step.step] ?? step.step), h("br"), said(step.value),
    step.reached && h("span", { class: "grade" }, step.reached),
    step.evidence.map((each) => [" ", shows(each)])));
  return h("article", {},
    h("h3", {}, row.diagnosis_text, ": ", h("span", { class: "grade" }, row.grade ?? "no grade")),
    h("p", {}, [...codes.filter(Boolean), place(row), row.clinical_status].filter(Boolean).join(" · "), " ", shows(`Condition/${row.id}`)),
    steps ? h("ol", { class: "flow" }, steps) : h("p", { class: "none" }, "It was not recorded with its evidence here; the resource says what there is."),
    row.grade_id && h("p", {}, "The inputs: ", shows(`Observation/${row.grade_id}`)));
}

const KINDS = { medicine: "MedicationRequest", therapy: "ServiceRequest", device: "DeviceRequest" };

function stepTable(steps, responses) {
  const relief = (step) => responses.filter((row) => row.is_last && isOf(row, step) && row.score)
    .map((row) => (row.relief_percent === null ? `${row.score}: ${row.reason}` : `${row.score}: ${row.baseline} to ${row.follow_up}, ${Math.round(row.relief_percent)} %`));
  return table("Steps of treatment", [
    ["What", (row) => [row.what, row.dose_text].filter(Boolean).join(", ")],
    ["Class", (row) => [row.class, row.tier_text].filter(Boolean).join("; ")],
    ["Began", (row) => when(row.started)],
    ["Ended", (row) => [when(row.stopped), row.why_stopped].filter(Boolean).join(", ")],
    ["Status", (row) => row.outcome ?? row.status],
    ["Relief", (row) => h("ul", {}, relief(row).map((each) => h("li", {}, each)))],
    ["Resources", (row) => [shows(`${KINDS[row.kind]}/${row.id}`), row.plan_id && [" ", shows(`CarePlan/${row.plan_id}`)]]],
  ], steps, "No treatment is planned or ordered.");
}

const SEVERITY = { high: "blocks", moderate: "warns", low: "informs" };

const findingTable = (findings, steps) => table("Findings of the rules", [
  ["Rule", (row) => `${row.rule} ${row.rule_text ?? ""}`],
  ["Weight", (row) => (row.data_needed ? `lacks ${row.data_needed}` : SEVERITY[row.severity] ?? row.severity)],
  ["Says", (row) => row.message],
  ["About", (row) => steps.find((step) => step.id === row.medicine_request_id)?.what ?? (row.plan_id ? "the plan" : "")],
  ["State", (row) => (row.overridden ? `gone ahead ${when(row.overridden_on)}` : number(row.status))],
  ["Rests on", (row) => [row.citation, row.citation_year].filter(Boolean).join(", ")],
  ["Resource", (row) => shows(`DetectedIssue/${row.id}`)],
], findings.filter((row) => row.status !== "cancelled"), "No rule was raised.");
