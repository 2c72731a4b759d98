"""What is installed is what runs: the container installs a wheel, not a checkout."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from app.settings import documented

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_every_file_of_the_application(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    place = str(tmp_path)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", place, place]
    subprocess.run(command, check=True, cwd=tmp_path)

    wheel = zipfile.ZipFile(next(tmp_path.glob("dermatome-*.whl")))

    ours = {str(path.relative_to(tmp_path)) for path in (tmp_path / "app").rglob("*") if path.is_file()}
    assert ours - set(wheel.namelist()) == set()


@pytest.mark.parametrize("name", ["compose.yaml", "Dockerfile"])
def test_deployment_names_only_settings_that_exist(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text("utf-8")

    assert set(re.findall(r"DERMATOME_[A-Z_]+", text)) <= {variable for variable, _, _ in documented()}


def test_the_container_copies_what_is_there() -> None:
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"), re.MULTILINE)

    for path in " ".join(copied).split():
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_has_a_hash_for_everything_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    packages = re.findall(r"^[A-Za-z0-9._-]+(?:\[[^]]*])?==", text, re.MULTILINE)

    assert len(packages) > 30
    assert len(re.findall(r"--hash=sha256:", text)) >= len(packages)
    assert "://" not in text


def test_every_json_content_file_is_json() -> None:
    for path in (ROOT / "app" / "profiles").rglob("*.json"):
        assert isinstance(json.loads(path.read_text("utf-8")), dict), path
