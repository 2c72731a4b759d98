// What the console asks of the service: the same addresses, rights and answers as any other client.

const BASE = new URL("../", import.meta.url);
// For as long as the page is open, and nowhere else: what is kept in the browser can be read by whoever comes next.
let token = "";

export const setToken = (given) => { token = given.trim(); };
export const hasToken = () => token !== "";
export const address = (path) => new URL(path, BASE).href;

/** What was refused. issues: those of the OperationOutcome, or one that says what there was instead. */
export class Refused extends Error {
  constructor(status, issues) {
    super(issues.map((each) => each.diagnostics).join(" "));
    this.status = status;
    this.issues = issues;
  }
}

/** The answer to a request; a body that is no text is sent as JSON. Throws Refused. */
export async function ask(path, { method = "GET", body, headers = {}, may = [] } = {}) {
  const type = typeof body === "string" ? "application/fhir+json" : "application/json";
  const sent = {
    ...(body === undefined ? {} : { "Content-Type": type }),
    ...(token ? { Authorization: `Bearer ${token}` } : {}),
    ...headers,
  };
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(address(path), { method, body: text, headers: sent });
  } catch {
    throw new Refused(0, [{ severity: "fatal", diagnostics: "The service cannot be reached." }]);
  }
  if (answer.ok || may.includes(answer.status)) return answer;
  const outcome = await answer.json().catch(() => null);
  const other = [{ severity: "fatal", diagnostics: `The service answered ${answer.status}.` }];
  throw new Refused(answer.status, outcome?.issue ?? other);
}

export const read = async (path, options) => (await ask(path, options)).json();

/** The rows of a ready table (docs/views.md) about one patient. */
export function rows(view, patient) {
  const parameter = [
    { name: "viewReference", valueReference: { reference: `ViewDefinition/${view}` } },
    { name: "patient", valueReference: { reference: `Patient/${patient}` } },
    { name: "_format", valueCode: "json" },
  ];
  const body = JSON.stringify({ resourceType: "Parameters", parameter });
  return read("fhir/$viewdefinition-run", { method: "POST", body, headers: { Accept: "application/json" } });
}

/** The page of the guide about a profile of ours; null for others. */
export function profilePage(canonical) {
  const found = /\/dermatome\/fhir\/StructureDefinition\/([A-Za-z0-9.-]+)/.exec(canonical);
  return found && address(`guide/StructureDefinition-${found[1]}.html`);
}
