"""What the service is made of, assembled by main and handed to everyone who needs it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.export.files import Files
from app.intake.accept import Intake
from app.outbound import Guard, Secrets
from app.pain.content import Content
from app.security.sealing import Sealing
from app.settings import Settings
from app.store.audit.recorder import Recorder
from app.store.database import Database
from app.store.index.reindex import Reindexer
from app.store.listening import Bell
from app.store.parameters import SearchParameters
from app.store.search import Searcher
from app.store.waiting import Waiters
from app.sync.clients import Clients
from app.sync.registry import Registry
from app.terminology.server import TerminologyServer
from app.validation.packages.definitions import Definitions


@dataclass(frozen=True, slots=True)
class Service:
    """The parts, each made once at start-up.

    sealing: of what clients hand over in secret. files: of exports. supported_profiles: our profiles by resource type.
    clock: microseconds since 1970.
    """

    settings: Settings
    database: Database
    bell: Bell
    waiters: Waiters
    validator: Definitions
    parameters: SearchParameters
    searcher: Searcher
    reindexer: Reindexer
    intake: Intake
    recorder: Recorder
    content: Content
    registry: Registry
    clients: Clients
    secrets: Secrets
    sealing: Sealing
    guard: Guard
    files: Files
    terminology_server: TerminologyServer | None
    supported_profiles: Mapping[str, Sequence[str]]
    clock: Callable[[], int]
    new_id: Callable[[], str]
    started_at: int
