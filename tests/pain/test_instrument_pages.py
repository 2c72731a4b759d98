"""Every instrument has a page in docs/instruments, and it says what the content file says."""

from tools.instrument_pages import FOLDER, pages


def test_the_pages_of_the_instruments_are_up_to_date() -> None:
    found = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.md")}

    assert found == pages()
