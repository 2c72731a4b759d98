// The console: which page is shown, the token, and what was refused.

import { hasToken, setToken } from "./api.js";
import { button, h, tell } from "./dom.js";
import { cohort } from "./cohort.js";
import { exports } from "./exports.js";
import { patient, patients } from "./patient.js";
import { sync } from "./sync.js";
import { validate } from "./validate.js";

// Each makes its content and, where it goes on looking, gives up when it is told so.
const PAGES = { patients, patient, validate, sync, exports, cohort };
const main = document.getElementById("main");
let leave = new AbortController();
let isFirst = true;

async function show() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  const [, name = "", ...rest] = (location.hash || "#/patients").slice(1).split("/");
  const page = PAGES[name.split("?")[0]] ?? patients;
  for (const link of document.querySelectorAll("nav a")) {
    const isHere = link.getAttribute("href") === `#/${name === "patient" ? "patients" : name}`;
    isHere ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  tell("Loading …");
  let content;
  try {
    content = await page({ id: decodeURIComponent(rest[0] ?? ""), signal });
  } catch (error) {
    content = refusal(error);
  }
  if (signal.aborted) return;
  main.replaceChildren(content);
  const title = main.querySelector("h1")?.textContent ?? "Console";
  document.title = `${title} – Dermatome console`;
  tell(`${title} is shown.`);
  // Who has just come begins at the top; who goes on, at what is new.
  if (!isFirst) main.focus({ preventScroll: true });
  isFirst = false;
  scrollTo(0, 0);
}

function refusal(error) {
  const issues = error.issues ?? [{ diagnostics: `This page failed: ${error.message}` }];
  const title = error.status === 401 ? "A token is needed" : error.status === 403 ? "Not allowed" : "Not shown";
  return h("div", {},
    h("h1", {}, title),
    h("ul", {}, issues.map((each) => h("li", {}, each.diagnostics ?? each.code))),
    error.status === 401 && h("p", {}, "Give one with the button Token, above."),
    button("Try again", show));
}

function askToken() {
  const dialog = document.getElementById("dialog");
  const field = h("input", { id: "token-field", type: "password", autocomplete: "off", spellcheck: "false" });
  const keep = (event) => {
    event.preventDefault();
    setToken(field.value);
    dialog.close();
    show();
  };
  dialog.replaceChildren(h("form", { onsubmit: keep },
    h("h2", { id: "dialog-title" }, "Access token"),
    h("p", {}, "Sent with every request of this page, and forgotten when the page is closed or loaded again."),
    h("label", { for: "token-field" }, hasToken() ? "Another token, or none" : "Token"), field,
    h("p", { class: "actions" }, h("button", {}, "Use it"), button("Cancel", () => dialog.close()))));
  dialog.showModal();
}

document.getElementById("token").addEventListener("click", askToken);
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", show);
show();
