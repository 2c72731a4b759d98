"""XML and JSON are two forms of the same resource: there and back nothing changes, and what is no R4 XML is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, NotAcceptable, Refused
from app.fhir.xml import PostedXml, from_xml, to_xml
from app.profiles import FOLDER

EXAMPLES = sorted([*(FOLDER / "examples" / "valid").glob("*.json"), *(FOLDER / "structuredefinitions").glob("*.json")])
XHTML = "http://www.w3.org/1999/xhtml"
SCHEMA = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir fhir-all.xsd"'


def exact(text: bytes) -> Any:
    """The value of JSON with every number as it was written."""
    return json.loads(text, parse_float=lambda digits: ("number", digits), parse_int=lambda digits: ("number", digits))


def patient(inner: str, attributes: str = "") -> bytes:
    return f'<Patient xmlns="http://hl7.org/fhir"{attributes}>{inner}</Patient>'.encode()


def read(inner: str) -> Any:
    return json.loads(from_xml(patient(inner)).text)


def refused(text: bytes) -> list[Issue]:
    with pytest.raises(Refused) as error:
        from_xml(text)
    return list(error.value.issues)


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_the_same_there_and_back(path: Path, pretty: bool) -> None:
    text = path.read_bytes()

    assert exact(from_xml(to_xml(text, pretty=pretty)).text) == exact(text)


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.parent.name == "valid"], ids=lambda path: path.stem)
def test_fhir_resources_reads_the_same_from_our_xml(path: Path) -> None:
    resource = json.loads(path.read_bytes())
    model = get_fhir_model_class(resource["resourceType"])

    theirs = model.model_validate_xml(to_xml(path.read_bytes()))

    assert theirs == model.model_validate(resource)


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), min_size=1
)
TEXTS = WORDS.filter(lambda text: text.strip() != "") | st.sampled_from(["a\nb", "\tx\r\n", "<&>\"'", "]]>", "é́😀"])
EXTRAS = (
    st.none()
    | st.fixed_dictionaries({"id": st.just("x")})
    | st.fixed_dictionaries(
        {"extension": st.lists(st.fixed_dictionaries({"url": TEXTS, "valueString": TEXTS}), min_size=1, max_size=2)}
    )
)


@given(st.lists(st.tuples(TEXTS | st.none(), EXTRAS).filter(any), min_size=1, max_size=4), TEXTS)
def test_texts_and_lists_with_gaps_are_the_same_there_and_back(given_names: list[Any], family: str) -> None:
    name: dict[str, Any] = {"family": family, "given": [value for value, _ in given_names]}
    name["_given"] = [extra for _, extra in given_names]
    name = {key: value for key, value in name.items() if key == "family" or any(value)}
    text = lossless.dumps({"resourceType": "Patient", "name": [name]})

    back = json.loads(from_xml(to_xml(text)).text)["name"][0]

    for key in ("given", "_given"):
        # Trailing nulls say nothing.
        told = name.get(key, [])
        while told and told[-1] is None:
            told = told[:-1]
        found = back.get(key, [])
        while found and found[-1] is None:
            found = found[:-1]
        assert found == told
    assert back["family"] == family


@pytest.mark.parametrize("digits", ["1.10", "0.000000100", "1e-7", "-0.00", "1E+2", "100", "72.50"])
def test_numbers_keep_their_digits(digits: str) -> None:
    text = f'{{"resourceType":"Observation","valueQuantity":{{"value":{digits}}}}}'.encode()

    xml = to_xml(text)

    assert f'<value value="{digits}"/>'.encode() in xml
    assert from_xml(xml).text == text


def test_every_kind_of_element_has_its_xml_form() -> None:
    resource = {
        "resourceType": "Patient",
        "id": "1",
        "text": {"status": "generated", "div": f'<div xmlns="{XHTML}">a<br/>b &amp; c</div>'},
        "contained": [{"resourceType": "Basic", "id": "b"}],
        "extension": [{"id": "e", "url": "http://x.y", "valueBoolean": True}],
        "name": [{"id": "n", "given": ["x", None], "_given": [None, {"id": "g"}]}],
        "birthDate": "2000",
        "_birthDate": {"extension": [{"url": "http://x.y", "valueInteger": 3}]},
    }

    xml = to_xml(lossless.dumps(resource)).decode()

    assert xml == (
        '<?xml version="1.0" encoding="UTF-8"?><Patient xmlns="http://hl7.org/fhir"><id value="1"/>'
        f'<text><status value="generated"/><div xmlns="{XHTML}">a<br/>b &amp; c</div></text>'
        '<contained><Basic><id value="b"/></Basic></contained>'
        '<extension id="e" url="http://x.y"><valueBoolean value="true"/></extension>'
        '<name id="n"><given value="x"/><given id="g"/></name>'
        '<birthDate value="2000"><extension url="http://x.y"><valueInteger value="3"/></extension></birthDate>'
        "</Patient>"
    )
    assert json.loads(from_xml(xml.encode()).text) == resource


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<!-- a comment --><active value='true'/>", {"active": True}),
        ("<?instruction?>\n  <active value='false'/>\n", {"active": False}),
        ("<multipleBirthInteger value='3'/>", {"multipleBirthInteger": 3}),
        ("<f:active xmlns:f='http://hl7.org/fhir' value='true'/>", {"active": True}),
        ("<gender value='&#109;ale'/>", {"gender": "male"}),
        ("<gender value='a&amp;b'/>", {"gender": "a&b"}),
    ],
)
def test_other_ways_to_write_the_same_are_read(inner: str, expected: Any) -> None:
    assert read(inner) == {"resourceType": "Patient"} | expected


def test_a_schema_location_is_tolerated() -> None:
    assert json.loads(from_xml(patient("<active value='true'/>", " " + SCHEMA)).text)["active"] is True


@pytest.mark.parametrize(
    ("div", "kept"),
    [
        (f"<div xmlns='{XHTML}' ><p  class='x'>a<!-- b --></p></div >", None),
        (f'<div xmlns="{XHTML}"><![CDATA[a < b]]>&#160;</div>', None),
        ('<h:div>a<h:b title="x">&lt;b</h:b></h:div>', f'<div xmlns="{XHTML}">a<b title="x">&lt;b</b></div>'),
        (f'<div xmlns="{XHTML}">a<h:b>b</h:b></div>', f'<div xmlns="{XHTML}">a<b>b</b></div>'),
    ],
)
def test_narrative_is_kept_as_written_or_made_to_stand_alone(div: str, kept: str | None) -> None:
    text = patient(f"<text><status value='generated'/>{div}</text>", f' xmlns:h="{XHTML}"')

    assert json.loads(from_xml(text).text)["text"]["div"] == (kept or div)


@pytest.mark.parametrize(
    ("inner", "expression"),
    [
        ("<shoe value='1'/>", "Patient.shoe"),
        ("<active value='true'/><active value='true'/>", "Patient.active"),
        ("<active value='yes'/>", "Patient.active"),
        ("<active value='1'/>", "Patient.active"),
        ("<multipleBirthInteger value='007'/>", "Patient.multipleBirthInteger"),
        ("<multipleBirthInteger value='1.5'/>", "Patient.multipleBirthInteger"),
        ("<gender value=''/>", "Patient.gender"),
        ("<gender/>", "Patient.gender"),
        ("<gender>male</gender>", "Patient.gender"),
        ("<gender value='male' x='y'/>", "Patient.gender"),
        ("<gender value='male'><code value='x'/></gender>", "Patient.gender.code"),
        ("<name/>", "Patient.name[0]"),
        ("<name><given value='a'/><family value='b'/></name>", "Patient.name[0].family"),
        ("<birthDate value='2000'/><active value='true'/>", "Patient.active"),
        ("<name><id value='x'/><family value='b'/></name>", "Patient.name[0].id"),
        ("<name value='x'><family value='b'/></name>", "Patient.name[0]"),
        ("<extension><url value='http://x.y'/></extension>", "Patient.extension[0].url"),
        ("<x:active xmlns:x='urn:x' value='true'/>", "Patient.active"),
        ("<active xmlns='' value='true'/>", "Patient.active"),
        (f"<active xmlns='{XHTML}' value='true'/>", "Patient.active"),
        ("<text><status value='generated'/><div>a</div></text>", "Patient.text.div"),
        ("<contained><Basic/><Basic/></contained>", "Patient.contained[0]"),
        ("<contained/>", "Patient.contained[0]"),
        ("<contained><Shoe/></contained>", "Patient.contained[0]"),
        ("<contained id='x'><Basic/></contained>", "Patient.contained[0]"),
        ("stray", "Patient"),
    ],
)
def test_what_r4_does_not_have_is_refused_with_its_place(inner: str, expression: str) -> None:
    found = refused(patient("\n" + inner))

    assert expression in [issue.expression for issue in found]
    assert all(issue.line is not None and issue.column is not None for issue in found)


def test_every_flaw_is_told_up_to_a_bound() -> None:
    assert len(refused(patient("<shoe/><sock/>"))) == 2
    assert len(refused(patient("<shoe/>" * 5000))) == 50


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<",
        b"<Patient>",
        b"{}",
        b"<Patient/>",
        b'<Shoe xmlns="http://hl7.org/fhir"/>',
        b'<Patient xmlns="http://hl7.org/fhir/r5"/>',
        b'<Patient xmlns="http://hl7.org/fhir"/><Patient/>',
        b'<?xml version="1.0" encoding="ISO-8859-1"?><Patient xmlns="http://hl7.org/fhir"/>',
        b'<Patient xmlns="http://hl7.org/fhir"><gender value="\xff"/></Patient>',
        '<Patient xmlns="http://hl7.org/fhir"/>'.encode("utf-16"),
        b'<!DOCTYPE Patient><Patient xmlns="http://hl7.org/fhir"/>',
        b'<!DOCTYPE p [<!ENTITY a "b">]><Patient xmlns="http://hl7.org/fhir"><gender value="&a;"/></Patient>',
        b'<!DOCTYPE p SYSTEM "file:///etc/passwd"><Patient xmlns="http://hl7.org/fhir"/>',
        b'<Patient xmlns="http://hl7.org/fhir"><gender value="&nbsp;"/></Patient>',
        b'<Patient xmlns="http://hl7.org/fhir">' + b"<extension>" * 300 + b"</extension>" * 300 + b"</Patient>",
        b'<Patient xmlns="http://hl7.org/fhir"><gender value="&#0;"/></Patient>',
    ],
    ids=lambda text: str(text[:60]),
)
def test_what_is_no_safe_xml_of_a_resource_is_refused(text: bytes) -> None:
    assert all(issue.code == "structure" for issue in refused(text))


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "ViewDefinition"},
        {"resourceType": "Patient", "name": [{"family": "a\u0001b"}]},
        {"resourceType": "Patient", "shoe": 1},
        {"resourceType": "Patient", "_resourceType": {"id": "x"}},
        {"resourceType": "Patient", "name": [{"id": "x", "_id": {"extension": [{"url": "x"}]}}]},
    ],
    ids=str,
)
def test_what_xml_cannot_hold_is_not_given_as_xml(resource: Any) -> None:
    with pytest.raises(NotAcceptable) as error:
        to_xml(lossless.dumps(resource))

    assert "ask for JSON" in error.value.issues[0].diagnostics


def test_issues_of_content_are_placed_in_the_xml() -> None:
    text = b"""<Bundle xmlns="http://hl7.org/fhir">
  <type value="batch"/>
  <entry>
    <resource>
      <Patient>
        <gender value="x"/>
      </Patient>
    </resource>
  </entry>
</Bundle>"""
    found = from_xml(text)

    (issue,) = PostedXml(found, json.loads(found.text)).placed([Issue("value", "", "Bundle.entry[0].resource.gender")])

    assert (issue.line, issue.column, issue.entry, issue.pointer) == (6, 9, 0, None)


def test_a_large_bundle_is_converted_in_time_that_grows_with_it() -> None:
    entry = {"resource": {"resourceType": "Patient", "name": [{"given": ["x"] * 20}]}}
    text = lossless.dumps({"resourceType": "Bundle", "type": "collection", "entry": [entry] * 5000})

    assert exact(from_xml(to_xml(text)).text) == exact(text)
