"""Writes the table of docs/validation-rules.md from the CodeSystem of validation rules.

    python -m tools.document_rules

tests/validation/test_rules.py holds that the page is in step.
"""

from app.profiles import FOLDER, json_files

PAGE = FOLDER.parent.parent / "docs" / "validation-rules.md"
START, END = "<!-- rules -->", "<!-- end of rules -->"


def main() -> None:
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")


def with_table(page: str) -> str:
    """The page with the table of all rules between its marks."""
    before, _, rest = page.partition(START)
    return f"{before}{START}\n{table()}\n{END}{rest.partition(END)[2]}"


def table() -> str:
    rules = json_files("terminology")["CodeSystem-np-validation-rule"]["concept"]
    rows = [f"| `{rule['code']}` | {rule['definition']} |" for rule in rules]
    return "\n".join(["| rule | what it asks |", "|---|---|", *rows])


if __name__ == "__main__":
    main()
