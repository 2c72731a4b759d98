"""Which function does which operation of the table."""

from collections.abc import Mapping

from app.routers.operations import (
    changes,
    code_systems,
    diff,
    everything,
    export,
    extract,
    lastn,
    meta,
    reindex,
    snapshot,
    stats,
    subscriptions,
    translate,
    validate,
    value_sets,
    views,
)
from app.routers.operations.call import Handler

HANDLERS: Mapping[str, Handler] = {
    "Resource-validate": validate.validate,
    "StructureDefinition-snapshot": snapshot.snapshot,
    "Resource-meta": meta.meta,
    "Resource-meta-add": meta.add,
    "Resource-meta-delete": meta.delete,
    "Patient-everything": everything.everything,
    "Observation-lastn": lastn.lastn,
    "Observation-stats": stats.stats,
    "ValueSet-expand": value_sets.expand,
    "ValueSet-validate-code": value_sets.validate_code,
    "CodeSystem-validate-code": code_systems.validate_code,
    "CodeSystem-lookup": code_systems.lookup,
    "CodeSystem-subsumes": code_systems.subsumes,
    "ConceptMap-translate": translate.translate,
    "QuestionnaireResponse-extract": extract.extract,
    "backport-subscription-status": subscriptions.status,
    "backport-subscription-events": subscriptions.history,
    "export": export.export,
    "patient-export": export.export,
    "group-export": export.export,
    "changes": changes.changes,
    "$viewdefinition-run": views.run,
    "$viewdefinition-export": views.export,
    "diff": diff.diff,
    "reindex": reindex.reindex,
    "reindex-status": reindex.status,
}
