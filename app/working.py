"""What a process that works does besides answering: sync, Subscriptions and exports, with the parts of a service."""

import uuid
from collections.abc import Hashable
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial

from app.export.clearing import Clearing
from app.export.kickoff import KEY
from app.export.means import Means
from app.export.pseudonyms import load_pseudonyms
from app.export.running import Exporting
from app.export.shapes import Pseudonyms
from app.export.sources import ViewTables
from app.export.writing import Limits
from app.fhir.outcomes import Issue, Refused
from app.service import Service
from app.settings import Settings
from app.sync.duties import Parts, duties
from app.sync.subscriptions import jobs as subscriptions
from app.sync.work import Duty, Worker

# Exports whose files one process writes at once.
_EXPORTS = 2


def own_base(settings: Settings) -> str:
    """The address of our FHIR endpoint that others are told."""
    return f"{settings.public_url or f'http://{settings.host}:{settings.port}'}/fhir"


def make_worker(service: Service) -> Worker:
    """The worker of this process, under a name of its own."""
    return Worker(service.bell, partial(duties, parts_of(service)))


def parts_of(service: Service) -> Parts:
    """What the work of sync needs of a service, for one worker."""
    settings, owner = service.settings, uuid.uuid4().hex
    return Parts(
        intake=service.intake,
        clients=service.clients,
        known=service.validator.resource_types,
        owner=owner,
        lease_seconds=settings.sync_lease_seconds,
        base=f"{settings.public_url}/fhir" if settings.public_url else "",
        of_server=_subscription_duties(service, owner) | _export_duties(service, owner),
    )


def _subscription_duties(service: Service, owner: str) -> dict[Hashable, Duty]:
    settings = service.settings
    parts = subscriptions.Parts(
        intake=service.intake,
        guard=service.guard,
        sealing=service.sealing,
        ring=service.bell.ring,
        owner=owner,
        lease_seconds=settings.sync_lease_seconds,
        base=own_base(settings),
        attempts=settings.subscription_attempts,
        keep_days=settings.subscription_event_days,
    )
    return dict(subscriptions.duties(parts))


def _export_duties(service: Service, owner: str) -> dict[Hashable, Duty]:
    """Files of several exports at once, and clearing away by one at a time in each process."""
    means = export_means(service, owner)
    return {
        ("export", "writing"): Duty(lambda: nullcontext(Exporting(means)), _EXPORTS),
        ("export", "clearing"): Duty(lambda: nullcontext(Clearing(means))),
    }


def export_means(service: Service, owner: str) -> Means:
    """What the work on exports needs of a service."""
    settings = service.settings
    return Means(
        database=service.database,
        searcher=service.searcher,
        files=service.files,
        refresh=service.intake.definitions.refresh,
        pseudonyms=partial(_pseudonyms, service),
        ring=service.bell.ring,
        clock=service.clock,
        owner=owner,
        lease_seconds=settings.sync_lease_seconds,
        keep_seconds=settings.export_keep_hours * 3_600,
        limits=Limits(rows=settings.export_file_resources),
        tables=ViewTables(),
    )


def _pseudonyms(service: Service, at: int) -> Pseudonyms:
    """Of an export of that time, by the key and definitions of now. Raises Refused without a key that will do."""
    if not service.secrets.has(KEY):
        raise Refused([Issue("not-supported", "This server has no key for pseudonyms.")])
    today = datetime.fromtimestamp(at / 1_000_000, UTC).date()
    base, validator = own_base(service.settings), service.validator.validator
    return load_pseudonyms(service.secrets.read(KEY), base=base, today=today, validator=validator)
