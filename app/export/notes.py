"""What an export tells besides resources: deletions, and what was left out or taken away."""

from collections.abc import Iterable, Mapping

from app.export.shapes import Pseudonyms
from app.fhir.json import dumps
from app.fhir.outcomes import Issue, operation_outcome
from app.store.departed import Departed


def deletion(departed: Departed, pseudonyms: Pseudonyms | None) -> bytes:
    """A deletion as Bulk Data Access 3.0.0 tells it: a transaction that would do it."""
    reference = f"{departed.type}/{departed.id}"
    named = pseudonyms.reference(reference) if pseudonyms else reference
    entry = {"request": {"method": "DELETE", "url": named}}
    return dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


def outcomes(ignored: Iterable[str], removed: Mapping[str, int]) -> list[bytes]:
    """An OperationOutcome for each parameter that was left out, and one for all that pseudonyms have taken away."""
    found = [[Issue("not-supported", each, severity="warning")] for each in ignored]
    if removed:
        told = (f"{rule}: {count} times." for rule, count in sorted(removed.items()))
        found.append([Issue("suppressed", each, severity="information") for each in told])
    return [dumps(operation_outcome(issues)) for issues in found]
