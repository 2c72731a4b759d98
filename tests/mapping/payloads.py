"""Arbitrary legal payloads of the clinic API, every field included."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from app.pain.content import load_content
from app.pain.plans.doses import MASS
from tests.pain.answers import answers

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


def assessments(instrument: str) -> st.SearchStrategy[dict[str, Any]]:
    return both(
        {
            "patient": patients,
            "instrument": st.just(instrument),
            "taken_at": moments,
            "answers": answers(CONTENT.instruments[instrument]),
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
listed_diagnoses = st.sampled_from(["193184006", "2177002", "31681005", "203082005", "57406009", "239873007"]).map(
    lambda code: {"system": SNOMED, "code": code}
)
diagnosis_codes = st.one_of(
    concept,
    listed_diagnoses,
    st.lists(st.one_of(coding, listed_diagnoses), min_size=1, max_size=4),
    st.builds(lambda some, one: [*some, one], st.lists(coding, max_size=3), st.fixed_dictionaries({"text": words})),
)
rests_on = references("Observation", "DiagnosticReport", "QuestionnaireResponse", "Condition")
basis = some(
    **{
        name: st.lists(st.one_of(rests_on, both({"method": st.sampled_from(methods)}, reference=rests_on)), max_size=3)
        for name, methods in {
            "history_relevant_lesion_or_disease": ["history", "imaging"],
            "pain_distribution_neuroanatomically_plausible": ["pain-drawing"],
            "sensory_signs_same_distribution": ["bedside-examination"],
            "confirmatory_test": ["skin-biopsy", "quantitative-sensory-testing"],
        }.items()
    }
)
trial = both(
    {
        "class": st.sampled_from(["tca", "snri", "gabapentinoid"]),
        "outcome": st.sampled_from(["insufficient-relief", "not-tolerated", "relief"]),
    },
    adequate=st.booleans(),
    reference=references("MedicationRequest", "MedicationStatement"),
)
refractory = st.one_of(
    both(
        {"status": st.sampled_from(sorted(CONTENT.codes("np-refractory-status")))}, trials=st.lists(trial, max_size=3)
    ),
    both({"trials": st.lists(trial, min_size=1, max_size=3)}),
)
etiology = st.one_of(references("Condition", "Procedure", "MedicationStatement"), diagnosis_codes)
distributions = st.one_of(
    some(distribution=st.sampled_from(sorted(CONTENT.codes("np-distribution")))),
    both(
        {"distribution": st.sampled_from(["dermatomal", "at-level", "below-level"])},
        dermatomes=st.lists(st.sampled_from(CONTENT.diagnoses.levels), max_size=3),
    ),
    both({"distribution": st.sampled_from(["peripheral-nerve", "plexus"])}, nerves=st.lists(concept, max_size=2)),
)
plain_diagnoses = both(
    {"patient": patients, "code": diagnosis_codes, "evidence": evidence},
    etiology=etiology,
    sensory_profile=st.sampled_from(sorted(CONTENT.codes("np-sensory-profile"))),
    extent=st.sampled_from(["localized", "diffuse"]),
    refractory=refractory,
    symptoms=st.lists(concept, max_size=3),
    basis=basis,
    graded_at=moments,
    recorded_at=moments,
    onset=partial_dates,
    body_site=body_site,
    laterality=sides,
    etiology_class=st.sampled_from(sorted(CONTENT.codes("np-etiology-class"))),
    mechanisms=st.lists(mechanism, max_size=3),
    grade=st.just("unlikely"),
    asserted_grade=st.just("unlikely"),
    recorder=references("Practitioner", "PractitionerRole", "Patient", "RelatedPerson"),
    encounter=references("Encounter"),
).map(lambda one: one | {"onset": None} if str(one.get("onset")) > (one.get("recorded_at") or "3") else one)
diagnoses = st.builds(lambda one, two: one | two, plain_diagnoses, distributions)

sites = st.one_of(words, body_site)
# What is dosed in mass, and may be given in mg a day.
in_mg = sorted(
    name for name, row in CONTENT.drugs.names.items() if MASS in CONTENT.drugs.rows[row].row.get("dosed_in", [MASS])
)
counted = st.sampled_from(["{patch}", "{units}", "{application}", "mL", "ug", "g"])


def ladder(amounts: list[Any], days: list[int], taper: bool) -> dict[str, Any]:
    """Titration steps and the dose they lead to: up, or strictly down."""
    ordered = sorted(set(amounts), reverse=True) if taper else sorted(amounts)
    steps = [{"daily_dose_mg": dose, "days": day} for dose, day in zip(ordered[:-1], days, strict=False)]
    falls = {"taper": True} if taper and len(ordered) > 1 else {}
    return {"titration": steps, "daily_dose_mg": ordered[-1]} | falls


in_steps = st.builds(
    ladder, st.lists(doses, min_size=1, max_size=4), st.lists(st.integers(1, 90), min_size=3, max_size=3), st.booleans()
)
by_dose = both(
    {"value": doses, "unit": counted, "per": st.just("dose")}, hours=st.integers(1, 6), times_per_day=st.integers(1, 4)
)
by_days = st.fixed_dictionaries(
    {"value": doses, "unit": counted, "per": st.just("dose"), "every_days": st.integers(2, 90)}
)
by_rate = st.fixed_dictionaries(
    {"value": doses, "unit": st.sampled_from(["ug", "mg", "g", "mL"]), "per": st.sampled_from(["hour", "day"])}
)
stated = st.one_of(by_dose, by_days, by_rate)
past = partial_dates
device = both(
    {"type": st.one_of(st.sampled_from(sorted(CONTENT.devices.names)), words)},
    udi=st.one_of(words, st.just("(01)00844588003288(17)141120(21)1098")),
    manufacturer=words,
    model=words,
    serial=words,
)
performed = both(
    {
        "on": st.one_of(past, st.fixed_dictionaries({"start": past}), past.map(lambda day: {"start": day, "end": day})),
        "procedure": both({"system": systems, "code": codes}, display=words, text=words),
    },
    device=st.one_of(device, references("Device")),
    performer=references("Practitioner", "Organization"),
)
done = st.one_of(performed, references("Procedure").map(lambda one: {"procedure": one}))
percent_relief = st.one_of(st.integers(-50, 100), st.sampled_from([row["id"] for row in CONTENT.outcomes["response"]]))
why = st.sampled_from([row["id"] for row in CONTENT.outcomes["reason"] if row["of"] == "stopped"])
told = {
    "response": percent_relief,
    "measure": st.one_of(st.sampled_from(sorted(CONTENT.measures.names)), words),
    "adverse_effect": st.one_of(words, both({"system": systems, "code": codes}, text=words)),
    "evidence": st.lists(references("Observation", "DiagnosticReport"), max_size=2, unique=True),
}
outcome = st.one_of(
    both({"status": st.sampled_from(["ongoing", "completed"])}, **told),
    both(
        {"status": st.just("stopped"), "why": st.one_of(why, both({"code": why}, text=words))}, stopped_on=past, **told
    ),
)
# Before anything can have ended.
begun = st.sampled_from(["0001", "0001-01", "0001-01-01"])
several_done = st.one_of(done, st.lists(done, min_size=1, max_size=3))
beside = {"started_on": begun, "done": several_done, "outcome": outcome, "note": words}
of_drug = {"route": st.one_of(st.sampled_from(sorted(CONTENT.routes.names)), words), "site": sites, "laterality": sides}
drug = st.one_of(
    st.builds(
        lambda one, two: one | two,
        both({"drug": st.one_of(st.sampled_from(in_mg), words.map("unlisted {}".format))}, **of_drug, **beside),
        in_steps | st.just({}),
    ),
    both({"drug": words.map("unlisted {}".format), "dose": stated}, **of_drug, **beside),
    both({"drug": st.one_of(st.sampled_from(sorted(CONTENT.drugs.names)), words, concept)}, **of_drug, **beside),
)
session = both(
    {"start": st.just("2026-12-01T09:00:00+01:00"), "end": st.just("2026-12-01T10:30:00+01:00")},
    status=st.sampled_from(["booked", "fulfilled", "cancelled", "noshow"]),
)
placed = {
    "site": sites,
    "laterality": sides,
    "appointment": st.one_of(session, st.lists(session, min_size=1, max_size=3)),
    **beside,
}
therapy = both({"therapy": st.one_of(st.sampled_from(sorted(CONTENT.therapies.names)), words)}, **placed)
order = both({"order": st.one_of(st.sampled_from(sorted(CONTENT.orders.names)), words)}, **placed)
procedure = both({"code": both({"system": systems, "code": codes}, display=words, text=words)}, **placed)
asked_for = both(
    {
        "device": st.one_of(
            st.sampled_from(sorted(CONTENT.devices.names)), words, both({"system": systems, "code": codes}, text=words)
        )
    },
    **beside,
)
activity = st.one_of(drug, therapy, order, procedure, asked_for)


def told_apart(activities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The activities with a route of its own for each medicine: twice the same would contradict itself."""
    return [one | ({"route": f"route {index}"} if "drug" in one else {}) for index, one in enumerate(activities)]


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
    heavy_alcohol_use=st.booleans(),
    uncontrolled_hypertension=st.booleans(),
    mri_conditional=st.booleans(),
    intact_skin=st.booleans(),
    red_flags=st.one_of(st.booleans(), words, st.lists(words, max_size=3)),
    documented_reason=words,
)
overrides = st.dictionaries(st.sampled_from([rule.id for rule in CONTENT.guidelines.rules]), words, max_size=3)
plans = both(
    {
        "patient": patients,
        "activities": st.one_of(
            activity.map(lambda one: [one]), st.lists(activity, min_size=1, max_size=4).map(told_apart)
        ),
    },
    diagnosis=references("Condition"),
    review_on=dates,
    goals=st.lists(goal, max_size=3),
    note=words,
    encounter=references("Encounter"),
    context=context,
    override=overrides,
)
