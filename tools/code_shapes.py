"""What codes of clinical terminologies look like: check digits and forms.

Sources: SNOMED CT Technical Implementation Guide (Verhoeff check digit of identifiers), LOINC Users' Guide (mod 10
check digit), ICD-10-CM and ICD-10 tabular lists, ICD-11 reference guide, WHO ATC index, RxNorm technical documentation.
"""

import re
from collections.abc import Iterator

_SNOMED, _LOINC = "http://snomed.info/sct", "http://loinc.org"
_FORMS = {
    _SNOMED: r"[1-9]\d{5,17}",
    _LOINC: r"(?:LP|LA|LL|MTHU)?\d{1,7}-\d",
    "http://hl7.org/fhir/sid/icd-10-cm": r"[A-TV-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?",
    "http://hl7.org/fhir/sid/icd-10": r"[A-Z]\d\d(?:\.\d{1,2})?",
    "http://id.who.int/icd/release/11/mms": r"[0-9A-HJ-NP-VX][A-HJ-NP-Z][0-9][0-9A-HJ-NP-Z](?:\.[0-9A-HJ-NP-Z]{1,2})?",
    "http://www.nlm.nih.gov/research/umls/rxnorm": r"[1-9]\d{0,7}",
    "http://www.whocc.no/atc": r"[A-DGHJLMNPRSV](?:\d\d(?:[A-Z](?:[A-Z](?:\d\d)?)?)?)?",
    "http://www.cms.gov/Medicare/Coding/ICD10": r"[0-9A-HJ-NP-Z]{7}",
}
# Forms that nothing but a code has, inside any text.
_LOOKS = re.compile(
    r"(?<![\w./-])(\d{8,18}|\d{3,7}-\d|[A-Z]\d[0-9A-Z]\.[0-9A-Z]{1,4}|[A-Z]\d\d[A-Z]{2}\d\d)(?![\w-]|\.\w)"
)
_PRODUCT = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTED = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def flaw_of_shape(system: str, code: str) -> str:
    """What is wrong with the form or the check digit of a code, as the end of a sentence; "" if nothing is."""
    form = _FORMS.get(system)
    if form and not re.fullmatch(form, code):
        return f": {code} has not the form of a code of {system}"
    if (system == _SNOMED and not verhoeff(code)) or (system == _LOINC and not mod_10(code)):
        return f": the check digit of {code} is wrong"
    return ""


def looks_clinical(text: str) -> Iterator[str]:
    """The words of a text that have the form of a clinical code, and its check digit where the form has one."""
    for word in _LOOKS.findall(text):
        if word.isdigit():
            is_code = verhoeff(word)
        else:
            is_code = mod_10(word) if "-" in word else True
        if is_code:
            yield word


def verhoeff(digits: str) -> bool:
    """Whether the last digit is the Verhoeff check digit of those before it."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_PRODUCT[check][int(_PERMUTED[place % 8][int(digit)])])
    return check == 0


def mod_10(code: str) -> bool:
    """Whether the digit behind the hyphen is the mod 10 (Luhn) check digit of those before it."""
    digits, _, check = code.lstrip("LPAMTHU").partition("-")
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return str(-total % 10) == check
