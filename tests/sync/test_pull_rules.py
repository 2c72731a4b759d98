"""Pull, the parts that decide: what a page holds, what a version means, where a window begins and ends."""

import json
from typing import Any

import pytest

from app.fhir import json as lossless
from app.fhir.outcomes import Refused
from app.routers.sync_notifications import is_told
from app.store.ledger import Held
from app.store.repository import Stored
from app.store.tables import Pull
from app.sync.capabilities import Plan, plan
from app.sync.conflicts.likeness import SYNC_ID
from app.sync.pull.incoming import business_identifiers, is_record, link_here, localised, made_id, own_id
from app.sync.pull.job import next_read
from app.sync.pull.judging import Seen, Verdict, is_old, judged
from app.sync.pull.pages import Incoming, Page, UnusablePage, read_page
from app.sync.pull.windows import (
    begun,
    changed,
    conditions,
    ended,
    failed,
    has_changed,
    in_order,
    mode_of,
    moved,
    path_and_pairs,
    reads,
)
from tests.sync.pulling import Partner

BASE = "https://partner.test/fhir"
MINUTE = 60_000_000


def came(tree: dict[str, Any], version: str = "1") -> Incoming:
    return Incoming(tree["resourceType"], tree.get("id", "x"), version, 5, lossless.dumps(tree))


def here(key: tuple[str, str]) -> str:
    return f"{key[0]}/ours-{key[1]}"


HELD = Held("Patient", "p", 3, remote_id="p", remote_version="7", remote_updated=100)
GONE = Held("Patient", "p", 3, deleted=True, remote_id="p", remote_version="7", remote_updated=100)


def current(version: int, *, deleted: bool = False) -> Stored:
    return Stored("Patient", "p", version, "PUT", 0, None if deleted else b"{}")


@pytest.mark.parametrize(
    ("seen", "held", "now", "is_here_base", "verdict"),
    [
        pytest.param(Seen("8", 200, False), None, None, False, Verdict.WRITE, id="new there"),
        pytest.param(Seen("8", 200, True), None, None, False, Verdict.NOTE, id="deleted, never here"),
        pytest.param(Seen("8", 200, True), None, current(1), False, Verdict.NOTE, id="deleted there, ours is another"),
        pytest.param(Seen("8", 200, False), HELD, current(3), False, Verdict.WRITE, id="changed there only"),
        pytest.param(Seen("8", 200, True), HELD, current(3), False, Verdict.WRITE, id="deleted there only"),
        pytest.param(Seen("8", 200, False), HELD, current(5), True, Verdict.WRITE, id="changed here and back"),
        pytest.param(Seen("8", 200, False), HELD, current(5), False, Verdict.SETTLE, id="changed on both sides"),
        pytest.param(Seen("8", 200, True), HELD, current(5), False, Verdict.SETTLE, id="deleted there, changed here"),
        pytest.param(
            Seen("8", 200, False, 5), HELD, current(5), False, Verdict.NOTE, id="the answer to our push is lost"
        ),
        pytest.param(Seen("8", 200, False, 4), HELD, current(5), False, Verdict.STEP, id="and we went on meanwhile"),
        pytest.param(Seen("8", 200, False), None, current(1), False, Verdict.SETTLE, id="never agreed"),
        pytest.param(Seen("8", 200, False, 1), None, current(1), False, Verdict.NOTE, id="both have it already"),
        pytest.param(Seen("8", 200, False), GONE, current(3, deleted=True), False, Verdict.WRITE, id="there again"),
        pytest.param(
            Seen("8", 200, False), HELD, current(4, deleted=True), False, Verdict.SETTLE, id="deleted here only"
        ),
        pytest.param(
            Seen("8", 200, False, 3), HELD, current(4, deleted=True), False, Verdict.STEP, id="deletion on its way"
        ),
        pytest.param(
            Seen("8", 200, True, 4), HELD, current(4, deleted=True), False, Verdict.NOTE, id="deleted on both"
        ),
    ],
)
def test_what_a_version_means(
    seen: Seen, held: Held | None, now: Stored | None, is_here_base: bool, verdict: Verdict
) -> None:
    assert judged(seen, held, now, is_here_base=is_here_base) is verdict


@pytest.mark.parametrize(
    ("seen", "newest_first", "is_it"),
    [
        (Seen("7", 100, False), False, True),
        (Seen("6", 900, False), False, True),  # the target's clock was set back
        (Seen("8", 50, False), False, False),
        (Seen("a", 99, False), False, True),
        (Seen("a", 100, False), False, False),  # two writes in one instant
        (Seen("a", 100, False), True, True),
        (Seen("", 0, False), False, False),
    ],
)
def test_which_version_is_older(seen: Seen, newest_first: bool, is_it: bool) -> None:
    assert is_old(seen, HELD, newest_first=newest_first) is is_it


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ("Patient/a", "Patient/ours-a"),
        (f"{BASE}/Patient/a", "Patient/ours-a"),
        ("Patient/a#part", "Patient/ours-a#part"),
        # Their third version is another one than ours.
        ("Patient/a/_history/3", f"{BASE}/Patient/a/_history/3"),
        (f"{BASE}/Patient/a/_history/3", f"{BASE}/Patient/a/_history/3"),
        ("https://elsewhere.test/fhir/Patient/a", "https://elsewhere.test/fhir/Patient/a"),
        ("#contained", "#contained"),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
    ],
)
def test_what_a_link_of_the_targets_is_here(link: str, becomes: str) -> None:
    assert link_here(link, BASE, here) == becomes


def test_what_is_kept_is_what_came_but_for_ids_origin_and_our_own_marks() -> None:
    text = (
        b'{"resourceType":"Observation","id":"o","meta":{"versionId":"4","source":"#x","profile":["p"],'
        b'"tag":[{"system":"' + SYNC_ID.encode() + b'","code":"Observation/ours"}]},'
        b'"identifier":[{"system":"' + SYNC_ID.encode() + b'","value":"Observation/ours"},{"value":"k"}],'
        b'"subject":{"reference":"Patient/a"},"valueQuantity":{"value":7.50}}'
    )

    made = localised(Incoming("Observation", "o", "4", 5, text), "ours", BASE, here)

    assert b"7.50" in made
    tree = json.loads(made)
    assert tree["meta"] == {"source": f"{BASE}/Observation/o", "profile": ["p"]}
    assert (tree["id"], tree["identifier"]) == ("ours", [{"value": "k"}])
    assert tree["subject"] == {"reference": "Patient/ours-a"}


@pytest.mark.parametrize("text", [b'{"id":"a","id":"b"}', b"[]", b'{"a":"\\u0000"}'])
def test_what_cannot_be_kept_as_it_is_is_refused(text: bytes) -> None:
    with pytest.raises(Refused):
        localised(Incoming("Patient", "a", "1", 0, text), "a", BASE, here)


def test_by_what_a_resource_may_be_known_here() -> None:
    tree = {
        "resourceType": "Patient",
        "identifier": [
            {"system": "s", "value": "v"},
            {"system": "s", "value": "old", "use": "old"},
            {"value": "without a system"},
            {"system": SYNC_ID, "value": "Patient/ours"},
        ],
        "meta": {"tag": [{"system": "https://w3id.org/dermatome/fhir/sync-record", "code": "pull"}]},
    }

    one = came(tree)

    assert [(each.system, each.value) for each in business_identifiers(one)] == [("s", "v")]
    assert own_id(one, "") == "ours"
    assert is_record(one)
    assert made_id("a", ("Patient", "p")) == made_id("a", ("Patient", "p")) != made_id("b", ("Patient", "p"))


@pytest.mark.parametrize(
    ("headers", "secret", "is_it"),
    [
        ({"authorization": "Bearer s3cret"}, "s3cret", True),
        ({"authorization": "bearer  s3cret"}, "s3cret", True),
        ({"x-sync-secret": "s3cret"}, "s3cret", True),
        ({"x-sync-secret": "s3cre"}, "s3cret", False),
        ({"authorization": "Basic s3cret"}, "s3cret", False),
        ({}, "s3cret", False),
        ({}, "", False),
        ({"x-sync-secret": ""}, "", False),
    ],
)
def test_a_notification_is_believed_with_the_secret_only(headers: dict[str, str], secret: str, is_it: bool) -> None:
    assert is_told(headers, secret) is is_it


def bundle(kind: str, *entries: Any, link: str = "") -> bytes:
    links = [{"relation": "next", "url": link}] if link else []
    return lossless.dumps({"resourceType": "Bundle", "type": kind, "link": links, "entry": list(entries)})


def test_a_page_of_a_history_tells_versions_and_deletions() -> None:
    patient = {"resourceType": "Patient", "id": "a", "meta": {"versionId": "2", "lastUpdated": "2026-01-01T00:00:01Z"}}
    gone = {"etag": 'W/"3"', "lastModified": "2026-01-01T00:00:02Z"}
    page = read_page(
        bundle(
            "history",
            {"fullUrl": f"{BASE}/Patient/b", "request": {"method": "DELETE", "url": "Patient/b"}, "response": gone},
            {"request": {"method": "DELETE", "url": f"{BASE}/Patient/c/_history/9"}},
            {"resource": patient, "request": {"method": "PUT", "url": "Patient/a"}},
            link="?page=2",
        ),
        f"{BASE}/Patient/_history?_count=3",
        "Patient",
    )

    assert [(one.id, one.version, one.deleted) for one in page.entries] == [
        ("b", "3", True),
        ("c", "9", True),
        ("a", "2", False),
    ]
    assert page.next == f"{BASE}/Patient/_history?page=2"
    assert page.newest == page.entries[0].updated


@pytest.mark.parametrize(
    ("meta", "response", "etag"),
    [
        ({"versionId": "3"}, {}, 'W/"3"'),
        ({"versionId": "3"}, {"etag": '"3"'}, '"3"'),
        ({}, {"etag": 'W/"3"'}, 'W/"3"'),
        ({}, {}, ""),
    ],
)
def test_what_is_found_can_be_changed_on_the_condition_that_it_is_still_so(
    meta: dict[str, str], response: dict[str, str], etag: str
) -> None:
    found = {"resourceType": "Patient", "id": "a", "meta": meta}

    page = read_page(bundle("searchset", {"resource": found, "response": response}), f"{BASE}/Patient", "Patient")

    assert page.entries[0].etag == etag


def test_what_was_not_asked_for_is_left_out() -> None:
    entries = [
        {"resource": {"resourceType": "Patient", "id": "a"}, "search": {"mode": "match"}},
        {"resource": {"resourceType": "Organization", "id": "o"}, "search": {"mode": "include"}},
        {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}},
    ]

    page = read_page(bundle("searchset", *entries), f"{BASE}/Patient", "Patient")

    assert [one.id for one in page.entries] == ["a"]


def row(**values: Any) -> Pull:
    return Pull(**{"target": "t", "type": "Patient", **values})


def test_every_read_has_its_turn_however_short_the_wait_for_the_next_round_is() -> None:
    rows = [row(type=name) for name in ("Patient", "Observation", "CarePlan")]
    reads = dict.fromkeys((each.type for each in rows), "search")
    seen = []

    for now in range(1, 7):
        found = next_read(rows, reads, now)
        assert found is not None
        seen.append(found.type)
        # It is due again at once.
        rows = [changed(each, finished_at=now) if each is found else each for each in rows]

    assert seen == ["Patient", "Observation", "CarePlan"] * 2


def test_a_circle_of_any_length_is_noticed() -> None:
    pages = [Page((Incoming("Patient", str(number % 7), "1", 0, b"{}"),), f"{BASE}?p={number}") for number in range(40)]
    stands = row()

    def read_all(stands: Pull) -> None:
        for page in pages:
            stands = moved(stands, page)

    with pytest.raises(UnusablePage):
        read_all(stands)


def test_a_window_begins_an_overlap_before_where_the_last_one_ended() -> None:
    stands = row(watermark=10 * MINUTE)

    history, since = path_and_pairs(stands, "history", count=5, overlap=MINUTE, asked=[("_profile", "p")])
    search, pairs = path_and_pairs(stands, "search", count=5, overlap=MINUTE, asked=[("_profile", "p")])

    assert (history, since[0]) == ("Patient/_history", ("_since", "1970-01-01T00:09:00.000Z"))
    assert search == "Patient"
    assert [name for name, _ in pairs] == ["_profile", "_lastUpdated", "_sort", "_count"]
    assert pairs[1][1] == "ge1970-01-01T00:09:00.000Z"
    assert [name for name, _ in path_and_pairs(row(), "history", count=5, overlap=MINUTE, asked=[])[1]] == ["_count"]


def test_a_history_that_follows_a_search_begins_where_the_search_began() -> None:
    page = Page((Incoming("Patient", "a", "1", 9 * MINUTE, b"{}"),), "")
    stands = row(mode="search", pages=3, started=4 * MINUTE, high=8 * MINUTE, failures=2, error="x", next_link="n")

    followed = ended(stands, page, follows=True, now=1, seconds=60)
    alone = ended(stands, page, follows=False, now=1, seconds=60)
    again = ended(stands, page, follows=False, now=1, seconds=60, is_again=True)

    assert (followed.watermark, alone.watermark, again.watermark) == (4 * MINUTE, 9 * MINUTE, 0)
    assert (alone.pages, alone.next_link, alone.failures, alone.error) == (0, "", 0, "")
    assert has_changed(stands, page)
    assert not has_changed(changed(stands, pages=0), page)


def test_a_first_search_that_is_begun_again_has_begun_when_it_did_first() -> None:
    """Else what was taken over at first and deleted before it is begun again would never be told of."""
    page = Page((Incoming("Patient", "a", "1", 9 * MINUTE, b"{}"),), "")
    stopped = failed(begun(row(), page, "search", there=4 * MINUTE), "gone", now=1, seconds=0, is_over=True)

    again = begun(stopped, page, "search", there=8 * MINUTE)

    assert (stopped.pages, stopped.next_link) == (0, "")
    assert ended(again, page, follows=True, now=1, seconds=60).watermark == 4 * MINUTE


def stated(*codes: str, parameters: tuple[str, ...] = ("_lastUpdated",)) -> Plan:
    resource = {
        "type": "Patient",
        "interaction": [{"code": code} for code in codes],
        "searchParam": [{"name": name} for name in parameters],
    }
    statement = {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "rest": [{"mode": "server", "resource": [resource]}],
    }
    return plan(statement, Partner())


@pytest.mark.parametrize(
    ("offered", "filters", "wanted"),
    [
        (stated("history-type", "search-type"), {}, {"Patient": "history"}),
        (stated("history-type", "search-type"), {"Patient": ["a=1"]}, {"Patient": "history"}),
        (stated("search-type"), {}, {"Patient": "search", "Patient?_elements=id": "ids"}),
        (
            stated("search-type"),
            {"Patient": ["a=1", "b=2"]},
            {"Patient?a=1": "search", "Patient?b=2": "search", "Patient?_elements=id": "ids"},
        ),
        (stated("search-type", parameters=("name",)), {}, {"Patient": "full", "Patient?_elements=id": "ids"}),
    ],
)
def test_a_target_is_read_in_the_best_way_it_offers(offered: Plan, filters: Any, wanted: dict[str, str]) -> None:
    assert reads(offered, ["Patient"], filters) == wanted


def test_what_others_refer_to_is_read_first() -> None:
    types = ["Provenance", "Observation", "Account", "Patient", "Bundle", "Organization"]

    assert in_order(types) == ["Organization", "Patient", "Observation", "Account", "Bundle", "Provenance"]


def test_filters_and_profiles_become_searches() -> None:
    filters = {"Observation": ["category=survey", "status=final&code=x"]}

    assert conditions("Observation", filters, ()) == [
        [("category", "survey")],
        [("status", "final"), ("code", "x")],
    ]
    assert conditions("Observation?category=survey", filters, ("p", "q")) == [
        [("category", "survey"), ("_profile", "p,q")]
    ]
    assert conditions("Patient", filters, ()) == [[]]


def test_what_is_there_at_first_is_searched_where_that_is_offered() -> None:
    assert mode_of(row(), "history", can_search=True) == "search"
    assert mode_of(row(), "history", can_search=False) == "history"
    assert mode_of(row(watermark=1), "history", can_search=True) == "history"
