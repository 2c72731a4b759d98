"""The console does what it shows, for those who see it, hear it or use no mouse."""

import json
import os
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import HOSTILE, Looking, Scene

pytestmark = pytest.mark.browser
PLACES = ("patients", "patient", "validate", "sync", "exports", "cohort")
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# Where pictures are kept for people to look at; without it none are.
PICTURES = os.environ.get("PICTURES", "")


@pytest.mark.parametrize(
    "looking",
    [
        {"viewport": WIDE, "color_scheme": "light"},
        {"viewport": WIDE, "color_scheme": "dark"},
        {"viewport": PHONE, "color_scheme": "light"},
        {"viewport": PHONE, "color_scheme": "dark"},
    ],
    indirect=True,
    ids=["light", "dark", "phone", "dark phone"],
)
@pytest.mark.parametrize("place", PLACES)
async def test_every_page_can_be_used_by_everybody(
    looking: Looking, scene: Scene, place: str, request: pytest.FixtureRequest
) -> None:
    await looking.open(f"patient/{scene.patient}" if place == "patient" else place)
    if place == "validate":
        await looking.main.get_by_role("button", name="Validate").click()
        await looking.page.wait_for_selector(".lines")
    if place == "patient":
        await looking.page.wait_for_selector("canvas")

    assert await looking.violations() == []
    assert await looking.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if PICTURES:
        name = request.node.callspec.id.replace(" ", "-")
        await looking.page.screenshot(path=str(Path(PICTURES) / f"console-{name}.png"), full_page=True)


async def test_pain_over_time_stands_beside_what_was_done_about_it(looking: Looking, scene: Scene) -> None:
    await looking.open("patients")
    await looking.page.get_by_label("Name, or identifier").fill("course-1")
    await looking.page.keyboard.press("Enter")
    await looking.main.get_by_role("link", name="Ada Course").click()
    await looking.page.wait_for_selector("canvas")

    titles = await looking.page.locator("figcaption").all_inner_texts()
    scores = looking.page.get_by_role("region", name="Scores").locator("tbody tr")
    steps = looking.page.get_by_role("region", name="Steps of treatment").locator("tbody tr")
    assert [title.partition(" –")[0] for title in titles] == [
        "Intensity (0 to 10)",
        "DN4 score",
        "DN4-interview score",
        "Treatments and events",
    ]
    # Both ratings of each fortnight, and both scores of each DN4.
    assert await scores.count() == 18 * 2 + 2 * 2
    assert await steps.count() == 3
    assert await looking.page.get_by_label("Lines at 30 and 50").locator("option").all_inner_texts() == [
        "amitriptyline, from 2025-11-17",
        "duloxetine, from 2026-02-23",
        "no treatment",
    ]
    flow = await looking.page.locator("ol.flow .grade").all_inner_texts()
    assert flow == ["possible", "probable", "definite"]
    assert await looking.page.get_by_role("region", name="Findings of the rules").locator("tbody tr").count() > 0
    assert await looking.page.locator(".body circle.mark").count() == 2
    assert await looking.page.locator(".body rect.mark").count() == 1


# Where a day after the first stands on the axis of the charts, which goes on a little beyond the last event: today.
AT = """(_, [width, days]) => {
  const first = Date.parse("2025-11-03T08:30:00Z") / 1000, last = Date.now() / 1000;
  const margin = Math.max(7 * 86400, (last - first) * 0.03);
  return (margin + days * 86400) / (last - first + 2 * margin) * width;
}"""


async def test_a_mark_shows_its_resource_and_escape_closes_it(looking: Looking, scene: Scene) -> None:
    await looking.open(f"patient/{scene.patient}")
    await looking.page.wait_for_selector("canvas")
    box = await looking.page.locator(".u-over").first.bounding_box()
    assert box
    # The second average rating: of 8, as the first one, a fortnight later.
    first, second = [await looking.main.evaluate(AT, [box["width"], days]) for days in (0, 14)]
    assert second > first
    await looking.page.mouse.click(box["x"] + second, box["y"] + box["height"] * (1 - 8 / 10))
    await looking.page.wait_for_selector("dialog[open] pre")
    shown = json.loads(await looking.page.locator("dialog[open] pre").inner_text())
    await looking.page.keyboard.press("Escape")

    assert (shown["valueQuantity"]["value"], shown["effectiveDateTime"][:10]) == (8, "2025-11-17")
    assert await looking.page.locator("dialog[open]").count() == 0


async def test_a_resource_is_shown_by_keyboard(looking: Looking, scene: Scene) -> None:
    await looking.open(f"patient/{scene.patient}")
    first = looking.page.get_by_role("region", name="Steps of treatment").get_by_role("button").first
    await first.focus()
    await looking.page.keyboard.press("Enter")
    await looking.page.wait_for_selector("dialog[open] pre")

    shown = json.loads(await looking.page.locator("dialog[open] pre").inner_text())
    link = await looking.page.locator("dialog[open] a").first.get_attribute("href")
    await looking.page.keyboard.press("Enter")  # Close has the focus

    assert shown["resourceType"] == "MedicationRequest"
    assert link == f"{scene.base}/guide/StructureDefinition-pain-medication-request.html"
    assert await looking.page.locator("dialog[open]").count() == 0


async def test_every_issue_stands_at_its_line_until_it_is_mended(looking: Looking) -> None:
    await looking.open("validate")
    await looking.page.get_by_label("A resource or Bundle").press("Control+Enter")
    await looking.page.wait_for_selector(".lines")

    line = looking.page.locator(".lines li", has_text="finl").first
    assert "not in the value set observation-status" in await line.inner_text()
    assert await line.get_attribute("value") == "8"
    row = looking.page.get_by_role("region", name="Issues").locator("tr", has_text="dmt-binding-required")
    assert 'Did you mean the code "final"?' in await row.inner_text()
    assert await looking.page.get_by_role("link", name="pain-intensity").count() == 1

    await looking.page.get_by_label("A resource or Bundle").fill('{"resourceType": "Patient", "active": true}')
    await looking.main.get_by_role("button", name="Validate").click()
    await expect(looking.page.locator("main h2")).to_have_text(re.compile("^Valid:"))


async def test_what_is_no_resource_is_said(looking: Looking) -> None:
    await looking.open("validate")
    for text in ('{"resourceType": ', "<Patient", "words"):
        await looking.page.get_by_label("A resource or Bundle").fill(text)
        await looking.main.get_by_role("button", name="Validate").click()
        await expect(looking.page.locator("main h2")).to_have_text(re.compile("^Not valid"))
        await looking.page.locator("main h2").evaluate("one => one.remove()")
    looking.wrong.clear()  # the browser tells of every answer 400


async def test_what_was_refused_is_sent_again_and_conflicts_stand_side_by_side(looking: Looking, scene: Scene) -> None:
    await looking.open("sync")
    targets = looking.page.get_by_role("region", name="How each target stands")
    assert "partner" in await targets.inner_text()
    dead = looking.page.get_by_role("region", name="Refused for good")
    assert scene.refused in await dead.inner_text()
    assert "no Practitioner of that id is here" in await dead.inner_text()
    assert "gender" in await looking.page.get_by_role("region", name="Changed on both sides").inner_text()

    await looking.page.get_by_role("button", name=f"Send again: {scene.refused}").click()
    await expect(looking.page.locator("#told")).to_have_text("Send again: done.")

    await looking.page.get_by_role("button", name=f"Compare {scene.conflict}").click()
    sides = looking.page.locator(".sides pre")
    await expect(sides).to_have_count(2)
    assert [json.loads(each)["gender"] for each in await sides.all_inner_texts()] == ["unknown", "other"]
    await looking.page.get_by_role("button", name="Keep theirs").click()
    await expect(looking.page.get_by_role("region", name="Changed on both sides")).to_have_count(0)


async def test_an_export_is_begun_followed_and_taken(looking: Looking) -> None:
    await looking.open("exports")
    await looking.page.get_by_label("Types").fill("Patient")
    await looking.page.get_by_role("button", name="Begin an export").click()
    await looking.page.get_by_role("button", name=re.compile("Files of")).click(timeout=60_000)

    async with looking.page.expect_download() as download:
        await looking.page.get_by_role("link", name=re.compile(r"Patient \(3\)")).click()
    file = await (await download.value).path()
    assert len(Path(file).read_text("utf-8").splitlines()) == 3

    await looking.page.get_by_role("button", name=re.compile("^Give")).first.click()
    await expect(looking.page.get_by_text("There is no export job.")).to_be_visible()


async def test_responders_are_told_with_their_denominators(looking: Looking) -> None:
    await looking.open("cohort")
    await looking.page.get_by_label("Window").fill("any")
    await looking.page.get_by_role("button", name="Count").click()

    await expect(looking.page.locator("main h2").first).not_to_contain_text("12 weeks")
    row = looking.page.get_by_role("region", name="By class of treatment").locator("tr", has_text="snri")
    await expect(row).to_contain_text("1 of 1: 100 %")
    await looking.page.get_by_text("How this is counted").click()
    assert "SELECT" in (await looking.page.locator("details pre").inner_text()).upper()

    await looking.page.get_by_label("Window").fill("never")
    await looking.page.get_by_role("button", name="Count").click()
    await expect(looking.page.locator("p.bad")).to_be_visible()
    looking.wrong.clear()  # the browser tells of every answer 400


async def test_a_keyboard_reaches_the_content_first_and_every_page(looking: Looking) -> None:
    await looking.open("patients")
    await looking.page.keyboard.press("Tab")
    assert await looking.page.evaluate("document.activeElement.id") == "skip"
    await looking.page.keyboard.press("Enter")
    assert await looking.page.evaluate("document.activeElement.id") == "main"
    for name in ("Validate", "Sync", "Exports", "Cohort", "Patients"):
        await looking.page.get_by_role("link", name=name, exact=True).focus()
        await looking.page.keyboard.press("Enter")
        await expect(looking.page.locator("main h1")).to_have_text(name)
        assert await looking.page.title() == f"{name} – Dermatome console"


async def test_a_token_shows_what_it_is_good_for_and_nothing_else(looking: Looking, guarded: tuple[str, str]) -> None:
    looking.base, token = guarded
    await looking.open("patients")
    await expect(looking.page.locator("main h1")).to_have_text("A token is needed")

    await looking.page.get_by_role("button", name="Token").click()
    await looking.page.get_by_role("textbox", name="Token").fill(token)
    await looking.page.keyboard.press("Enter")
    await expect(looking.page.locator("main h1")).to_have_text("Patients")

    await looking.page.get_by_role("link", name="Sync", exact=True).click()
    await expect(looking.page.locator("main h1")).to_have_text("Not allowed")
    assert await looking.violations() == []
    kept = "[localStorage.length, sessionStorage.length, document.cookie]"
    assert await looking.page.evaluate(kept) == [0, 0, ""]
    looking.wrong.clear()  # the browser tells of every answer 401 and 403


async def test_what_is_stored_is_shown_as_text_and_never_run(looking: Looking) -> None:
    await looking.open("patients")
    await looking.main.get_by_role("link", name=HOSTILE).click()

    await expect(looking.page.locator("main h1")).to_have_text(HOSTILE)
    assert await looking.main.locator("img").count() == 0
    assert await looking.page.title() == f"{HOSTILE} – Dermatome console"
