"""The page about the guideline rules says what the content says."""

from tools.guideline_rules_page import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page()
