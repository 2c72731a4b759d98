"""docs/sync.md says what the tables of the code say."""

from tools.sync_page import PAGE, page


def test_the_page_is_what_the_tables_give() -> None:
    text = PAGE.read_text("utf-8")

    assert page(text) == text
