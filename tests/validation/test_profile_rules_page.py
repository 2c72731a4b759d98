"""Every rule of ours is explained, and the page that shows them is the one the files give."""

import pytest

from app.profiles import json_files
from app.validation.telling.explanations import explained, explanations
from tests.validation.test_instrument_rules import COVERED
from tools.profile_rules_page import PAGE, own_rules, page

KEYS = {rule["key"] for _, _, rule in own_rules()}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_rule_of_ours_is_explained(key: str) -> None:
    found = explained(key)

    assert found is not None
    assert all(len(each) > 10 for each in (found.why, found.source, found.fix)) or found.source == "Project rule"


def test_every_explanation_is_about_a_rule() -> None:
    used = {explained(key) for key in KEYS}

    assert [one.keys for one in explanations() if one not in used] == []


def test_rules_of_others_are_not_explained_here() -> None:
    assert explained("obs-6") is None


def test_keys_are_unique_within_a_profile() -> None:
    found = [(stem, rule["key"]) for stem, _, rule in own_rules()]

    assert len(found) == len(set(found))


def test_every_rule_that_can_be_broken_alone_has_an_example() -> None:
    shown = {example["expect"].get("rule") for example in json_files("examples/invalid").values()}
    warnings = {rule["key"] for _, _, rule in own_rules() if rule["severity"] == "warning"}

    # Those of instruments are shown on their worked examples.
    assert warnings - COVERED <= shown
