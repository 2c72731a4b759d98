// The sync board: how each target stands, what was refused, and what both sides changed.

import { ask, read } from "./api.js";
import { button, h, section, table, tell, when } from "./dom.js";
import { shows } from "./resource.js";

const SECONDS = 5;

export async function sync({ signal }) {
  const board = h("div", {});
  const details = h("div", { tabindex: "-1" });
  const look = async () => {
    const found = await Promise.all(["status", "dead-letters?_count=50", "conflicts?_count=50", "quarantine?_count=50"].map((each) => read(`sync/${each}`)));
    // What somebody is about to press must not be exchanged under the finger.
    if (!signal.aborted && !board.contains(document.activeElement)) board.replaceChildren(...shown(...found, act, open));
  };
  // Who only hears the button hears of what it is; who sees it sees the row.
  const act = (label, path, options, about = "") => button(label, async () => {
    try {
      await ask(`sync/${path}`, options);
      tell(`${label}: done.`);
    } catch (error) {
      tell(error.message);
    }
    document.activeElement?.blur();
    await look();
  }, about ? { "aria-label": `${label}: ${about}` } : {});
  const open = (one) => button(`Compare ${one.reference}`, async () => {
    details.replaceChildren(compared(await read(`sync/conflicts/${one.id}`), act));
    details.focus();
  });
  await look();
  const timer = setInterval(() => look().catch((error) => tell(error.message)), SECONDS * 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  return h("div", {}, h("h1", {}, "Sync"), h("p", { class: "hint" }, `Looks again every ${SECONDS} seconds.`), board, details);
}

function shown(status, dead, conflicts, quarantine, act, open) {
  return [
    section("Targets", table("How each target stands", [
      ["Target", (one) => [one.target, one.alarm && h("strong", { class: "bad" }, " alarm")]],
      ["Direction", (one) => one.direction ?? "no longer configured"],
      ["Pending", (one) => `${one.pending}${one.waiting ? `, ${one.waiting} wait for others` : ""}`],
      ["Lag", (one) => `${one.lag_seconds} s`],
      ["Dead letters", (one) => String(one.dead)],
      ["Conflicts", (one) => String(one.conflict)],
      ["Quarantine", (one) => String(one.quarantine)],
      ["Delivered", (one) => `${one.delivered}, last ${when(one.last_delivered_at) || "never"}`],
      ["Breaker", (one) => `${one.breaker}${one.paused ? ", paused" : ""}${one.backfilling ? ", backfilling" : ""}`],
      ["Last error", (one) => [when(one.last_error_at), one.last_error].filter(Boolean).join(" ")],
      ["Actions", (one) => [
        one.pull && act(`Read ${one.target} now`, `targets/${one.target}/pull`, { method: "POST" }),
        one.dead > 0 && act(`Send all of ${one.target} again`, `targets/${one.target}/replay`, { method: "POST" }),
      ]],
    ], status.targets, "There is no target. deploy/sync-targets.toml and POST /sync/targets make one.")),
    section("Dead letters", table("Refused for good", [
      ["Resource", (one) => shows(one.reference)],
      ["Target", (one) => one.target],
      ["Status", (one) => String(one.status ?? "")],
      ["Why", (one) => reason(one.reason)],
      ["Actions", (one) => [
        act("Send again", `dead-letters/${one.number}/replay`, { method: "POST" }, one.reference),
        act("Give up", `dead-letters/${one.number}`, { method: "DELETE" }, one.reference),
      ]],
    ], dead.items)),
    section("Conflicts", table("Changed on both sides", [
      ["Resource", (one) => shows(one.reference)],
      ["Target", (one) => one.target],
      ["Since", (one) => when(one.since)],
      ["Where", (one) => one.paths.map((each) => each.element).join(", ")],
      ["Actions", open],
    ], conflicts.items)),
    section("Quarantine", table("Came from a target and could not be kept", [
      ["Number", (one) => String(one.number)],
      ["Target", (one) => one.target],
      ["Resource", (one) => one.reference],
      ["Why", (one) => (one.issues ?? []).map((each) => each.diagnostics).join(" ") || one.reason],
      ["Actions", (one) => [
        act("Try again", `quarantine/${one.number}/retry`, { method: "POST" }, `number ${one.number}`),
        act("Give up", `quarantine/${one.number}`, { method: "DELETE" }, `number ${one.number}`),
      ]],
    ], quarantine.items)),
  ];
}

/** What a target said, in its words: those of its OperationOutcome where it sent one. */
function reason(text) {
  const told = [...(text ?? "").matchAll(/"diagnostics":"((?:[^"\\]|\\.)*)"/g)].map(([, words]) => JSON.parse(`"${words}"`));
  return told.length ? h("ul", {}, told.map((each) => h("li", {}, each))) : text;
}

/** Both versions beside each other, line by line where they differ. */
function compared(one, act) {
  const side = (title, version) => h("div", {}, h("h3", {}, title),
    h("pre", { tabindex: "0", "aria-label": title }, version?.resource ? JSON.stringify(version.resource, null, 2) : "Not there."));
  const decide = (resolution) => act(`Keep ${resolution}`, `conflicts/${one.id}`, { method: "POST", body: { resolution } });
  return section(`Conflict about ${one.reference}`,
    h("p", {}, "They differ in: ", h("code", {}, one.paths.map((each) => each.element).join(", "))),
    h("div", { class: "sides" }, side(`Ours, version ${one.ours.version}`, one.ours), side(`Theirs, at ${one.target}`, one.theirs)),
    h("p", { class: "actions" }, decide("ours"), decide("theirs")));
}
