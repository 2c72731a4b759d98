"""JSON without loss, and everything refused that could not be kept as sent."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fhir import json as lossless
from app.fhir.outcomes import Refused

# What may stand in a resource: JSON values whose numbers FHIR allows.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.decimals(-(10**9), 10**9, places=4)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"))
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("abc_"), inner), max_leaves=20)


@given(VALUES)
def test_what_is_written_reads_back_equal(value: object) -> None:
    assert lossless.parse(lossless.dumps(value)) == value


@pytest.mark.parametrize(
    "digits", ["1.10", "0.000000100", "72.50", "-0.00", "1e-7", "1.000000000000000000E-245", "100"]
)
def test_digits_of_a_number_survive_splicing(digits: str) -> None:
    text = f'{{"resourceType":"Observation","valueQuantity":{{"value":{digits}}}}}'.encode()

    kept = lossless.splice(text, resource_id="1", version=1, last_updated="2026-01-01T00:00:00.000Z")

    assert f'"value":{digits}'.encode() in kept


def test_splicing_keeps_what_the_client_put_in_meta() -> None:
    text = b'{"resourceType":"Basic","meta":{"tag":[{"code":"x"}],"versionId":"99"},"id":"theirs"}'

    kept = lossless.parse_object(lossless.splice(text, resource_id="ours", version=2, last_updated="now"))

    assert kept == {
        "resourceType": "Basic",
        "id": "ours",
        "meta": {"tag": [{"code": "x"}], "versionId": "2", "lastUpdated": "now"},
    }


def test_numbers_with_other_digits_are_other_content() -> None:
    one, other = b'{"value":1.10,"meta":{"versionId":"1"}}', b'{"value":1.1}'

    assert not lossless.same_content(one, other)
    assert lossless.same_content(one, b'{"meta":{"versionId":"2"},"value":1.10}')


def test_decimals_are_decimals() -> None:
    assert lossless.parse(b"[1.10]") == [Decimal("1.10")]
    assert str(lossless.parse(b"1.10")) == "1.10"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "not JSON"),
        (b"[1", "not JSON"),
        (b'{"a":1,"a":2}', "twice"),
        (b'{"a":"\\u0000"}', "NUL"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"a\\udfff":1}', "surrogate"),
        (b'{"a":"\x00"}', "not JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"\xed\xa0\x80", "UTF-8"),
        (b"NaN", "no"),
        (b"1e999", "double"),
        (b"1e-999", "double"),
        (b"1e99999999999999999999", "double"),
        (b"1e999999999", "double"),
        (b"-1e999999999", "double"),
        (b"0e999999999", "double"),
        (b"1234567890123456789", "significant"),
        (b"0.1234567890123456789", "significant"),
        (b"1" + b"0" * 30, "beyond"),
        (b"0." + b"0" * 60 + b"1", "significant"),
        (b"[" * 101 + b"]" * 101, "deeper"),
        (b"[" * 100_000, "deeper"),
    ],
)
def test_what_could_not_be_kept_is_refused(text: bytes, told: str) -> None:
    with pytest.raises(Refused) as refused:
        lossless.parse(text)

    assert [issue.code for issue in refused.value.issues] == ["structure"]
    assert told.lower() in refused.value.issues[0].diagnostics.lower()


def test_a_name_twice_among_many_is_found_at_once() -> None:
    names = ",".join(f'"{n}":1' for n in range(50_000))

    with pytest.raises(Refused):
        lossless.parse(f'{{{names},"49999":1}}'.encode())


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert lossless.parse(b'"\\\\u0000"') == "\\u0000"
