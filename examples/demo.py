"""The whole job in a minute: `make demo`.

Starts Dermatome and a second FHIR server (a second instance on its own database), posts the twelve worked cases
through the clinic API, shows what is refused and why, and proves by reading the second server that every resource
arrived there once. Uses free ports and temporary databases; leaves nothing behind.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from app import profiles
from app.fhir.json import same_content

Json = dict[str, Any]
CASES = Path(__file__).parent / "cases.json"
SYSTEMS = profiles.toml_files("vocabulary")["systems"]["system"]
SNOMED, RXNORM, UCUM = (SYSTEMS[name] for name in ("snomed", "rxnorm", "ucum"))
TAKEN_AT = "2026-05-01T09:30:00+02:00"
TYPES = (
    "Patient",
    "QuestionnaireResponse",
    "Observation",
    "Condition",
    "CarePlan",
    "Goal",
    "MedicationRequest",
    "MedicationStatement",
    "ServiceRequest",
    "DetectedIssue",
)
# Facts the guideline rules need, by the names the cases give them.
CONTEXT = {"CrCl_mL_min": "creatinine_clearance_ml_min", "HLA_B_1502": "hla_b_1502", "ancestry": "ancestry"}


def main() -> int:
    """Run the demonstration; answers the exit code."""
    started = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        print("Starting a second FHIR server, the partner ...")
        partner = stack.enter_context(server(folder, "partner", {}))
        targets = folder / "sync-targets.toml"
        targets.write_text(f'[[target]]\nname = "partner"\nbase_url = "{partner.base_url}fhir"\n')
        print("Starting Dermatome, which tells the partner of every write ...")
        here = stack.enter_context(server(folder, "dermatome", {"DERMATOME_SYNC_TARGETS": str(targets)}))
        post_cases(here)
        _show_refusals(here)
        arrived = _wait_until_synced(here) and _prove(here, partner)
    print(f"\n{'Done' if arrived else 'FAILED'} in {time.monotonic() - started:.1f} s.")
    return 0 if arrived else 1


def post_cases(here: httpx.Client) -> None:
    print(f"\n{'case':<8} {'DN4':>4} {'grade':<10} {'as published':<13} resources  diagnosis; rules raised by the plan")
    for case in json.loads(CASES.read_text("utf-8"))["cases"]:
        made: list[str] = []
        patient = _post(here, "/fhir/Patient", _patient(case), made)["id"]
        who = {"patient": f"Patient/{patient}"}
        for one in _record(case, who["patient"]):
            _post(here, f"/fhir/{one['resourceType']}", one, made)
        place = _place(case)
        scores = _post(here, "/pain/assessments", {**who, **_dn4(case), **place}, made)["scores"]
        _post(here, "/pain/assessments", {**who, **_nrs(case), **place}, made)
        diagnosis = _post(here, "/pain/diagnoses", {**who, **_diagnosis(case), **place}, made)
        plan = {**who, "diagnosis": f"Condition/{diagnosis['id']}", **_plan(case)}
        raised = _post_plan(here, plan, made)
        expected = case["expected"]
        right = (scores["dn4"]["value"], diagnosis["grade"]) == (expected["dn4_total"], expected["neupsig_grade"])
        right = right and set(expected["plan_flags_required"]) <= set(raised)
        right = right and not set(expected["plan_flags_forbidden"]) & set(raised)
        told = "yes" if right else "NO"
        score, grade = scores["dn4"]["value"], diagnosis["grade"]
        print(f"{case['id']:<8} {score:>4} {grade:<10} {told:<13} {len(made):>9}  {case['title']}; {', '.join(raised)}")
        if not right:
            raise SystemExit("A score, a grade or a rule differs from the published one.")


def _post_plan(here: httpx.Client, plan: Json, made: list[str]) -> list[str]:
    """Post a plan, with a reason for every rule that blocks it; answers the rules it raises."""
    refused = here.post("/pain/treatment-plans", json=plan)
    found = refused.json().get("findings", [])
    blocks = [one["rule"] for one in found if one["severity"] == "block"]
    if refused.status_code == 422:
        _post(here, "/pain/treatment-plans", {**plan, "override": dict.fromkeys(blocks, "A demonstration.")}, made)
    else:
        made += refused.json()["resources"]
    return [one["rule"] for one in found]


def _show_refusals(here: httpx.Client) -> None:
    print("\nRefused, and nothing of it kept:")
    before = _count_all(here)
    somebody = {"system": "https://example.org/records", "value": "refused"}
    assessment = {"patient": somebody, "instrument": "nrs", "taken_at": TAKEN_AT}
    broken = {
        "resource": {"resourceType": "Observation", "status": "final"},
        "request": {"method": "POST", "url": "Observation"},
    }
    good = {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}
    for what, address, body in (
        ("a pain score of 11", "/pain/assessments", {**assessment, "answers": {"current": 11}}),
        ("no answer at all", "/pain/assessments", {**assessment, "answers": {}}),
        ("an empty activity", "/pain/treatment-plans", {"patient": somebody, "activities": [{}]}),
        (
            "a transaction, 2nd entry wrong",
            "/fhir",
            {"resourceType": "Bundle", "type": "transaction", "entry": [good, broken]},
        ),
    ):
        answer = here.post(address, json=body)
        issue = answer.json()["issue"][0]
        print(f"  {what:<31} {answer.status_code}  {issue['expression'][0]}: {issue['diagnostics']}")
    if _count_all(here) != before:
        raise SystemExit("Something of a refused request was kept.")


def _wait_until_synced(here: httpx.Client) -> bool:
    print("\nDelivering to the partner ...")
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        status = here.get("/sync/status").json()["targets"][0]
        print(f"  pending {status['pending']:>4}   delivered {status['delivered']:>4}   refused {status['dead']}")
        if not status["pending"]:
            return not status["dead"]
        time.sleep(0.5)
    return False


def _prove(here: httpx.Client, partner: httpx.Client) -> bool:
    print(
        f"\n{'read back from both servers':<28} {'here':>5} {'valid':>6} {'there':>6} {'equal':>6} {'arrived once':>13}"
    )
    proven = True
    for kind in TYPES:
        ours, theirs = dict(_all(here, kind)), dict(_all(partner, kind))
        equal = sum(name in theirs and same_content(ours[name], theirs[name]) for name in ours)
        valid = sum(_is_valid(here, text) for text in ours.values())
        once = sum(json.loads(text)["meta"]["versionId"] == "1" for text in theirs.values())
        print(f"{kind:<28} {len(ours):>5} {valid:>6} {len(theirs):>6} {equal:>6} {once:>13}")
        proven = proven and len(ours) == valid == len(theirs) == equal == once
    return proven


def _is_valid(server: httpx.Client, text: bytes) -> bool:
    """Whether $validate finds no error, against base R4 and the profiles the resource claims."""
    issues = server.post("/fhir/$validate", content=text).json()["issue"]
    return all(issue["severity"] not in ("error", "fatal") for issue in issues)


def _all(server: httpx.Client, kind: str) -> Iterator[tuple[str, bytes]]:
    """(id, JSON text) of every resource of a type."""
    address = f"/fhir/{kind}?_count=200"
    while address:
        page = server.get(address).json()
        for entry in page.get("entry", []):
            name = entry["resource"]["id"]
            yield name, server.get(f"/fhir/{kind}/{name}").content
        address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")


def _count_all(server: httpx.Client) -> Counter[str]:
    return Counter({kind: server.get(f"/fhir/{kind}?_count=0").json()["total"] for kind in TYPES})


def _patient(case: Json) -> Json:
    identifier = {"system": "https://example.org/worked-cases", "value": case["id"]}
    born = date.today().year - case["patient"]["age"]
    return {
        "resourceType": "Patient",
        "identifier": [identifier],
        "gender": case["patient"]["sex"],
        "birthDate": f"{born}-01-01",
    }


def _record(case: Json, patient: str) -> Iterator[Json]:
    """What the record holds beside the pain: conditions, and medicines in use."""
    about: Json = {"subject": {"reference": patient}}
    for condition in case["conditions"]:
        yield {"resourceType": "Condition", "code": {"coding": [condition]}, **about}
    for one in case["current_medications"]:
        drug = {"coding": [{"system": RXNORM, "code": one["rxnorm"]}], "text": one["name"]}
        amount = {"value": one["daily_dose_mg"], "unit": "mg/d", "system": UCUM, "code": "mg/d"}
        yield {
            "resourceType": "MedicationStatement",
            "status": "active",
            "medicationCodeableConcept": drug,
            "dosage": [{"doseAndRate": [{"rateQuantity": amount}]}],
            **about,
        }


def _place(case: Json) -> Json:
    pain = case["pain"]
    site = pain["bodySite"] or {"text": pain["distribution"]}
    return {"body_site": site, "laterality": pain["laterality"]}


def _dn4(case: Json) -> Json:
    return {
        "instrument": "dn4",
        "taken_at": TAKEN_AT,
        "answers": {key: bool(answer) for key, answer in case["dn4"].items()},
    }


def _nrs(case: Json) -> Json:
    return {"instrument": "nrs", "taken_at": TAKEN_AT, "answers": case["pain"]["nrs"]}


def _diagnosis(case: Json) -> Json:
    codes = case["expected"]["diagnosis"]["primary"]
    return {"code": codes, "evidence": case["neupsig_inputs"], "distribution": case["pain"]["distribution"]}


def _plan(case: Json) -> Json:
    proposed = case["proposed_plan"]
    drugs = [
        {"drug": one["name"], "route": one["route"], "daily_dose_mg": one["daily_dose_mg"], "site": one.get("site")}
        for one in proposed["medications"]
    ]
    others = [{"code": {"system": SNOMED, "code": code}} for code in proposed["non_drug"]]
    return {
        "activities": [{key: value for key, value in one.items() if value is not None} for one in drugs + others],
        "goals": [{"measure": "nrs", "reduction_percent": 30, "due": "2026-08-01"}],
        "review_on": "2026-06-01",
        "context": {"prior_first_line_trials": case["prior_first_line_trials"]}
        | {CONTEXT[name]: value for name, value in case["observations"].items() if name in CONTEXT},
    }


def _post(server: httpx.Client, address: str, body: Json, made: list[str]) -> Json:
    answer = server.post(address, json=body)
    if answer.status_code != 201:
        raise SystemExit(f"{address} answered {answer.status_code}: {answer.text}")
    told: Json = answer.json()
    made += told.get("resources", [address])
    return told


@contextmanager
def server(folder: Path, name: str, settings: dict[str, str]) -> Iterator[httpx.Client]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {k: v for k, v in os.environ.items() if not k.startswith("DERMATOME_")} | settings
    own |= {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/{name}.db",
        "DERMATOME_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen([sys.executable, "-m", "app", "serve"], env=own)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/", timeout=30) as client:
            _wait_until_ready(client, process)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise SystemExit("A server did not start.")


if __name__ == "__main__":
    sys.exit(main())
