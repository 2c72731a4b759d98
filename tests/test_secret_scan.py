"""A key that is committed is found, and what is held to be none has been looked at."""

from pathlib import Path

import pytest

from tools.secret_scan import files, found

ROOT = Path(__file__).parent.parent
# Put together here, so that this file does not hold what is looked for.
SECRETS = {
    "Private Key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "AWS Access Key": "AKIA" + "Q3EGRIZYJ5EXAMPL",
    "JSON Web Token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    + "."
    + "eyJzdWIiOiIxMjM0NTY3ODkwIn0"
    + "."
    + "c2lnbmF0dXJl",
    "Secret Keyword": "pass" + 'word = "correct-horse-battery"',
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.py"
    file.write_text(SECRETS[kind] + "\n")

    assert kind in {secret.type for _, secret in found([str(file)])}


def test_every_file_of_the_project_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    assert {"app/settings.py", "deploy/compose.yaml", "README.md", "tests/test_secret_scan.py"} <= set(files())
