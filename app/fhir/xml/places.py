"""Where issues are in a body that was posted as XML: line, column and entry of the Bundle."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from app.fhir.outcomes import Issue
from app.fhir.places import way_to
from app.fhir.scan import Steps
from app.fhir.xml.reading import Read


class PostedXml:
    """Like Posted, of a resource that was sent as XML: no JSON pointer can be told. tree: its JSON form, parsed."""

    def __init__(self, read: Read, tree: Any) -> None:
        self.size = len(read.text)
        self._places, self._tree = read.places, tree

    def placed(self, issues: Iterable[Issue], below: Steps = ()) -> list[Issue]:
        """The issues with their places. below: where the resource is that their expressions start from."""
        start = self._tree
        for step in below:
            start = start[step]
        return [self._placed(issue, way_to(start, issue), below) for issue in issues]

    def _placed(self, issue: Issue, way: tuple[Steps, bool] | None, below: Steps) -> Issue:
        if way is None:
            return issue
        steps = (*below, *(_plain(step) for step in way[0]))
        is_entry = self._tree.get("resourceType") == "Bundle" and steps[:1] == ("entry",) and len(steps) > 1
        entry = steps[1] if is_entry and isinstance(steps[1], int) else None
        while steps and steps not in self._places:
            steps = steps[:-1]
        line, column = self._places.get(steps, (None, None))
        return replace(issue, entry=entry, line=line, column=column)


def _plain(step: str | int) -> str | int:
    """In XML an element and what is beside its value are one."""
    return step.removeprefix("_") if isinstance(step, str) else step
