// The resource behind a mark, as the service holds it.

import { profilePage, read } from "./api.js";
import { button, h } from "./dom.js";

/** A button that shows a resource. */
export const shows = (reference, label = reference) =>
  button(label, () => show(reference), { class: "plain", "aria-haspopup": "dialog" });

export async function show(reference) {
  const dialog = document.getElementById("dialog");
  let body;
  try {
    const resource = await read(`fhir/${reference}`);
    const pages = (resource.meta?.profile ?? []).map((each) => [each, profilePage(each)]);
    body = [
      h("ul", {}, pages.map(([name, page]) => h("li", {}, "Profile: ", page ? h("a", { href: page }, name) : name))),
      h("pre", { tabindex: "0", "aria-label": `${reference} as JSON` }, JSON.stringify(resource, null, 2)),
    ];
  } catch (error) {
    body = h("p", { class: "bad" }, error.message);
  }
  dialog.replaceChildren(
    h("h2", { id: "dialog-title" }, reference), h("div", {}, body),
    h("p", { class: "actions" }, button("Close", () => dialog.close(), { autofocus: true })));
  dialog.showModal();
}
