"""What the expressions of posted profiles may take. Whoever may post them must not decide how long a write takes.

Expressions that come with the service, and those of the operator's packages, are not counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from time import thread_time

from app.fhir.fhirpath import EvaluationError, Expression, Frame
from app.fhir.fhirpath.nodes import MAX_SECONDS, MAX_STEPS

# What all validations of one request may take, in seconds of the processor; one alone gets MAX_SECONDS.
MAX_TOGETHER = 10.0
TOO_COSTLY = "the expressions of posted profiles take too long on this resource"


class TooCostly(EvaluationError):
    """There is nothing left to evaluate an expression with: whether it holds is not known."""


@dataclass(slots=True)
class Left:
    """Seconds of the processor that are left."""

    seconds: float


_together: ContextVar[Left | None] = ContextVar("left", default=None)


@contextmanager
def together(seconds: float = MAX_TOGETHER) -> Iterator[None]:
    """Within the block, all validations share what their expressions may take."""
    token = _together.set(Left(seconds))
    try:
        yield
    finally:
        _together.reset(token)


class Patience:
    """What is left for the posted expressions of one validation."""

    __slots__ = ("_own", "_steps")

    def __init__(self) -> None:
        self._own, self._steps = Left(MAX_SECONDS), MAX_STEPS

    @contextmanager
    def bounded(self, frame: Frame) -> Iterator[Frame]:
        """A frame that ends what is evaluated in it. Raises TooCostly where it has ended it, or nothing is left."""
        kinds = [self._own, *filter(None, [_together.get()])]
        left = min(one.seconds for one in kinds)
        if left <= 0 or self._steps < 0:
            raise TooCostly(TOO_COSTLY)
        started = thread_time()
        made = replace(frame, trusts_patterns=False, steps=self._steps, until=started + left)
        try:
            yield made
            if made.steps < 0:
                # Whoever evaluated it may have taken that for an answer.
                raise TooCostly(TOO_COSTLY)
        except EvaluationError:
            if made.steps < 0:
                raise TooCostly(TOO_COSTLY) from None
            raise
        finally:
            self._steps = made.steps
            for one in kinds:
                one.seconds -= thread_time() - started

    def is_true(self, expression: Expression, frame: Frame, node: object) -> bool:
        """Whether a constraint holds. Raises TooCostly where that cannot be told."""
        with self.bounded(frame) as made:
            return expression.is_true(made, node)
