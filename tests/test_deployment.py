"""How the service is deployed: without root, on a file system it cannot write to, and with a list of what is in it."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tools.sbom import LOCK, write

DEPLOY = Path(__file__).parent.parent / "deploy"


def _services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    return services


def test_the_container_runs_without_root() -> None:
    users = re.findall(r"^USER (\S+)$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)

    assert users == ["10001:10001"]


def test_what_we_run_has_no_more_than_it_needs() -> None:
    ours = {name: service for name, service in _services().items() if service["image"] == "dermatome"}

    assert set(ours) == {"service", "worker", "partner"}
    for service in ours.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "cap_add", "user"} & set(service)
        assert all(place.startswith("/tmp:") and "noexec" in place for place in service["tmpfs"])
        written = [volume for volume in service["volumes"] if not volume.endswith(":ro")]
        assert [volume.split(":")[1] for volume in written] == ["/var/lib/dermatome"]


def test_the_worker_writes_exports_where_the_service_reads_them() -> None:
    services = _services()

    assert services["worker"]["volumes"] == services["service"]["volumes"]


def test_ports_are_published_to_this_machine_only() -> None:
    ports = [port for service in _services().values() for port in service.get("ports", [])]

    assert ports == ["127.0.0.1:8000:8000"]


def test_the_list_of_what_is_in_it_names_every_locked_package_and_is_always_the_same(tmp_path: Path) -> None:
    locked = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*])?==([^ ;]+)", LOCK.read_text("utf-8"), re.MULTILINE)
    once, again = tmp_path / "once.json", tmp_path / "again.json"

    write(once)
    write(again, is_checked=False)

    components = json.loads(once.read_text("utf-8"))["components"]
    # And what the console loads, which is no package of Python.
    wanted = {(name.lower(), version) for name, version in locked} | {("uplot", "1.6.32")}
    assert {(one["name"].lower(), one["version"]) for one in components} == wanted
    assert once.read_bytes() == again.read_bytes()


def test_what_the_threat_model_points_to_is_there() -> None:
    text = (DEPLOY.parent / "SECURITY.md").read_text("utf-8")
    targets = (DEPLOY.parent / "Makefile").read_text("utf-8")

    for path in re.findall(r"`((?:tests|tools|deploy)/[\w/.]+)`", text):
        assert (DEPLOY.parent / path).exists(), path
    for target in re.findall(r"\bmake (\w+)", text):
        assert re.search(rf"^{target}:", targets, re.MULTILINE), target
