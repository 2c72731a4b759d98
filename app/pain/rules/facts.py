"""What is known of a patient, in the clinic's words: what the guideline rules decide by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

from app.pain.concepts import Concept
from app.pain.plans.context import Fact

Use = Literal["current", "proposed", "past"]


@dataclass(frozen=True, slots=True)
class Medicine:
    """A medicine, used now, proposed, or used before.

    route: id of our list, or words.  site: where it is applied.  since, until: first and last day of use, if known.
    source: where it stands: a reference such as "MedicationRequest/7", or a place such as "activities[0]".
    """

    drug: Concept
    use: Use
    source: str
    daily_dose_mg: int | Decimal | None = None
    route: str | None = None
    site: Concept | None = None
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A condition, device, procedure or therapy, with where it stands.

    therapy: id of our list of therapies, for a procedure that is one.
    """

    concept: Concept
    source: str
    therapy: str | None = None


@dataclass(frozen=True, slots=True)
class Stated:
    """A fact of plan-context.toml, stated with the plan ("context.egfr") or found in the record ("Observation/7")."""

    value: Fact
    source: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is proposed besides medicines. Goals and review are told by being there or not."""

    procedures: tuple[Known, ...] = ()
    diagnosis: Known | None = None
    has_goal: bool = False
    has_review: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a rule may ask. A fact that is not in `stated` is not known; `conditions`, `devices` and `medicines`
    are complete as far as the record goes.

    past_conditions: those that are over; only what counts for ever is asked of them.
    age: whole years today, None where the birth date is unknown.  grade: NeuPSIG grade of the plan's diagnosis.
    plan: None where nothing is proposed (patient-view).
    """

    today: date
    age: int | None = None
    sex: str | None = None
    conditions: tuple[Known, ...] = ()
    devices: tuple[Known, ...] = ()
    medicines: tuple[Medicine, ...] = ()
    stated: Mapping[str, Stated] = field(default_factory=dict)
    grade: str | None = None
    plan: Plan | None = None
    past_conditions: tuple[Known, ...] = ()
