"""$validate-code with an outside terminology server: it is asked only about what cannot be told here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.conftest import serving
from tests.terminology.other_server import SNOMED, OtherServer, running

PATH = "/fhir/CodeSystem/$validate-code"


@pytest.fixture(scope="module")
def other() -> Iterator[OtherServer]:
    with running() as server:
        yield server


def result(answer: httpx.Response) -> Any:
    return {each["name"]: next(v for k, v in each.items() if k != "name") for each in answer.json()["parameter"]}


async def asked(folder: Path, address: str, **parameters: str) -> httpx.Response:
    settings = Settings(
        database_url=f"sqlite+aiosqlite:///{folder / 'd.db'}", terminology_server=address, log_level="error"
    )
    async with serving(settings) as client:
        return await client.get(PATH, params=parameters)


@pytest.mark.parametrize(("code", "expected"), [("1", True), ("9", False)])
async def test_the_server_decides_what_is_not_known_here(
    tmp_path: Path, other: OtherServer, code: str, expected: bool
) -> None:
    answer = await asked(tmp_path, f"{other.base}/good", url=SNOMED, code=code)

    assert answer.status_code == 200
    assert result(answer)["result"] is expected
    assert other.base in result(answer)["message"]


async def test_a_server_that_fails_leaves_the_code_unchecked(tmp_path: Path, other: OtherServer) -> None:
    answer = await asked(tmp_path, f"{other.base}/broken", url=SNOMED, code="1")

    assert answer.status_code == 422
    assert other.base in answer.text


async def test_what_is_known_here_is_not_asked(tmp_path: Path, other: OtherServer) -> None:
    before = len(other.asked)

    answer = await asked(tmp_path, f"{other.base}/good", url="http://hl7.org/fhir/observation-status", code="final")

    assert result(answer)["result"] is True
    assert len(other.asked) == before
