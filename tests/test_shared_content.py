"""What is read once and shared by all parts of the service is changed by none of them."""

from pathlib import Path

from app import profiles
from app.profiles import json_files, shared_json, toml_files
from app.settings import Settings
from tests.conftest import serving

JSON = ("structuredefinitions", "terminology", "searchparameters", "operations")
TOML = ("vocabulary", "instruments", "examinations", "guidelines", "rules", "guide", "cds", "operations", "units")


async def test_content_is_as_on_disk_after_a_start_and_requests(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/a.db", log_level="error")
    async with serving(settings) as client:
        for path in ("/fhir/metadata", "/guide", "/openapi.json", "/fhir/ValueSet/$expand?url=x", "/cds-services"):
            assert (await client.get(path)).status_code < 500

    assert {folder: dict(shared_json(folder)) for folder in JSON} == {folder: json_files(folder) for folder in JSON}
    assert {folder: dict(toml_files(folder)) for folder in TOML} == {f: profiles._toml_files(f) for f in TOML}
    assert shared_json(JSON[0]) is shared_json(JSON[0])
