import pytest

from egemma_lab.explore.search_texts import corpus_of, judgements, topical


def test_the_topical_corpus_answers_its_own_questions():
    texts, topics, questions, answers = topical()
    assert len(texts) == len(topics) == 800
    assert len(questions) == len(answers) == 40
    for question, graded in zip(questions, answers):
        assert graded, question
        assert all(0 <= row < 800 and grade in (1, 2) for row, grade in graded.items())
        assert len({topics[row] for row, grade in graded.items() if grade == 2}) == 1, question


def test_judgements_are_named_as_the_measures_want_them():
    assert judgements(["a", "b"], [[2, 0], {1: 2}], 3) == {"0": {"2": 1, "0": 1}, "1": {"1": 2}}
    assert judgements(None, None, 3) is None
    assert judgements([], [], 3) is None


@pytest.mark.parametrize(
    ("questions", "answers", "said"),
    [
        (["a", "b"], [[0]], "2 questions and 1 answers"),
        (["a"], None, "1 questions and none answers"),
        ([], [[0]], "0 questions and 1 answers"),
        (["a"], [[3]], r"answers\[0\] names \[3\]: rows of texts lie between 0 and 2"),
        (["a"], [[-1]], r"answers\[0\] names \[-1\]"),
        (["a", "b"], [[0], {}], r"answers\[1\] names no rows"),
    ],
)
def test_answers_that_do_not_fit_are_refused(questions, answers, said):
    with pytest.raises(ValueError, match=said):
        judgements(questions, answers, 3)


def test_where_texts_come_from():
    texts, questions, qrels = corpus_of()
    assert (len(texts), len(questions), len(qrels)) == (800, 40, 40)
    assert corpus_of(("one", "two")) == (["one", "two"], [], None)
    assert corpus_of(["one", "two"], ["which?"], [[1]])[2] == {"0": {"1": 1}}


def test_questions_may_stand_without_answers_only_where_they_are_offered_not_judged():
    _, questions, qrels = corpus_of(["one", "two"], ["which?"])
    assert (questions, qrels) == (["which?"], None)


def test_what_is_no_corpus_is_refused():
    with pytest.raises(ValueError, match="texts='wikipedia': give a list of strings"):
        corpus_of("wikipedia")
    with pytest.raises(ValueError, match="questions and answers belong to texts of your own"):
        corpus_of(None, ["which?"], [[0]])
    with pytest.raises(ValueError, match="belong to texts of your own"):
        corpus_of("python-docs", ["which?"], [[0]])
    with pytest.raises(ValueError, match="1 texts: there is nothing to choose among"):
        corpus_of(["one"])
