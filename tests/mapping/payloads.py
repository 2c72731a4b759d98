"""Arbitrary legal payloads of the clinic API, every field included."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from app.pain.content import load_content

CONTENT = load_content()
SNOMED = CONTENT.systems["snomed"]

# Any text that FHIR can carry: no control characters, surrogates or noncharacters; blanks around it are not kept.
words = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=24).filter(str.strip)
ids = st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True)
systems = st.sampled_from(
    ["urn:oid:1.2.3.4", "http://example.org/codes", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"]
)
codes = st.from_regex(r"[A-Za-z0-9.:-]{1,20}", fullmatch=True)
dates = st.dates().map(str)
doses = st.one_of(st.integers(1, 5000), st.decimals("0.01", "5000", places=2, allow_nan=False, allow_infinity=False))


def references(*types: str) -> st.SearchStrategy[str]:
    return st.builds("{}/{}".format, st.sampled_from(types), ids)


def some(**given: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of the fields, null among their values."""
    return st.fixed_dictionaries({}, optional={key: st.none() | one for key, one in given.items()})


def both(
    required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda one, two: one | two, st.fixed_dictionaries(required), some(**optional))


coding = both({"system": systems, "code": codes}, display=words, version=words)
concept = st.one_of(
    both({"system": systems, "code": codes}, display=words, version=words, text=words),
    st.fixed_dictionaries({"text": words}),
)
listed_sites = st.sampled_from(sorted(code for _, code in CONTENT.sites))
body_site = st.one_of(listed_sites, listed_sites.map(lambda code: {"system": SNOMED, "code": code}), concept)
patients = st.one_of(references("Patient"), st.fixed_dictionaries({"system": systems, "value": words}))
sides = st.sampled_from(sorted(CONTENT.sides))
zones = st.sampled_from(["Z", "+02:00", "-05:30", "+14:00"])
moments = st.builds(
    "{}T{}{}{}".format,
    st.dates(max_value=date(2026, 11, 20)).map(str),
    st.times().map(lambda time: time.replace(microsecond=0).isoformat()),
    st.sampled_from(["", ".5", ".123", ".000001"]),
    zones,
).filter(lambda text: text[:4] > "0001" and text[:4] < "9999")
partial_dates = st.builds(
    lambda day, size: str(day)[:size],
    st.dates(max_value=date(2026, 6, 1)),
    st.sampled_from([4, 7, 10]),
)

dn4_answers = st.fixed_dictionaries(
    {}, optional={item.key: st.booleans() for item in CONTENT.instruments["dn4"].items}
).filter(bool)
nrs_answers = st.fixed_dictionaries(
    {}, optional={item.key: st.integers(0, 10) for item in CONTENT.instruments["nrs"].items}
).filter(bool)


def assessments(instrument: str) -> st.SearchStrategy[dict[str, Any]]:
    return both(
        {
            "patient": patients,
            "instrument": st.just(instrument),
            "taken_at": moments,
            "answers": dn4_answers if instrument == "dn4" else nrs_answers,
        },
        body_site=body_site,
        laterality=sides,
        performer=references("Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson"),
        encounter=references("Encounter"),
    )


evidence = st.fixed_dictionaries(
    {
        "history_relevant_lesion_or_disease": st.booleans(),
        "pain_distribution_neuroanatomically_plausible": st.booleans(),
        "sensory_signs_same_distribution": st.sampled_from(["present", "absent", "not-assessed"]),
        "confirmatory_test": st.sampled_from(["positive", "negative", "not-done"]),
    }
)
mechanism = both(
    {
        "code": st.sampled_from(sorted(CONTENT.codes("np-mechanism"))),
        "evidence": st.lists(references("Observation", "DiagnosticReport", "Procedure"), min_size=1, max_size=3),
    },
    certainty=st.sampled_from(["low", "moderate", "high"]),
)
listed_diagnoses = st.sampled_from(["193184006", "2177002", "31681005", "203082005", "239873007"]).map(
    lambda code: {"system": SNOMED, "code": code}
)
diagnosis_codes = st.one_of(
    concept,
    listed_diagnoses,
    st.lists(st.one_of(coding, listed_diagnoses), min_size=1, max_size=4),
    st.builds(lambda some, one: [*some, one], st.lists(coding, max_size=3), st.fixed_dictionaries({"text": words})),
)
diagnoses = both(
    {"patient": patients, "code": diagnosis_codes, "evidence": evidence},
    recorded_at=moments,
    onset=partial_dates,
    distribution=st.sampled_from(sorted(CONTENT.codes("np-distribution"))),
    body_site=body_site,
    laterality=sides,
    etiology_class=st.sampled_from(sorted(CONTENT.codes("np-etiology-class"))),
    mechanisms=st.lists(mechanism, max_size=3),
    grade=st.just("unlikely"),
    asserted_grade=st.just("unlikely"),
    recorder=references("Practitioner", "PractitionerRole", "Patient", "RelatedPerson"),
    encounter=references("Encounter"),
).map(lambda one: one | {"onset": None} if str(one.get("onset")) > (one.get("recorded_at") or "3") else one)

steps = st.lists(st.fixed_dictionaries({"daily_dose_mg": doses, "days": st.integers(1, 90)}), max_size=3)
sites = st.one_of(words, body_site)
drug = both(
    {"drug": st.one_of(st.sampled_from(sorted(CONTENT.drugs.names)), words, concept)},
    route=st.one_of(st.sampled_from(sorted(CONTENT.routes.names)), words),
    daily_dose_mg=doses,
    site=sites,
    laterality=sides,
    titration=steps,
    note=words,
)
therapy = both(
    {"therapy": st.one_of(st.sampled_from(sorted(CONTENT.therapies.names)), words)},
    site=sites,
    laterality=sides,
    note=words,
)
procedure = both(
    {"code": both({"system": systems, "code": codes}, display=words, text=words)},
    site=sites,
    laterality=sides,
    note=words,
)
activity = st.one_of(drug, therapy, procedure)
measures = st.one_of(st.sampled_from(sorted(CONTENT.measures.names)), words)
percents = st.one_of(st.integers(1, 100), st.decimals("0.1", "100", places=1, allow_nan=False, allow_infinity=False))
goal = st.one_of(
    both({"measure": measures, "reduction_percent": percents}, due=dates),
    both({"measure": measures, "target": st.one_of(st.integers(0, 100), words, doses)}, due=dates),
)
numbers = st.one_of(st.integers(200, 300), st.decimals("200", "300", places=1, allow_nan=False, allow_infinity=False))
context = some(
    creatinine_clearance_ml_min=numbers,
    egfr=numbers,
    qtc_ms=numbers,
    phq9_item9=st.integers(0, 3),
    prior_first_line_trials=st.integers(0, 50),
    pregnant=st.booleans(),
    hla_b_1502=st.one_of(st.booleans(), st.sampled_from(["positive", "negative", "unknown"])),
    ancestry=words,
    falls_risk=st.booleans(),
    intact_skin=st.booleans(),
    red_flags=st.one_of(st.booleans(), words, st.lists(words, max_size=3)),
    documented_reason=words,
)
overrides = st.dictionaries(st.from_regex(r"NPR[0-9]{2}", fullmatch=True), words, max_size=3)
plans = both(
    {"patient": patients, "activities": st.lists(activity, min_size=1, max_size=5)},
    diagnosis=references("Condition"),
    review_on=dates,
    goals=st.lists(goal, max_size=3),
    note=words,
    encounter=references("Encounter"),
    context=context,
    override=overrides,
)
