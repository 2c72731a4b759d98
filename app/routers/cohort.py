"""What became of the pain of many patients: counted by the database, with its statement shown."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.pain.cohort.asked import PARAMETERS, CohortAsked, read
from app.pain.cohort.content import CohortContent, cohort_content
from app.pain.cohort.told import outcomes_view
from app.routers import cohort_schema, documented, exchange, rights
from app.routers.exchange import service
from app.store.cohort import TYPES, Outcomes, outcomes, statement
from app.store.idempotency import Answer

router = APIRouter(prefix="/pain/cohort", tags=["Clinic"])
_JSON = "application/json"
# Beyond every window: the days of a thousand years.
_ENDLESS = 365_250


@router.get(
    "/outcomes",
    summary="Responders by treatment class and diagnosis, with denominators, medians and confidence intervals",
    responses=cohort_schema.responses(),
    openapi_extra=documented.parameters(**PARAMETERS),
)
async def cohort_outcomes(request: Request) -> Response:
    exchange.require_known(request, *PARAMETERS)
    exchange.require_acceptable(request, json_only=True)
    content, parts = cohort_content(), service(request)
    asked = read(request.query_params, content)
    settings = parts.settings
    rights.require_whole(TYPES)
    async with parts.database.reading(committed=True) as connection:
        sql = statement(_wanted(asked, content), is_sqlite=parts.database.is_sqlite)
        rows = await outcomes(connection, sql, seconds=settings.cohort_seconds)
    told = outcomes_view(asked, [row._mapping for row in rows], content, settings.smallest_cell, sql)
    return exchange.respond(request, Answer(200, lossless.dumps(told)), _JSON)


def _wanted(asked: CohortAsked, content: CohortContent) -> Outcomes:
    window = asked.window
    return Outcomes(
        score=asked.score.id,
        unit=asked.score.unit,
        least=asked.score.least,
        begun=asked.begun,
        window=(window.first, _ENDLESS if window.last is None else window.last),
        diagnosis=asked.diagnosis,
        levels=content.levels,
        z=content.z,
        tables=content.tables,
    )
