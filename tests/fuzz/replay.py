"""Sends the requests of a file again, one after another, and says what is wrong with the answers now."""

from pathlib import Path

from tests.fuzz.http import Connection, Request
from tests.fuzz.judge import complaints
from tests.fuzz.servers import HOST, Server


async def replay(server: Server, file: Path) -> int:
    """How many of the requests are answered wrongly."""
    connection = Connection(HOST, server.port, server.token)
    wrong = 0
    for line in file.read_text("utf-8").splitlines():
        request = Request.of_line(line)
        answer = await connection.send(request)
        said = complaints(request, answer)
        wrong += bool(said)
        print(f"{request.method} {request.url[:150]} -> {answer.status} in {answer.seconds:.2f} s: {said or 'right'}")
    connection.close()
    return wrong
