"""The class of treatment a medicine belongs to, in the words of vocabulary/drugs.toml."""

from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.rules.facts import Medicine


def treatment_class(drug: Concept, content: Content) -> str | None:
    """The class of a medicine: by its code or name in our list, else by an ATC group or name of the class itself.

    Several classes of one product are told with a plus between them, e.g. "opioid+opioid-antagonist". None where the
    medicine is not known.
    """
    taken = content.guidelines.pharmacy.taken(Medicine(drug, "proposed", ""))
    rows = [content.drugs.rows[one.id] for one in taken.substances if one.id in content.drugs.rows]
    found = [row.kind for row in rows] or [
        kind for kind in _kinds(content) if taken.holding(content.guidelines.classes[kind])
    ]
    return "+".join(dict.fromkeys(found)) or None


def _kinds(content: Content) -> list[str]:
    """The classes of our list that the guideline content describes by codes too."""
    kinds = dict.fromkeys(row.kind for row in content.drugs.rows.values())
    return [kind for kind in kinds if kind in content.guidelines.classes]
