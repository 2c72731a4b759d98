"""The twelve worked cases raise the rules they require and none they forbid."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pain.concepts import Coding, Concept
from app.pain.rules.facts import Facts, Known, Medicine, Plan, Stated
from tests.pain.cases import CASES
from tests.pain.rule_facts import CONTENT, TODAY, results

SNOMED, RXNORM, ATC = (CONTENT.systems[name] for name in ("snomed", "rxnorm", "atc"))
OBSERVED = {"CrCl_mL_min": "creatinine_clearance_ml_min", "eGFR": "egfr", "HLA_B_1502": "hla_b_1502"}
KNOWN_BY: dict[str, Callable[[dict[str, Any]], Concept]] = {
    "words": lambda one: Concept((), one["name"]),
    "rxnorm": lambda one: Concept((Coding(RXNORM, one["rxnorm"]),)),
    "atc": lambda one: Concept((Coding(ATC, one["atc"]),)),
    "all": lambda one: Concept((Coding(RXNORM, one["rxnorm"]), Coding(ATC, one["atc"])), one["name"]),
}


def case_facts(case: dict[str, Any], known_by: str) -> Facts:
    """What a case tells, its medicines known by words or by a code."""
    drug = KNOWN_BY[known_by]
    proposed = case["proposed_plan"]
    rows = [(one, "proposed", f"activities[{n}]") for n, one in enumerate(proposed["medications"])]
    rows += [(one, "current", f"MedicationStatement/{n}") for n, one in enumerate(case["current_medications"])]
    stated = {OBSERVED.get(key, key): value for key, value in case["observations"].items()}
    stated["prior_first_line_trials"] = case["prior_first_line_trials"]
    primary = tuple(
        Coding(one["system"], one["code"], one["display"]) for one in case["expected"]["diagnosis"]["primary"]
    )
    return Facts(
        today=TODAY,
        age=case["patient"]["age"],
        sex=case["patient"]["sex"],
        conditions=tuple(
            Known(Concept((Coding(one["system"], one["code"]),)), f"Condition/{n}")
            for n, one in enumerate(case["conditions"])
        ),
        medicines=tuple(
            Medicine(
                drug(one),
                use,  # type: ignore[arg-type]
                source,
                one["daily_dose_mg"],
                one["route"],
                Concept((), one["site"]) if one.get("site") else None,
            )
            for one, use, source in rows
        ),
        stated={key: Stated(value, f"context.{key}") for key, value in stated.items() if key in CONTENT.facts},
        grade=case["expected"]["neupsig_grade"],
        plan=Plan(
            tuple(Known(Concept((Coding(SNOMED, code),)), f"procedures[{code}]") for code in proposed["non_drug"]),
            Known(Concept(primary), "Condition/dx"),
        ),
    )


each_case = pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])


@each_case
@pytest.mark.parametrize("known_by", KNOWN_BY)
@pytest.mark.parametrize("edition", CONTENT.guidelines.editions)
def test_required_rules_are_raised_and_forbidden_ones_are_not(
    case: dict[str, Any], known_by: str, edition: str
) -> None:
    found = results(case_facts(case, known_by), edition=edition)

    raised = {one.rule for one in found.findings}
    assert set(case["expected"]["plan_flags_required"]) <= raised
    assert not raised & set(case["expected"]["plan_flags_forbidden"])
    assert found.notes == () or known_by == "words" or "eGFR" in found.notes[0]


CONDITIONS = ["snomed|84114007", "snomed|77386006", "snomed|1336192000", "icd-10-cm|I44.1", "icd-10-cm|N40.0"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_order_of_what_is_known_does_not_matter(data: st.DataObject) -> None:
    facts = some_facts(data)
    shuffled = Facts(
        today=facts.today,
        age=facts.age,
        sex=facts.sex,
        conditions=tuple(data.draw(st.permutations(facts.conditions))),
        medicines=tuple(data.draw(st.permutations(facts.medicines))),
        stated=dict(reversed(list(facts.stated.items()))),
        grade=facts.grade,
        plan=facts.plan,
    )

    assert results(shuffled) == results(facts)


# Rules that a further medicine or fact rightly lifts (a trial, a reason, naloxone), or turns into another rule.
LIFTING = {"NPR13", "NPR26", "NPR28", "NPR31", "NPR32", "NPR14", "NPR23"}
# Values that say a danger is not there.
DENYING = (False, "negative")


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_more_known_never_silences_a_raised_rule(data: st.DataObject) -> None:
    facts = some_facts(data)
    more = some_facts(data)
    both = Facts(
        today=facts.today,
        age=facts.age,
        sex=facts.sex,
        conditions=(*facts.conditions, *more.conditions),
        # What is proposed again replaces a current dose; only more of what is current is added.
        medicines=(*facts.medicines, *(one for one in more.medicines if one.use == "past")),
        stated={**{key: one for key, one in more.stated.items() if one.value not in DENYING}, **facts.stated},
        grade=facts.grade,
        plan=facts.plan,
    )

    before = {one.rule for one in results(facts).findings} - LIFTING
    assert before <= {one.rule for one in results(both).findings}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_missing_could_change_the_answer_once_it_is_known(data: st.DataObject) -> None:
    """A rule that asks for a fact no longer asks for it when it is stated."""
    facts = some_facts(data)
    asked = {name for one in results(facts).data_needed for name in one.missing if name in VALUES}

    told = {name: Stated(VALUES[name][0], f"context.{name}") for name in asked}
    then = results(
        Facts(facts.today, facts.age, facts.sex, facts.conditions, (), facts.medicines, {**facts.stated, **told})
    )

    assert not asked & {name for one in then.data_needed for name in one.missing}


VALUES: dict[str, list[Any]] = {
    "creatinine_clearance_ml_min": [90, 24],
    "qtc_ms": [420, 480],
    "pregnant": [True, False],
    "hla_b_1502": ["negative", "positive"],
    "ancestry": ["European", "Thai"],
    "heavy_alcohol_use": [False, True],
    "uncontrolled_hypertension": [False, True],
    "intact_skin": [True, False],
    "falls_risk": [True, False],
    "phq9_item9": [0, 2],
}


def some_facts(data: st.DataObject) -> Facts:
    names = [
        "amitriptyline", "duloxetine", "pregabalin", "gabapentin", "carbamazepine", "tramadol", "oxycodone", "diazepam",
        "apixaban", "tamoxifen", "lidocaine 5 % patch", "capsaicin 8 % patch", "phenelzine", "sertraline",
    ]  # fmt: skip
    uses = st.sampled_from(["current", "proposed", "past"])
    dose = st.none() | st.integers(1, 700)
    days = st.none() | st.integers(0, 60).map(lambda n: TODAY - timedelta(days=n))
    rows = data.draw(st.lists(st.tuples(st.sampled_from(names), uses, dose, days), max_size=4))
    stated = {key: data.draw(st.sampled_from(values)) for key, values in VALUES.items() if data.draw(st.booleans())}
    conditions = data.draw(st.lists(st.sampled_from(CONDITIONS), max_size=3))
    return Facts(
        today=TODAY,
        age=data.draw(st.none() | st.integers(10, 90)),
        sex=data.draw(st.sampled_from([None, "male", "female"])),
        conditions=tuple(_condition(one, n) for n, one in enumerate(conditions)),
        medicines=tuple(
            Medicine(CONTENT.drugs.said(name), use, f"MedicationRequest/{n}", mg, until=until)  # type: ignore[arg-type]
            for n, (name, use, mg, until) in enumerate(rows)
        ),
        stated={key: Stated(value, f"context.{key}") for key, value in stated.items()},
        grade=data.draw(st.sampled_from([None, "unlikely", "definite"])),
        plan=data.draw(st.sampled_from([None, Plan()])),
    )


def _condition(said: str, index: int) -> Known:
    system, code = said.split("|")
    return Known(Concept((Coding(CONTENT.systems[system], code),)), f"Condition/{index}")
