"""The network between two servers, with the failures a test asks for."""

import json
from typing import Any

import httpx


class Wire(httpx.AsyncBaseTransport):
    """Carries requests to the partner. answers: given instead of the partner's, in turn; lose_answers: how many of
    the partner's answers get lost; refuse: references whose PUT is answered with the status `refusal` and this
    outcome."""

    def __init__(self, partner: httpx.AsyncClient) -> None:
        self.partner = partner
        self.answers: list[httpx.Response] = []
        self.lose_answers = 0
        self.refuse: dict[str, Any] = {}
        self.refusal = 422

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self, base_url="http://partner.test/fhir")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.answers:
            return self.answers.pop(0)
        body = await request.aread()
        for reference, outcome in self.refuse.items():
            if f"/{reference}" in str(request.url) or f'"{reference}"'.encode() in body:
                return httpx.Response(self.refusal, content=json.dumps(outcome))
        answer = await self.partner.request(
            request.method, request.url.path, content=body, headers={"Content-Type": "application/fhir+json"}
        )
        if self.lose_answers:
            self.lose_answers -= 1
            raise httpx.ReadError("connection lost", request=request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
