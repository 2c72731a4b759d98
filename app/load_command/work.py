"""Sending what stands in files, in batches: what is refused stops nothing else, and is sent again when all is there."""

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from app.load_command.reading import Piece, at, parcels, pieces
from app.load_command.state import State, told
from app.outbound.bulk import BulkServer, Unanswered
from app.sync.again import persistently

_TOO_LARGE = 413
_NO_ANSWER: Mapping[str, Any] = {"status": "", "outcome": {"issue": [{"diagnostics": "The server does not say."}]}}


class Loading:
    """A load, part by part, so that whoever shows progress can."""

    def __init__(self, server: BulkServer, state: State, size: int) -> None:
        self._server, self._state, self._size = server, state, size

    async def load(self, file: str) -> AsyncIterator[int]:
        """Send the rest of a file; yields how far it has come after each part."""
        state = self._state
        start = state.begun(file)
        # Before anything is sent: whoever goes on must do so under the same keys.
        state.save()
        for part in parcels(pieces(file, start), self._size):
            state.refused += await self._sent(part, "first")
            state.done[file] = part[-1].after
            state.save()
            yield part[-1].after

    async def refused_again(self) -> bool:
        """Send what was refused once more: it may refer to what came later. Whether any of it was taken."""
        state = self._state
        # Another key each time: the answer to the same request would be the same.
        state.rounds += 1
        state.save()
        before, again = len(state.refused), list(state.refused)
        state.refused = []
        for part in parcels(self._at(again), self._size):
            state.refused += await self._sent(part, f"round {state.rounds}")
        state.save()
        return len(state.refused) < before

    @staticmethod
    def _at(refused: Sequence[Mapping[str, Any]]) -> Iterator[Piece]:
        return (at(each["file"], each["place"]) for each in refused)

    async def _sent(self, part: Sequence[Piece], salt: str) -> list[dict[str, Any]]:
        """Send a part; answers what was refused of it. Raises Unanswered."""
        refused = [_refusal(each, "", [{"diagnostics": each.problem}]) for each in part if each.problem]
        sound = [each for each in part if not each.problem]
        if not sound:
            return refused
        body = sound[0].text if sound[0].is_whole else _batch(sound)
        # The same resource may stand in a file twice.
        where = f"{self._state.key} {salt} {sound[0].file} {sound[0].place} "
        key = hashlib.sha256(where.encode() + body).hexdigest()
        try:
            answer = await persistently(lambda: self._server.take(body, key))
        except Unanswered as error:
            if len(sound) > 1 and error.status == _TOO_LARGE:
                middle = len(sound) // 2
                return [*refused, *await self._sent(sound[:middle], salt), *await self._sent(sound[middle:], salt)]
            if not (sound[0].is_whole or error.status == _TOO_LARGE):
                raise
            if error.is_passing or error.status in (0, 401, 403, 404, 405):
                raise
            return [*refused, _refusal(sound[0], str(error.status), [{"diagnostics": str(error)}])]
        return [*refused, *self._noted(sound, answer)]

    def _noted(self, sent: Sequence[Piece], answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Count what was taken; what was not."""
        found = [each.get("response", _NO_ANSWER) for each in answer.get("entry", ())]
        if sent[0].is_whole:
            self._state.counts.update(str(each["status"])[:3] for each in found)
            failed = [each for each in found if not str(each["status"]).startswith("2")]
            if failed:
                issues = [one for each in failed for one in each.get("outcome", {}).get("issue", ())]
                yield _refusal(sent[0], str(failed[0]["status"]), issues)
            return
        for piece, each in zip(sent, [*found, *[_NO_ANSWER] * (len(sent) - len(found))], strict=False):
            status = str(each["status"])
            if status.startswith("2"):
                self._state.counts[status[:3]] += 1
            else:
                yield _refusal(piece, status, each.get("outcome", {}).get("issue", ()))


def _refusal(piece: Piece, status: str, issues: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return told(piece.file, piece.place, piece.name, status, issues)


def _batch(part: Sequence[Piece]) -> bytes:
    """The resources as they stand in the file: nothing of them is written anew."""
    entries = b",".join(
        b'{"resource":%s,"request":{"method":"%s","url":"%s"}}'
        % (each.text, b"PUT" if each.id else b"POST", each.name.encode())
        for each in part
    )
    return b'{"resourceType":"Bundle","type":"batch","entry":[%s]}' % entries
