"""What the rules say of a clinic record: a plan by the guideline rules, an assessment by what it must not miss."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from app.mapping.elements import Resource, code_in, target
from app.mapping.facts.gathering import gathered
from app.mapping.facts.held import Held
from app.mapping.facts.proposed import with_plan
from app.pain.content import Content
from app.pain.instruments.assessments import Assessment
from app.pain.instruments.safety import safety
from app.pain.plans.treatments import RulesChecked, TreatmentPlan
from app.pain.rules.evaluate import evaluate
from app.pain.rules.results import Finding, RuleResults


@dataclass(frozen=True, slots=True)
class Bench:
    """What a record is judged by. edition, jurisdiction: where the record asks for none.

    held: the patient's resources by name.  leave: those that do not count, since the record is written anew.
    notes: what is to be said about what is held.
    """

    today: date
    edition: str
    jurisdiction: str
    held: Held = field(default_factory=dict)
    leave: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """clinical: the record, which may say by what it was judged."""

    clinical: Any
    results: RuleResults
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judging:
    """How one kind of record is judged.

    reads_record: whether the patient's resources are needed.  reasons: rule -> reason to go ahead; None where a block
    refuses nothing: what a patient has answered is kept, whatever it raises.
    places: what a place in the clinic's JSON has become, by the resources.
    """

    judge: Callable[[Any, Content, Bench], Judged]
    places: Callable[[Sequence[Resource], Content], Mapping[str, str]]
    reads_record: bool = False
    reasons: Callable[[Any], Mapping[str, str]] | None = None

    def blocking(self, judged: Judged) -> list[Finding]:
        """The blocks nobody has given a reason for."""
        if self.reasons is None:
            return []
        given = self.reasons(judged.clinical)
        return [one for one in judged.results.findings if one.severity == "block" and one.rule not in given]


def _judge_plan(plan: TreatmentPlan, content: Content, bench: Bench) -> Judged:
    edition, jurisdiction = plan.guideline or bench.edition, plan.jurisdiction or bench.jurisdiction
    known = gathered(bench.held, content, today=bench.today, context=plan.context, leave=bench.leave)
    facts = with_plan(known, plan, bench.held, content).facts
    results = evaluate(facts, content.guidelines, edition=edition, jurisdiction=jurisdiction)
    checked = RulesChecked(edition, jurisdiction, results.checked)
    notes = (*bench.notes, *known.notes, *results.notes, *_needless(plan, results))
    return Judged(replace(plan, checked=checked), results, notes)


def _needless(plan: TreatmentPlan, results: RuleResults) -> list[str]:
    """Reasons for rules that were not raised: the plan may have been written for other facts."""
    raised = {one.rule for one in results.findings}
    lacking = {one.rule for one in results.data_needed}
    said = {rule: "could not be settled" if rule in lacking else "was not raised" for rule in plan.override}
    return [
        f"override.{rule}: the rule {why}; the reason was kept." for rule, why in said.items() if rule not in raised
    ]


def _plan_places(resources: Sequence[Resource], _: Content) -> dict[str, str]:
    rows = resources[0].get("activity", [])
    names = ((index, target(row.get("reference"))) for index, row in enumerate(rows))
    return {f"activities[{index}]": name for index, name in names if name}


def _judge_assessment(one: Assessment, content: Content, _: Bench) -> Judged:
    return Judged(one, safety(content.instruments[one.instrument], one.answers))


def _assessment_places(resources: Sequence[Resource], content: Content) -> dict[str, str]:
    named = ((code_in(one.get("code"), content.systems["np-item"]), one) for one in resources[1:])
    return {f"answers.{code.partition('.')[2]}": f"{one['resourceType']}/{one['id']}" for code, one in named if code}


PLANS = Judging(_judge_plan, _plan_places, reads_record=True, reasons=lambda plan: dict(plan.override))
ASSESSMENTS = Judging(_judge_assessment, _assessment_places)
