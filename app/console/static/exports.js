// Export jobs: begin one, see how far each is, take its files.

import { address, ask, hasToken, read } from "./api.js";
import { button, h, section, table, tell, when } from "./dom.js";

const SECONDS = 2;

export async function exports({ signal }) {
  const list = h("div", {});
  const details = h("div", { tabindex: "-1" });
  const types = h("input", { id: "types", placeholder: "Patient,Observation", autocomplete: "off" });
  const look = async () => {
    const { items } = await read("exports");
    if (!signal.aborted && !list.contains(document.activeElement)) list.replaceChildren(jobs(items, look, details));
  };
  const begin = async (event) => {
    event.preventDefault();
    const asked = types.value.trim() ? `?_type=${encodeURIComponent(types.value.trim())}` : "";
    try {
      await ask(`fhir/$export${asked}`, { headers: { Prefer: "respond-async", Accept: "application/fhir+json" } });
      tell("The export has begun.");
      await look();
    } catch (error) {
      tell(error.message);
    }
  };
  await look();
  const timer = setInterval(() => look().catch((error) => tell(error.message)), SECONDS * 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  return h("div", {},
    h("h1", {}, "Exports"),
    h("form", { onsubmit: begin },
      h("label", { for: "types" }, "Types, with commas between them; empty: all"), types, h("button", {}, "Begin an export")),
    list, details);
}

function jobs(items, look, details) {
  const end = (one) => button(one.state === "complete" ? `Give ${one.id} up` : `Call ${one.id} off`, async () => {
    await ask(`exports/${one.id}`, { method: "DELETE" }).catch((error) => tell(error.message));
    document.activeElement?.blur();
    await look();
  });
  return table("Export jobs, newest first", [
    ["Job", (one) => h("code", {}, one.id)],
    ["Asked for", (one) => when(one.requested_at)],
    ["State", (one) => [one.state, one.reason && h("p", { class: "bad" }, one.reason)]],
    ["Progress", (one) => [
      h("progress", { max: String(one.total || 1), value: one.state === "complete" ? one.total || 1 : one.done, "aria-label": `Progress of ${one.id}` }),
      ` ${one.done} of ${one.total || "?"}`]],
    ["Kept until", (one) => when(one.expires_at)],
    ["Actions", (one) => [one.state === "complete" && button(`Files of ${one.id}`, () => files(one, details)), end(one)]],
  ], items, "There is no export job.");
}

async function files(one, place) {
  const manifest = await read(`exports/${one.id}`);
  const every = [...manifest.output, ...(manifest.deleted ?? []), ...(manifest.error ?? [])];
  const name = (file) => `${file.type ?? file.name} (${file.count ?? ""}): ${file.url.split("/").pop()}`;
  // A link sends no token. With one the file is fetched first, and held in memory.
  const fetched = (file) => button(name(file), async () => {
    const url = URL.createObjectURL(await (await ask(new URL(file.url).pathname)).blob());
    h("a", { href: url, download: file.url.split("/").pop() }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  });
  const linked = (file) => h("a", { href: address(`exports/${one.id}/${file.url.split("/").pop()}`), download: true }, name(file));
  place.replaceChildren(section(`Files of ${one.id}`, h("ul", {}, every.map((file) => h("li", {}, hasToken() ? fetched(file) : linked(file))))));
  place.focus();
}
