"""Writes docs/guideline-rules.md: every guideline rule, what raises it and on what ground, and the tables it reads.

    python -m tools.guideline_rules_page

tests/pain/test_guideline_rules_page.py fails when the page is out of date.
"""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from app.pain.content import load_content
from app.pain.rules.case import Edition
from app.pain.rules.guidelines import Guidelines, Rule
from app.pain.rules.limits import Band

PAGE = Path(__file__).parent.parent / "docs" / "guideline-rules.md"
_HEAD = """# Guideline rules

Written by `python -m tools.guideline_rules_page` from `app/profiles/guidelines`; do not edit it here.

Each rule answers *raised*, *data needed* or nothing. A *block* refuses the plan until it is overridden with a reason
(`"override": {"NPR06": "reason"}`); *warn* and *info* are told. A rule looks at current and proposed medicines unless
its trigger says otherwise. What is missing is asked for only where it could change the answer: facts of `context`, age
and sex, or the dose, route, site, form or last day of a medicine. A condition that is not in the record counts as not
there; creatinine clearance, QTc, pregnancy and HLA-B*15:02 do not. eGFR is never used in place of creatinine clearance.
The rules support the judgement of a clinician and do not replace it; citations that say "not re-read" are to be
confirmed by one.
"""


def page() -> str:
    """The whole page."""
    known = load_content().guidelines
    parts = [_HEAD, _rules(known.rules), *(_rule(rule) for rule in known.rules), _editions(known), _renal(known)]
    return "".join([*parts, _morphine(known)])


def _rules(rules: Iterable[Rule]) -> str:
    rows = (f"| [{rule.id}](#{rule.id.lower()}) | {_severities(rule)} | {rule.trigger} |\n" for rule in rules)
    return "\n## All rules\n\n| rule | severity | raised by |\n|---|---|---|\n" + "".join(rows)


def _rule(rule: Rule) -> str:
    said = "".join(f"- {case.severity}: {case.message}\n" for case in rule.cases)
    more = "".join(f"- also, where it applies: {one.message}\n" for one in rule.more)
    needs = f"- may ask for: {', '.join(f'`{need}`' for need in rule.needs)}\n" if rule.needs else ""
    return f"\n### {rule.id}\n\n{rule.title}.\n\n{said}{more}{needs}- rests on: {rule.citation} ({rule.year})\n"


def _severities(rule: Rule) -> str:
    return " / ".join(dict.fromkeys(case.severity for case in rule.cases))


def _editions(known: Guidelines) -> str:
    rows = (
        f"| `{one.id}` | {line} | {', '.join(_named(known, one, line))} | {one.notes.get(line, '')} |\n"
        for one in known.editions.values()
        for line in one.lines
    )
    cited = "".join(f"- `{one.id}`: {one.title}. {one.citation}\n" for one in known.editions.values())
    head = "| edition | line | medicines and therapies | note |\n|---|---|---|---|\n"
    return f"\n## Guideline editions\n\n{cited}\n{head}{''.join(rows)}"


def _named(known: Guidelines, one: Edition, line: str) -> list[str]:
    medicines = [known.classes[name].label for name in one.lines[line]]
    return medicines + [name for name, at in one.therapies.items() if at == line]


def _renal(known: Guidelines) -> str:
    rows = (
        f"| `{name}` | {drug} | {_from(bands, index)} | {_most(band)} |\n"
        for name, table in known.renal.items()
        for drug, bands in table.drugs.items()
        for index, band in enumerate(bands)
    )
    head = "| jurisdiction | medicine | creatinine clearance, mL/min | greatest dose, mg/day |\n|---|---|---|---|\n"
    return f"\n## Renal table\n\n{head}{''.join(rows)}"


def _from(bands: tuple[Band, ...], index: int) -> str:
    here = bands[index].from_ml_min
    if index == 0:
        return f"{here} and above"
    above = bands[index - 1].from_ml_min
    return f"below {above}" if here == 0 else f"{here} to below {above}"


def _most(band: Band) -> str:
    return f"{band.most_mg} x clearance / {band.scaled_at}" if band.scaled_at else str(band.most_mg)


def _morphine(known: Guidelines) -> str:
    rows = (
        f"| {drug} | {', '.join(sorted(one.routes))} | {_plain(one.per_mg)} |\n"
        for drug, one in known.morphine.factors.items()
    )
    head = "| opioid | routes | morphine mg for 1 mg per day |\n|---|---|---|\n"
    left_out = ", ".join(sorted(known.morphine.uncounted))
    return f"\n## Morphine equivalents (CDC {known.morphine.year})\n\n{head}{''.join(rows)}\nNot counted: {left_out}.\n"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
