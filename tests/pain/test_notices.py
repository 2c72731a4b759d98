"""Whose content this project carries is said where the content is, and once for all."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = ("SNOMED CT Global Patient Set", "CC BY 4.0", "LOINC", "ATC", "RxNorm", "ICD-11", "CC0")


@pytest.mark.parametrize("words", ["Global Patient Set", "Creative Commons Attribution 4.0", *NAMED[2:]])
def test_the_notice_names_every_terminology(words: str) -> None:
    assert words in (ROOT / "NOTICE").read_text("utf-8")


@pytest.mark.parametrize("words", NAMED)
def test_the_examples_name_every_terminology(words: str) -> None:
    assert words in (ROOT / "app" / "profiles" / "examples" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("path", ["instruments/nrs.toml", "vocabulary/goals.toml", "vocabulary/others.toml"])
def test_a_file_with_loinc_codes_has_the_notice_of_loinc(path: str) -> None:
    text = " ".join((ROOT / "app" / "profiles" / path).read_text("utf-8").replace("#", " ").split())

    assert "content from LOINC (https://loinc.org)" in text
    assert "at no cost under the licence at https://loinc.org/license" in text
