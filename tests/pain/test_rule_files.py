"""A rule file that is malformed, or names what is not there, fails the start with a sentence that says where."""

from copy import deepcopy
from typing import Any

import pytest

from app.pain.concepts import Coding, Concept
from app.pain.rules.facts import Known
from app.pain.rules.files import guidelines
from app.pain.rules.words import mentions
from app.profiles import canonical, json_files, toml_files
from tests.pain.rule_facts import CONTENT

FILES = dict(toml_files("guidelines"))
WORDS = toml_files("vocabulary")
LISTS = {name: getattr(CONTENT, name) for name in ("drugs", "therapies", "orders", "devices", "routes")}


def read(files: dict[str, Any]) -> Any:
    return guidelines(files, WORDS, CONTENT.systems, LISTS)


def with_condition(when: Any) -> dict[str, Any]:
    files = deepcopy(FILES)
    files["rules-opioids"]["rule"][0]["case"][0]["when"] = when
    return files


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"medicine": "opiod"}, "rule NPR01.case[0].when: unknown class 'opiod'"),
        ({"all": [{"medicine": "opioid"}, {"condition": "copdd"}]}, "when.all[1]: unknown condition 'copdd'"),
        ({"fact": "crcl", "below": 30}, "unknown fact 'crcl'"),
        ({"fact": "egfr"}, "without is, at-least, below or named"),
        ({"fact": "ancestry", "named": "asian"}, "unknown list of words 'asian'"),
        ({"medicine": "opioid", "used": ["current"]}, "unknown option used"),
        ({"medicine": "opioid", "use": ["now"]}, "unknown use 'now'"),
        ({"medicine": "lidocaine-patch", "site": ["elbow"]}, "unknown kind of site 'elbow'"),
        ({"medicine": "opioid", "routes": ["by drone"]}, "unknown route 'by drone'"),
        ({"medicine": "opioid", "condition": "copd"}, "exactly one of"),
        ({"medecine": "opioid"}, "exactly one of"),
        ({"any": []}, "expected an array of conditions"),
        ({"not": {"procedure": "surgery"}}, "when.not: unknown procedure 'surgery'"),
        ({"device": "pacemaker"}, "unknown device 'pacemaker'"),
        ({"age": 65}, "expected at-least, below or both"),
        ({"grade": "certain"}, "unknown grade 'certain'"),
        ({"sex": "f"}, "unknown sex 'f'"),
        ({"plan": "budget"}, "unknown part of a plan 'budget'"),
        ({"line": "fifth"}, "unknown line 'fifth'"),
        ({"over-renal-limit": "us"}, "expected true"),
        ({"morphine-equivalents": {"above": 50}}, "expected at-least, below or both"),
        ("opioid", "exactly one of"),
    ],
)
def test_a_condition_that_cannot_be_asked_is_refused(when: Any, said: str) -> None:
    with pytest.raises(ValueError, match="guidelines: rule NPR01") as refused:
        read(with_condition(when))

    assert said in str(refused.value)


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    files = deepcopy(FILES)
    at: Any = files
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return files


RULE = ("rules-opioids", "rule", 0)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ((*RULE, "year_of"), 2019, "rule NPR01: expected"),
        ((*RULE, "id"), "NPR02", "unknown second rule 'NPR02'"),
        ((*RULE, "case", 0, "severity"), "stop", "expected severity"),
        (
            ("rules-antidepressants", "rule", 2, "case", 0, "severity"),
            "info",
            "rule NPR05: the gravest case stands first",
        ),
        (("medicine-classes", "class", "tca", "drugs"), ["amitryptiline"], "class tca: unknown drug amitryptiline"),
        (("medicine-classes", "class", "tca", "clases"), [], "class tca: unknown option clases"),
        (("medicine-classes", "class", "tca", "classes"), ["opioid"], "class opioid does not stand before it"),
        (("conditions", "condition", "copd", "word"), [], "unknown option word"),
        (("procedures", "procedure", "mri", "listed"), ["mir"], "unknown therapy, order or device 'mir'"),
        (("morphine-equivalents", "uncounted"), ["buprenorphin"], "unknown drug 'buprenorphin'"),
        (("editions", "edition", 0, "line", 0, "medicines"), ["tcas"], "unknown class 'tcas'"),
        (("editions", "edition", 0, "line", 0, "line"), "second", "edition neupsig-2025: a line stands once"),
        (("renal", "table", 0, "drug", "pregabalin"), [{"from": 15, "most": 150}], "do not run from the highest"),
    ],
)
def test_a_file_at_odds_with_the_others_is_refused(path: tuple[Any, ...], value: Any, said: str) -> None:
    with pytest.raises(ValueError, match="guidelines") as refused:
        read(changed(path, value))

    assert said in str(refused.value)


def test_every_rule_is_a_concept_of_ours_with_its_trigger_as_definition() -> None:
    system = json_files("terminology")["CodeSystem-np-rule"]
    concepts = {row["code"]: (row["display"], row["definition"]) for row in system["concept"]}

    assert system["url"] == canonical("CodeSystem", "np-rule")
    for rule in CONTENT.guidelines.rules:
        assert concepts[rule.id] == (rule.title, f"{rule.trigger}.")


@pytest.mark.parametrize("name", FILES["conditions"]["condition"])
def test_every_code_and_every_word_of_a_group_is_recognised(name: str) -> None:
    row, group = FILES["conditions"]["condition"][name], CONTENT.guidelines.conditions[name]
    coded = [*row.get("codings", []), *({**one, "code": one["prefix"]} for one in row.get("prefixes", []))]

    def named(concept: Concept) -> bool | None:
        return group.names(Known(concept, "Condition/1")).truth

    for one in coded:
        assert named(Concept((Coding(CONTENT.systems[one["system"]], one["code"]),))), one
    for words in row.get("words", []):
        assert named(Concept((), f"Patient with {words.upper()}.")), words
        assert named(Concept((), f"Patient without {words}")) is False, words


@pytest.mark.parametrize("name", FILES["medicine-classes"]["class"])
def test_every_medicine_of_a_class_belongs_to_it(name: str) -> None:
    row, known = FILES["medicine-classes"]["class"][name], CONTENT.guidelines.classes[name]
    concepts = [CONTENT.drugs.rows[drug].concept for drug in row.get("drugs", [])]
    concepts += [Concept((), f"{one} 10 MG Oral Tablet") for one in row.get("names", [])]
    concepts += [
        Concept((Coding(CONTENT.systems[c["system"]], c["code"]),))
        for c in row.get("codings", [])
        if c["code"][-2:].isdigit()
    ]

    strangers = [one for one in concepts if not CONTENT.guidelines.pharmacy.recognised(one)(known)]

    assert strangers == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("heart failure", True),
        ("Chronic heart failure, compensated", True),
        ("no heart failure", False),
        ("no diabetes; heart failure", True),
        ("no diabetes, no heart failure", False),
        ("heart failures", False),
        ("", False),
    ],
)
def test_words_are_whole_and_not_denied(words: str, expected: bool) -> None:
    assert mentions(words, ("heart failure",), ("no", "not")) is expected
