"""What holds for the scores of every instrument, whatever is answered."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from app.pain.content import load_content
from app.pain.instruments.safety import safety
from app.pain.instruments.scoring import points, score
from app.pain.instruments.types import Instrument, ScoreRule
from tests.pain.answers import Answers, answers

CONTENT = load_content()
INSTRUMENTS = list(CONTENT.instruments.values())
AnsweredBy = tuple[Instrument, Answers]
thorough = settings(max_examples=400, deadline=None, derandomize=True)
answered = st.sampled_from(INSTRUMENTS).flatmap(lambda one: st.tuples(st.just(one), answers(one)))
completed = st.sampled_from(INSTRUMENTS).flatmap(lambda one: st.tuples(st.just(one), answers(one, complete=True)))


def rules(one: Instrument) -> dict[str, ScoreRule]:
    return {rule.id: rule for rule in one.scores}


@thorough
@given(completed)
def test_complete_answers_give_every_score_within_its_range(pair: AnsweredBy) -> None:
    one, given_ = pair

    found = {each.id: each for each in score(one, given_)}

    assert found.keys() == rules(one).keys()
    for name, rule in rules(one).items():
        value = found[name].value
        assert value is not None
        assert rule.low <= value <= rule.high
        assert (found[name].band is None) is (rule.bands == ())
        assert (found[name].positive is None) is (rule.cutoff is None)


@thorough
@given(answered)
def test_a_missing_answer_counts_as_nothing(pair: AnsweredBy) -> None:
    one, given_ = pair

    for each in score(one, given_):
        rule = rules(one)[each.id]
        there = [key for key in rule.items if key in given_]
        assert list(each.missing) == [key for key in rule.items if key not in given_]
        assert (each.value is None) is (len(there) < rule.least_answered)
        if each.value is None:
            assert each.positive is None
            assert each.band is None
        elif rule.method == "mean":
            # The mean of what was answered: with zeros for the rest it would be less.
            mean = sum((Decimal(points(one.item(key), given_[key])) for key in there), Decimal(0)) / len(there)
            assert abs(each.value - mean) <= Decimal("0.005")


@thorough
@given(answered)
def test_a_safety_rule_is_raised_or_lacks_its_answer_or_says_nothing(pair: AnsweredBy) -> None:
    one, given_ = pair

    found = safety(one, given_)

    assert found.checked == tuple(rule.id for rule in one.safety)
    for rule in one.safety:
        raised = rule.id in {each.rule for each in found.findings}
        lacking = rule.id in {each.rule for each in found.data_needed}
        assert lacking is (rule.item not in given_)
        assert raised is (not lacking and int(given_[rule.item]) >= rule.at_least)


def test_the_ninth_answer_of_the_phq_9_is_told_however_low_the_total_is() -> None:
    phq = CONTENT.instruments["phq-9"]
    low = dict.fromkeys((item.key for item in phq.items), 0) | {"self_harm": 1}

    [raised] = safety(phq, low).findings

    assert (raised.rule, raised.severity, raised.evidence) == ("PHQ9-ITEM9", "block", ("answers.self_harm",))
    assert (raised.year, bool(raised.citation)) == (2001, True)
    assert [(one.rule, one.missing) for one in safety(phq, {"mood": 3}).data_needed] == [
        ("PHQ9-ITEM9", ("answers.self_harm",))
    ]
