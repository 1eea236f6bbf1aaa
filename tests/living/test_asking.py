"""Typing a trial in: each answer is checked, one can go back, and what comes out can be added."""

import itertools
from dataclasses import replace

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from metapeer.living.adding import add_rows
from metapeer.living.asking import BACK, Question, ask_trial, check_answer
from metapeer.living.folder import init_review
from metapeer.records.catalog import load_dataset
from metapeer.records.schema import OUTCOMES

REVIEW = load_dataset("lyons2021")
TRIAL = {"study_id": "smith2026", "citation": "Smith (2026)"}
MEANS = {"n1": "60", "mean1": "31.20", "sd1": "8.1", "n2": "58", "mean2": "29.4", "sd2": "8.8"}
ROW = {"instrument": "Herth Hope Index", "format": "group", "timepoint": "end", "kind": "means", "source": "Table 2"}


class Typist:
    """Answers by the name of the question; several answers to one are given in turn, the last again and again."""

    def __init__(self, **answers: str | list[str]) -> None:
        self.answers = {name: iter([one] if isinstance(one, str) else one) for name, one in answers.items()}
        self.last: dict[str, str] = {}
        self.asked: list[str] = []
        self.told: list[str] = []

    def ask(self, question: Question) -> str:
        self.asked.append(question.name)
        assert len(self.asked) < 200, "the dialogue does not end"
        self.last[question.name] = next(self.answers.get(question.name, iter(())), self.last.get(question.name, ""))
        return self.last[question.name]

    def run(self):
        return ask_trial(self.ask, REVIEW, tell=self.told.append)


def test_what_is_typed_can_be_added_as_it_is(tmp_path):
    typed = Typist(**TRIAL, **ROW, **MEANS).run()
    assert typed.rows.to_dict("records") == [
        {"study_id": "smith2026", "instrument": "Herth Hope Index", "outcome": "hope", "outcome_class": "psychosocial",
         "format": "group", "timepoint": "end_of_treatment", **MEANS, "source": "Table 2"}
    ]  # fmt: skip
    assert typed.trials.to_dict("records") == [TRIAL]
    folder = init_review(tmp_path / "mine", start="lyons2021").path
    result = add_rows(folder, typed.rows, trials=typed.trials, write=True)
    hope = result.update["hope"]
    assert hope.after.k == hope.before.k + 1


def test_a_wrong_answer_is_told_and_asked_again():
    typist = Typist(
        **TRIAL,
        **(ROW | {"format": ["both", "group"]}),
        **(MEANS | {"n1": ["1", "many", "60"], "sd1": ["0", "8.1"], "mean1": ["31,2", "31.20"]}),
    )
    typed = typist.run()
    assert typed.rows.loc[0, list(MEANS)].to_dict() == MEANS
    told = "\n".join(typist.told)
    for words in (
        "'both' is unknown",
        "1 is not allowed",
        "'many' is not a number",
        "0 is not allowed",
        "decimal comma",
    ):
        assert words in told


def test_one_can_go_back_to_the_question_before():
    typist = Typist(**TRIAL, **(ROW | {"kind": ["events", "means"]}), **MEANS, events1=BACK)
    typed = typist.run()
    assert typed.rows.loc[0, list(MEANS)].to_dict() == MEANS
    place = typist.asked.index("events1")
    assert typist.asked[place - 1 : place + 2] == ["kind", "events1", "kind"]
    first = Typist(**(TRIAL | {"study_id": [BACK, "smith2026"]}), **ROW, **MEANS)
    first.run()
    assert first.told == ["this is the first question"]


def test_help_says_what_the_column_means():
    typist = Typist(**TRIAL, **(ROW | {"format": ["?", "group"]}), **MEANS)
    typist.run()
    assert any("how peer support was delivered; one of: one_to_one, group, mixed" in told for told in typist.told)


def test_an_unknown_instrument_is_asked_for_again_or_described():
    near = Typist(**TRIAL, **(ROW | {"instrument": ["Hert Hope Index", "Herth Hope Index"]}), **MEANS)
    assert near.run().rows.loc[0, "instrument"] == "Herth Hope Index"
    assert "new_instrument" in near.asked
    new = Typist(**TRIAL, **(ROW | {"instrument": "Zzz 7", "new_instrument": "yes", "outcome": "hope"}), **MEANS,
                 outcome_class="psy", direction="lower_better", more=["yes", "no"],
                 timepoint_months=["3", "9"])  # fmt: skip
    rows = new.run().rows
    assert rows["direction"].tolist() == ["lower_better"] * 2
    assert new.asked.count("direction") == 1


def test_a_trial_that_is_bundled_brings_its_line():
    typed = Typist(study_id="poulsen2025", **ROW, **MEANS).run()
    assert typed.trials.loc[0, "citation"].startswith("Poulsen et al. 2025")
    own = Typist(study_id="poulsen2025", bundled="no", citation="Mine", **ROW, **MEANS).run()
    assert own.trials.to_dict("records") == [{"study_id": "poulsen2025", "citation": "Mine"}]


def test_the_same_result_twice_needs_what_tells_them_apart():
    typist = Typist(**TRIAL, **ROW, **MEANS, more=["yes", "no"], comparison="second arm")
    assert typist.run().rows["comparison"].tolist() == ["", "second arm"]


def test_events_effects_and_rows_that_must_wait_have_their_own_questions():
    events = Typist(**TRIAL, **(ROW | {"kind": "events"}), events1="9", total1=["8", "40"], events2="11", total2="41")
    assert events.run().rows.loc[0, ["events1", "total1", "events2", "total2"]].tolist() == ["9", "40", "11", "41"]
    assert any("events cannot exceed the total" in told for told in events.told)
    effect = Typist(**TRIAL, **(ROW | {"kind": "effect"}), es_type="MD", es="5.1", es_ci_low=["6", "2.4"],
                    es_ci_high=["1", "7.8"], p_value=["2", "<0.001"])  # fmt: skip
    row = effect.run().rows.loc[0]
    assert row[["es", "es_ci_low", "es_ci_high", "p_value"]].tolist() == ["5.1", "2.4", "7.8", "<0.001"]
    assert [
        word in "\n".join(effect.told) for word in ("is above the effect", "is above the upper", "not a p value")
    ] == [True] * 3
    waits = Typist(**TRIAL, **(ROW | {"kind": "none"}), exclusion_reason="no numbers")
    assert waits.run().rows.loc[0, "exclusion_reason"] == "no numbers"


def test_doubts_are_told_and_do_not_stop():
    typist = Typist(**TRIAL, **ROW, **(MEANS | {"sd2": "1.1"}))
    typist.run()
    assert any("is one a standard error" in told for told in typist.told)
    fine = Typist(**TRIAL, **ROW, **MEANS)
    fine.run()
    assert fine.told == []
    table = REVIEW.instruments.assign(min=0.0, max=48.0)
    ranged = table[table["direction"] != ""].iloc[0]
    beyond = Typist(
        **TRIAL, **(ROW | {"instrument": ranged["instrument"]}), **(MEANS | {"mean1": str(ranged["max"] + 1)})
    )
    ask_trial(beyond.ask, replace(REVIEW, instruments=table), tell=beyond.told.append)
    assert any("outside the scale's range" in told for told in beyond.told)


def test_a_name_that_differs_in_capitals_alone_is_refused():
    known = REVIEW.trials["study_id"].iloc[0]
    typist = Typist(study_id=[known.upper(), known], **ROW, **MEANS)
    assert typist.run().rows.loc[0, "study_id"] == known
    assert "citation" not in typist.asked


def test_an_answer_is_kept_for_the_next_row_and_a_dash_takes_it_away():
    typist = Typist(**TRIAL, **ROW, **MEANS, more=["yes", "no"], timepoint_months=["6", "-"])
    rows = typist.run().rows
    assert rows["timepoint_months"].tolist() == ["6", ""]
    question = Question(name="format", text="", default="group", choices=("group", "mixed"))
    assert [check_answer(question, text)[0] for text in ("", "-", "mixed")] == ["group", "", "mixed"]


@settings(max_examples=20)
@given(
    st.lists(st.text(max_size=8) | st.sampled_from(["means", "events", "effect", "none", "yes", "no", "1", "<", "?"]))
)
def test_no_answer_breaks_the_dialogue(answers):
    endings = {
        "kind": "none",
        "more": "no",
        "new_instrument": "yes",
        "outcome_class": "other",
        "year": "2020",
        "es": "1",
        "es_ci_low": "0",
        "es_ci_high": "9",
        "p_value": "0.5",
    }
    given_answers = itertools.chain(answers)
    counts = itertools.count()

    def ask(question: Question) -> str:
        if next(counts) > 400:
            reject()  # a number was typed that no later one fits
        typed = next(given_answers, None)
        if typed is not None:
            return typed
        if question.name in endings:
            return endings[question.name]
        if question.choices:
            return question.choices[0]
        return {"integer": "50", "number": "5", "digits": "5"}.get(
            question.field.type if question.field else "", "words"
        )

    typed = ask_trial(ask, REVIEW, tell=lambda _: None)
    assert len(typed.rows) >= 1
    assert set(typed.rows.columns) <= {*OUTCOMES.names, "direction"}
