"""`dermatome access`: what an operator needs to let a client in."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.access_commands import app
from app.security.clients import load_clients


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and what went wrong."""
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.stdout, done.stderr


def test_a_client_is_made_with_a_key_of_its_own(tmp_path: Path) -> None:
    key, file = tmp_path / "ehr.json", tmp_path / "clients.toml"

    code, told, _ = run("client", "ehr", "--key", str(key), "--scopes", "system/*.cruds dermatome/metrics")
    file.write_text(told)

    client = load_clients(file)["ehr"]
    (private,) = json.loads(key.read_text())["keys"]
    assert code == 0
    assert client.scopes == "system/*.cruds dermatome/metrics"
    assert client.jwks
    assert client.jwks["keys"][0]["kid"] == private["kid"]
    assert private["d"] not in told
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "scopes", "told"),
    [("ehr", "systm/*.rs", "systm/*.rs"), ("e h r", "system/*.rs", "match"), ("ehr", "patient/*.rs", "patient/*.rs")],
)
def test_a_client_that_could_not_be_used_is_not_made(tmp_path: Path, name: str, scopes: str, told: str) -> None:
    code, _, error = run("client", name, "--key", str(tmp_path / "k"), "--scopes", scopes)

    assert code == 2
    assert told in error
    assert not (tmp_path / "k").exists()


def test_a_key_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("mine")

    code, _, error = run("client", "ehr", "--key", str(tmp_path / "k"))

    assert code == 2
    assert "FileExistsError" in error
    assert (tmp_path / "k").read_text() == "mine"


def test_the_signing_key_is_rotated_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMATOME_KEYS", str(tmp_path / "keys"))

    codes = [run("rotate")[0] for _ in range(3)]

    assert codes == [0, 0, 0]
    assert len(json.loads((tmp_path / "keys" / "signing-key.json").read_text())["keys"]) == 2
    monkeypatch.setenv("DERMATOME_SECRET_SIGNING_KEY", "given")
    code, _, error = run("rotate")
    assert (code, "given by the operator" in error) == (2, True)


def test_a_token_that_cannot_be_had_is_told_in_a_sentence(tmp_path: Path) -> None:
    key = tmp_path / "k"
    run("client", "ehr", "--key", str(key))

    code, told, error = run("token", "ehr", "--key", str(key), "--url", "http://127.0.0.1:9/fhir")

    assert (code, told) == (2, "")
    assert "cannot be reached" in error
    assert run("token", "ehr", "--key", str(tmp_path / "none"))[0] == 2
