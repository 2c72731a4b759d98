"""Settings: read in one place, listed in the README, wrong ones named."""

import re
from pathlib import Path

import pytest

from app.settings import WrongSettings, documented, load_settings
from app.sync.targets import Smart, Target, load_targets

README = Path(__file__).parent.parent / "README.md"
TYPES = frozenset({"Patient", "Observation"})


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, _, _ in documented():
        monkeypatch.delenv(variable, raising=False)


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| `?([^|`]*)`? \|", README.read_text("utf-8"), re.MULTILINE)

    assert {name: default.strip() for name, default in rows} == {name: default for name, default, _ in documented()}


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("PORT", "abc", "PORT"),
        ("PORT", "70000", "PORT"),
        ("HOST", "0.0.0.0", "HOST"),
        ("DERMATOME_AUTH", "basic", "DERMATOME_AUTH"),
        ("DERMATOME_DATABASE_URL", "mysql://x", "DERMATOME_DATABASE_URL"),
        ("DERMATOME_SYNC_TARGETS", "/nowhere.toml", "DERMATOME_SYNC_TARGETS"),
        ("DERMATOME_PACKAGES", "/nowhere", "DERMATOME_PACKAGES"),
        ("DERMATOME_UNKNOWN_PROFILES", "ignore", "DERMATOME_UNKNOWN_PROFILES"),
        ("DERMATOME_PUBLIC_URL", "example.org", "DERMATOME_PUBLIC_URL"),
        ("DERMATOME_TERMINOLOGY_SERVER", "tx.example.org", "DERMATOME_TERMINOLOGY_SERVER"),
        ("DERMATOME_TERMINOLOGY_SERVER", "https://me:secret@tx.example.org/r4", "DERMATOME_TERMINOLOGY_SERVER"),
        ("DERMATOME_TERMINOLOGY_SERVER", "https://tx.example.org/r4?key=1", "DERMATOME_TERMINOLOGY_SERVER"),
        ("DERMATOME_PUBLIC_URL", "http://", "DERMATOME_PUBLIC_URL"),
        ("DERMATOME_DATABASE_URL", "sqlite+aiosqlite:///:memory:", "DERMATOME_DATABASE_URL"),
        ("DERMATOME_DATABASE_URL", "sqlite+aiosqlite:///", "DERMATOME_DATABASE_URL"),
        ("DERMATOME_DATABASE_URL", "postgresql+asyncpg://u:p@h:xx/d", "DERMATOME_DATABASE_URL"),
        ("DERMATOME_SYNC_LEASE_SECONDS", "inf", "DERMATOME_SYNC_LEASE_SECONDS"),
        ("DERMATOME_EXPORT_FILES", "s3://", "DERMATOME_EXPORT_FILES"),
        ("DERMATOME_EXPORT_FILES", "s3://Bucket_1/x", "DERMATOME_EXPORT_FILES"),
        ("DERMATOME_EXPORT_FILES", "gs://bucket", "DERMATOME_EXPORT_FILES"),
        ("DERMATOME_EXPORT_FILES", "/etc/hostname", "DERMATOME_EXPORT_FILES"),
        ("DERMATOME_EXPORT_S3_ENDPOINT", "s3.example.org", "DERMATOME_EXPORT_S3_ENDPOINT"),
        ("DERMATOME_EXPORT_S3_ENDPOINT", "https://s3.example.org", "DERMATOME_EXPORT_FILES names no bucket"),
        ("DERMATOME_PAGESIZE", "3", "did you mean DERMATOME_PAGE_SIZE"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(WrongSettings) as wrong:
        load_settings()

    assert told in str(wrong.value)


def test_an_open_address_is_taken_where_the_network_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")
    monkeypatch.setenv("DERMATOME_TRUSTED_NETWORK", "true")

    assert load_settings().host == "0.0.0.0"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"DERMATOME_ISSUERS": "https://id.example.org"}, "DERMATOME_ISSUERS: only used with DERMATOME_AUTH=smart"),
        ({"DERMATOME_AUTH": "smart", "HOST": "0.0.0.0"}, "DERMATOME_PUBLIC_URL"),
        ({"DERMATOME_AUTH": "smart", "PORT": "0"}, "DERMATOME_PUBLIC_URL"),
        ({"DERMATOME_AUTH": "smart", "DERMATOME_CLIENTS": "/nowhere.toml"}, "DERMATOME_CLIENTS"),
        ({"HOST": "::"}, "authentication is off"),
        ({"HOST": "192.0.2.1"}, "authentication is off"),
        ({"HOST": "hospital"}, "authentication is off"),
    ],
)
def test_what_would_let_in_others_is_refused(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], told: str) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(WrongSettings) as wrong:
        load_settings()

    assert told in str(wrong.value)


def test_with_authentication_any_address_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")
    monkeypatch.setenv("DERMATOME_AUTH", "smart")
    monkeypatch.setenv("DERMATOME_PUBLIC_URL", "https://pain.example.org")

    assert load_settings().host == "0.0.0.0"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[target]]", "name"),
        ('[[target]]\nname="a"\nbase_url="ftp://x"', "base_url"),
        ('[[target]]\nname="a"\nbase_url="http://x/fhir"\nretries=3', "retries"),
        ('[[target]]\nname="a"\nbase_url="http://x/fhir"\ntypes=["Nope"]', "Nope"),
        ('[[target]]\nname="a"\nbase_url="http://x/f"\n[[target]]\nname="a"\nbase_url="http://x/f"', "two targets"),
        ("[[targets]]", "targets"),
        ("not toml", "TOML"),
        ("target = 5", "target"),
        ('[[target]]\nname="a"\nbase_url="http://x:99999/fhir"', "base_url"),
        ('[[target]]\nname="a"\nbase_url="http://me:secret@x/fhir"', "base_url"),
    ],
)
def test_a_wrong_target_is_named(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "targets.toml"
    file.write_text(text)

    with pytest.raises(WrongSettings) as wrong:
        load_targets(file, TYPES)

    assert told in str(wrong.value)


def test_the_shipped_targets_file_is_right() -> None:
    targets = load_targets(README.parent / "deploy" / "sync-targets.toml", TYPES | {"Condition"})

    assert [target.name for target in targets] == ["partner"]


def test_the_shipped_targets_file_names_every_field_with_its_default(tmp_path: Path) -> None:
    shipped = (README.parent / "deploy" / "sync-targets.toml").read_text("utf-8")
    whole = tmp_path / "whole.toml"
    whole.write_text(re.sub(r'^# (?=[a-z_]+ = |"|\[)', "", shipped, flags=re.MULTILINE))

    (target,) = load_targets(whole, TYPES)

    assert target.model_fields_set == set(Target.model_fields)
    assert isinstance(target.auth, Smart)
    for part in (target.auth, target.tls, target.conflict):
        assert part.model_fields_set == set(type(part).model_fields)
    chosen = {"name", "base_url", "auth", "tls", "conflict", "notify_secret", "requests_per_second"}
    told, default = target.model_dump(), Target(name="x", base_url="http://x").model_dump()
    assert {name: told[name] for name in told if name not in chosen} == {
        name: default[name] for name in default if name not in chosen
    }
