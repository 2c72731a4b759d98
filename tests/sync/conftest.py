"""What tests with real processes have in common."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Process, free_port


@pytest.fixture
def partner(other_database_url: str, tmp_path: Path) -> Iterator[Process]:
    """The second server."""
    settings = {"PORT": str(free_port()), "DERMATOME_DATABASE_URL": other_database_url}
    with Process("serve", settings, log=tmp_path / "partner.log") as process:
        yield process
