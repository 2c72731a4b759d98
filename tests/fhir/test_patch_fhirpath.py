"""FHIRPath Patch (R4, fhirpatch.html): each operation on each kind of element, and what is refused."""

import json
from typing import Any

import pytest

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused, TooLarge, Unprocessable
from app.fhir.patch import apply, read_patch

FHIR = "application/fhir+json"
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "1",
    "contained": [{"resourceType": "Organization", "id": "o", "name": "O"}],
    "name": [{"family": "A", "given": ["x", "y"]}, {"given": ["z"], "_given": [{"id": "q"}]}],
    "birthDate": "2000-01-01",
    "generalPractitioner": [{"reference": "#o"}],
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "1",
    "status": "final",
    "valueQuantity": {"value": 7, "unit": "points"},
}
Made = dict[str, Any]


def operation(kind: str, path: str, **parts: Any) -> Made:
    """One operation; a part is a plain text or number, or the content of a part."""
    made: list[Made] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, value in parts.items():
        plain = {"valueInteger": value} if isinstance(value, int) else {"valueString": value}
        made.append({"name": name} | (value if isinstance(value, dict) else plain))
    return {"name": "operation", "part": made}


def parameters(*operations: Made) -> Made:
    return {"resourceType": "Parameters", "parameter": list(operations)}


def patched(resource: Made, *operations: Made) -> Any:
    return lossless.parse(apply(read_patch(FHIR, parameters(*operations)), json.dumps(resource).encode()))


def refused(resource: Made, body: Made) -> tuple[type[Refused], list[Issue]]:
    try:
        apply(read_patch(FHIR, body), json.dumps(resource).encode())
    except Refused as error:
        return type(error), list(error.issues)
    raise AssertionError("the patch was taken")


CONTACT = {
    "part": [
        {"name": "name", "valueHumanName": {"text": "n"}},
        {"name": "telecom", "part": [{"name": "value", "valueString": "1"}]},
        {"name": "telecom", "part": [{"name": "value", "valueString": "2"}]},
    ]
}


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        (operation("add", "Patient", name="active", value={"valueBoolean": True}), {"active": True}),
        (operation("add", "Patient", name="gender", value={"valueString": "male"}), {"gender": "male"}),
        (
            operation("add", "Patient", name="deceased", value={"valueDateTime": "2020"}),
            {"deceasedDateTime": "2020"},
        ),
        (operation("add", "Patient", name="deceased[x]", value={"valueBoolean": False}), {"deceasedBoolean": False}),
        (
            operation("add", "Patient", name="deceasedBoolean", value={"valueBoolean": False}),
            {"deceasedBoolean": False},
        ),
        (
            operation("add", "Patient", name="contact", value=CONTACT),
            {"contact": [{"name": {"text": "n"}, "telecom": [{"value": "1"}, {"value": "2"}]}]},
        ),
        (
            operation("add", "Patient.name[0]", name="given", value={"valueString": "z"}),
            {"name": [{"family": "A", "given": ["x", "y", "z"]}, PATIENT["name"][1]]},
        ),
        (
            operation("add", "Patient", name="contained", value={"resource": {"resourceType": "Basic", "id": "b"}}),
            {"contained": [*PATIENT["contained"], {"resourceType": "Basic", "id": "b"}]},
        ),
        (
            operation("add", "Patient", name="gender", value={"valueCode": "male", "_valueCode": {"id": "g"}}),
            {"gender": "male", "_gender": {"id": "g"}},
        ),
        (
            operation("add", "Patient.birthDate", name="extension", value={"valueExtension": {"url": "http://x.y"}}),
            None,
        ),
        (
            operation(
                "add",
                "Patient.birthDate",
                name="extension",
                value={"part": [{"name": "url", "valueUri": "http://x.y"}, {"name": "valueCode", "valueCode": "c"}]},
            ),
            {"_birthDate": {"extension": [{"url": "http://x.y", "valueCode": "c"}]}},
        ),
        (
            operation("insert", "Patient.identifier", index=0, value={"valueIdentifier": {"value": "i"}}),
            {"identifier": [{"value": "i"}]},
        ),
        (
            operation("insert", "Patient.name[1].given", index=0, value={"valueString": "w"}),
            {"name": [PATIENT["name"][0], {"given": ["w", "z"], "_given": [None, {"id": "q"}]}]},
        ),
        (
            operation("insert", "name", index=2, value={"valueHumanName": {"text": "n"}}),
            {"name": [*PATIENT["name"], {"text": "n"}]},
        ),
        (
            operation("delete", "Patient.name[0].given.where($this = 'x')"),
            {"name": [{"family": "A", "given": ["y"]}, PATIENT["name"][1]]},
        ),
        (operation("delete", "Patient.name[1].given"), {"name": [PATIENT["name"][0]]}),
        (operation("delete", "Patient.name[1]"), {"name": [PATIENT["name"][0]]}),
        (operation("delete", "Patient.photo"), {}),
        (
            operation("replace", "Patient.birthDate", value={"valueDate": "1999", "_valueDate": {"id": "r"}}),
            {"birthDate": "1999", "_birthDate": {"id": "r"}},
        ),
        (
            operation("replace", "Patient.name.given[2]", value={"valueString": "Z"}),
            {"name": [PATIENT["name"][0], {"given": ["Z"]}]},
        ),
        (
            operation("replace", "Patient.generalPractitioner.resolve().name", value={"valueString": "P"}),
            {"contained": [{"resourceType": "Organization", "id": "o", "name": "P"}]},
        ),
        (operation("move", "Patient.name", source=1, destination=0), {"name": PATIENT["name"][::-1]}),
        (
            operation("move", "Patient.name[0].given", source=0, destination=1),
            {"name": [{"family": "A", "given": ["y", "x"]}, PATIENT["name"][1]]},
        ),
    ],
    ids=lambda value: str(value["part"][1]["valueString"]) if value and "part" in value else "",
)
def test_each_operation_changes_what_its_path_names(asked: Made, changed: Made | None) -> None:
    if changed is None:
        # Parameters has no valueExtension: an extension comes in parts.
        assert refused(PATIENT, parameters(asked))[1][0].code == "structure"
        return

    result = patched(PATIENT, asked)

    names = {name for variant in changed for name in (variant, "_" + variant)}
    assert {name: result.get(name) for name in changed} == changed
    assert {n: v for n, v in result.items() if n not in names} == {n: v for n, v in PATIENT.items() if n not in names}


def test_a_choice_changes_its_type() -> None:
    result = patched(OBSERVATION, operation("replace", "Observation.value", value={"valueString": "much"}))

    assert result == {"resourceType": "Observation", "id": "1", "status": "final", "valueString": "much"}


def test_an_object_of_which_nothing_is_left_is_taken_away() -> None:
    result = patched(
        OBSERVATION,
        operation("delete", "Observation.value.unit"),
        operation("delete", "Observation.value.value"),
    )

    assert "valueQuantity" not in result


def test_an_extension_of_a_primitive_goes_and_its_value_stays() -> None:
    resource = PATIENT | {"_birthDate": {"extension": [{"url": "http://x.y", "valueCode": "c"}]}}

    assert patched(resource, operation("delete", "Patient.birthDate.extension")) == PATIENT


def test_a_patch_can_be_applied_again_and_each_time_alike() -> None:
    patch = read_patch(FHIR, parameters(operation("add", "Patient", name="contact", value=CONTACT)))
    text = json.dumps(PATIENT).encode()

    assert apply(patch, text) == apply(patch, text)


@pytest.mark.parametrize(
    "following",
    [
        operation("move", "Patient.maritalStatus.coding", source=0, destination=0),
        operation("insert", "Patient.maritalStatus.coding", index=0, value={"valueCoding": {"code": "c"}}),
        operation("add", "Patient.maritalStatus", name="coding", value={"valueCoding": {"code": "c"}}),
    ],
    ids=lambda value: str(value["part"][0]["valueCode"]),
)
def test_what_a_patch_put_in_malformed_it_cannot_go_on_with(following: Made) -> None:
    malformed = operation("add", "Patient", name="maritalStatus", value={"valueCodeableConcept": {"coding": "no"}})

    kind, found = refused(PATIENT, parameters(malformed, following))

    assert kind is Unprocessable
    assert found[0].expression.startswith("Parameters.parameter[1]")


def test_malformed_values_are_left_for_the_validation_to_refuse() -> None:
    concept: Made = {"coding": [], "text": None, "extension": {}}

    result = patched(
        PATIENT, operation("add", "Patient", name="maritalStatus", value={"valueCodeableConcept": concept})
    )

    assert result["maritalStatus"] == concept


def test_digits_are_kept() -> None:
    text = b'{"resourceType":"Observation","id":"1","valueQuantity":{"value":1e-7},"component":[{"valueInteger":3}]}'
    body = lossless.parse(
        json.dumps(
            parameters(operation("replace", "Observation.component.value", value={"valueQuantity": {"value": "@"}}))
        )
        .replace('"@"', "72.50")
        .encode()
    )

    result = apply(read_patch(FHIR, body), text)

    assert b'{"value":1e-7}' in result
    assert b'{"value":72.50}' in result


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (operation("replace", "Patient.photo", value={"valueString": "x"}), "not-found"),
        (operation("replace", "Patient.name.given", value={"valueString": "x"}), "multiple-matches"),
        (operation("delete", "Patient.name.given"), "processing"),
        (operation("delete", "Patient"), "processing"),
        (operation("add", "Patient.birthDate.toString()", name="x", value={"valueString": "x"}), "processing"),
        (operation("add", "Patient", name="shoe", value={"valueString": "x"}), "processing"),
        (operation("add", "Patient", name="birthDate", value={"valueDate": "2001"}), "processing"),
        (operation("add", "Patient", name="gender", value={"valueInteger": 3}), "processing"),
        (operation("add", "Patient", name="deceased", value={"valueAddress": {"text": "x"}}), "processing"),
        (operation("add", "Patient", name="deceased", value={"part": []}), "processing"),
        (operation("add", "Patient", name="gender", value={"part": []}), "processing"),
        (operation("insert", "Patient.name", index=3, value={"valueHumanName": {"text": "x"}}), "processing"),
        (operation("insert", "Patient.birthDate", index=0, value={"valueDate": "2001"}), "processing"),
        (operation("insert", "Patient.name.first()", index=0, value={"valueHumanName": {"text": "x"}}), "processing"),
        (operation("move", "Patient.name", source=2, destination=0), "processing"),
        (operation("move", "Patient.name", source=0, destination=2), "processing"),
        (operation("replace", "Patient.name.given + 'x'", value={"valueString": "x"}), "processing"),
        (operation("replace", "Patient.id", value={"valueId": "2"}), "business-rule"),
        (operation("delete", "Patient.id"), "business-rule"),
        (operation("add", "Patient.meta", name="versionId", value={"valueId": "7"}), "not-found"),
        (operation("add", "Patient", name="meta", value={"valueMeta": {"versionId": "7"}}), "business-rule"),
        (
            operation("replace", "Patient.generalPractitioner.reference.resolve().x", value={"valueCode": "x"}),
            "not-found",
        ),
    ],
    ids=lambda value: f"{value['part'][0]['valueCode']} {value['part'][1]['valueString']}" if "part" in value else "",
)
def test_what_does_not_fit_the_resource_is_told_with_the_operation(asked: Made, code: str) -> None:
    kind, found = refused(PATIENT, parameters(operation("delete", "Patient.photo"), asked))

    assert kind is Unprocessable
    assert [issue.code for issue in found] == [code], found
    assert found[0].expression.startswith("Parameters.parameter[1]")


@pytest.mark.parametrize(
    ("body", "expressions"),
    [
        ({"resourceType": "Patient"}, ["Parameters"]),
        ({"resourceType": "Parameters"}, ["Parameters.parameter"]),
        (parameters({"name": "op"}), ["Parameters.parameter[0].name"]),
        (parameters({"name": "operation"}), ["Parameters.parameter[0]"]),
        (parameters(operation("change", "Patient")), ["Parameters.parameter[0].part[0]"]),
        (parameters(operation("delete", "Patient.name.")), ["Parameters.parameter[0].part[1]"]),
        (parameters(operation("delete", "x" * 1001)), ["Parameters.parameter[0].part[1]"]),
        (
            parameters(operation("add", "Patient"), operation("delete", "Patient", index=1)),
            ["Parameters.parameter[0]", "Parameters.parameter[0]", "Parameters.parameter[1].part[2]"],
        ),
        (
            parameters(operation("insert", "name", value={"valueCode": "x"}, index=-1)),
            ["Parameters.parameter[0].part[3]"],
        ),
        (
            parameters(operation("add", "name", name="x", value={"valueNope": 1})),
            ["Parameters.parameter[0].part[3]", "Parameters.parameter[0]"],
        ),
        (
            parameters(operation("add", "Patient", name="photo", value={"valueAttachment": {}})),
            ["Parameters.parameter[0].part[3].value", "Parameters.parameter[0]"],
        ),
        (parameters(operation("delete", "Patient.name", color="red")), ["Parameters.parameter[0].part[2].name"]),
    ],
    ids=lambda value: json.dumps(value)[:70],
)
def test_a_malformed_patch_is_refused_with_every_flaw(body: Made, expressions: list[str]) -> None:
    kind, found = refused(PATIENT, body)

    assert kind is Refused
    assert [issue.expression for issue in found] == expressions


def test_too_many_operations_are_refused() -> None:
    assert refused(PATIENT, parameters(*[operation("delete", "Patient.photo")] * 1001))[0] is TooLarge


def test_all_paths_together_take_no_more_steps_than_one_may() -> None:
    resource = PATIENT | {"name": [{"given": ["x"] * 200}]}
    costly = operation("delete", "Patient.name.given.where(%resource.name.given.where($this = 'y').exists())")

    kind, found = refused(resource, parameters(*[costly] * 1000))

    assert kind is Unprocessable
    assert "too many steps" in found[0].diagnostics


def test_a_thousand_insertions_into_a_long_list_take_no_quadratic_time() -> None:
    resource = PATIENT | {"identifier": [{"value": str(number)} for number in range(5000)]}
    one = operation("insert", "Patient.identifier", index=0, value={"valueIdentifier": {"value": "new"}})

    result = patched(resource, *[one] * 1000)

    assert len(result["identifier"]) == 6000
