"""Who looks: what of the store may be seen and changed in this flow of control.

Whatever reads resources here leaves out what the one who looks may not see, without being asked to: forgetting it
shows too little, never too much. Nobody set: everything, for the service's own work and for those without limits.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

if TYPE_CHECKING:
    from app.store.repository import Stored
    from app.store.search.tree import Criterion

VersionKey = tuple[str, str, int]  # ("Patient", "12", 3)


class Sight(Protocol):
    """What one may see and do. rights: letters of `cruds`, any of which is enough. types: all there are.

    text: the same in writing, for what acts for them later.
    """

    text: str

    @property
    def types(self) -> Sequence[str]: ...

    def may(self, rights: str, resource_type: str) -> bool:
        """Whether to anything of the type at all."""

    def is_whole(self, rights: str, resource_type: str) -> bool:
        """Whether to everything of the type."""

    def is_cut(self, rights: str, resource_type: str) -> bool:
        """Whether, even of a patient it is for, not to everything of the type."""

    def require(self, right: str, types: Sequence[str], path: str = "") -> None:
        """Raises Forbidden if to nothing of any of the types."""

    def criterion(self, right: str, types: Sequence[str]) -> "Criterion | None":
        """What a resource of one of the types must meet; None for nothing."""

    async def seen(
        self, connection: AsyncConnection, rights: str, versions: "Iterable[Stored]"
    ) -> frozenset[VersionKey]:
        """Those of the versions it covers, each as it was; a deletion as what was deleted."""


_current: ContextVar[Sight | None] = ContextVar("sight", default=None)


def current() -> Sight | None:
    """Who looks; None: nothing is kept from them."""
    return _current.get()


@contextmanager
def seen_by(sight: Sight | None) -> Iterator[None]:
    """Within the block that one looks."""
    token = _current.set(sight)
    try:
        yield
    finally:
        _current.reset(token)


def wholly() -> AbstractContextManager[None]:
    """Within the block the service itself looks, for what it must know to do its own work."""
    return seen_by(None)
