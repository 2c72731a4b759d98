"""What could not be checked here, in the form in which another server may be asked about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """One code. Its fields are all that may leave this service; "" where there is none.

    value_set: canonical URL of the value set it should be in; "" where only its code system is asked about.
    strength: that of the binding, required or extensible; "" without a value set.
    """

    system: str
    code: str
    version: str = ""
    display: str = ""
    value_set: str = ""
    strength: str = ""
