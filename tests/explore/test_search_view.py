import re

import pytest
from fake_teacher import FakeTeacher
from films import kept_by

from egemma_lab.explore import SearchSetting, displayed, search
from egemma_lab.explore.named import named
from egemma_lab.explore.search_data import Searcher
from egemma_lab.explore.search_table import ResultLists

QUESTIONS = ["What follows the bright comet?", "What passes a cold moon?"]
ANSWERS = [{22: 2, 2: 1}, [5, 25]]


@pytest.fixture(scope="module")
def settings(micro_model):
    return [
        SearchSetting("full", micro_model),
        SearchSetting("width 16", micro_model, 16),
        SearchSetting("bits", micro_model, precision="binary", rescore=0),
        SearchSetting("no prompts", micro_model, prompts=False),
        SearchSetting("broken", "no/such-teacher"),
    ]


@pytest.fixture(scope="module")
def shared(micro_model, tiny_texts, settings):
    return search(micro_model, tiny_texts[:60], settings, questions=QUESTIONS, answers=ANSWERS, k=5)


@pytest.fixture
def panel(shared):
    """The panel that all tests of this file share, put back to where it began."""
    yield shared
    shared.question.value, shared.k.value = QUESTIONS[0], 5
    for choice, name in zip(shared.choices, ("full", "width 16", "bits", "no prompts")):
        choice.value = name


def untimed(html):
    return re.sub(r"[\d.]+ ms", "ms", html)


def shows(panel, question, k, settings, relevant):
    """Whether the table is the one that the pure functions give."""
    searcher = Searcher(panel.texts)
    found = [searcher.ask(question, setting, k) for setting in settings]
    expected = ResultLists(found, panel.texts, question, relevant)
    assert panel.lists.rows() == expected.rows()
    assert untimed(panel.table.value) == untimed(expected._repr_html_())
    assert panel.shown == list(settings)
    return True


def test_each_control_changes_the_lists_as_the_functions_say(panel, settings):
    full, narrow, bits, bare, _ = settings
    first = {22: 2, 2: 1}
    assert shows(panel, QUESTIONS[0], 5, [full, narrow, bits, bare], first)
    panel.k.value = 3
    assert shows(panel, QUESTIONS[0], 3, [full, narrow, bits, bare], first)
    panel.question.value = QUESTIONS[1]
    assert shows(panel, QUESTIONS[1], 3, [full, narrow, bits, bare], {5: 1, 25: 1})
    panel.choices[2].value = "(none)"
    assert shows(panel, QUESTIONS[1], 3, [full, narrow, bare], {5: 1, 25: 1})
    panel.choices[0].value = "bits"
    assert shows(panel, QUESTIONS[1], 3, [bits, narrow, bare], {5: 1, 25: 1})


def test_a_question_of_ones_own_has_no_answers_known(panel, settings):
    panel.question.value = "What is red?"
    assert shows(panel, "What is red?", 5, settings[:4], None)
    assert "nDCG" not in panel.table.value
    panel.question.value = QUESTIONS[0]
    assert panel.table.value.count("nDCG@5") == 4


def test_an_error_shows_and_is_raised_and_the_next_move_mends_it(panel):
    before = panel.table.value
    with pytest.raises(Exception, match="no/such-teacher"):
        panel.choices[1].value = "broken"
    assert "no/such-teacher" in panel.message.value
    assert 'role="alert"' in panel.message.value
    assert panel.table.value == before
    panel.choices[1].value = "width 16"
    assert panel.error is None
    assert "alert" not in panel.message.value


def test_it_says_when_texts_are_encoded(panel, tiny_texts):
    said = []
    panel.message.observe(lambda change: said.append(change["new"]), names="value")
    teacher = FakeTeacher()
    teacher.prompts_differ = False
    panel.settings["teacher"] = SearchSetting("teacher", teacher)
    panel.choices[3].options = [*panel.choices[3].options, "teacher"]
    panel.choices[3].value = "teacher"
    assert "Encoding 60 texts for “teacher”, once …" in said[0]
    assert "60 texts. Times are of this machine" in said[-1]
    panel.message.unobserve_all()


def test_two_settings_are_enough_and_the_other_menus_are_empty(micro_model, tiny_texts, settings):
    panel = search(micro_model, tiny_texts[:20], settings[:2])
    assert [choice.value for choice in panel.choices] == ["full", "width 16", "(none)", "(none)"]
    assert panel.question.value == tiny_texts[0]
    assert "2 result lists for" in panel.alt


def test_what_does_not_fit_is_refused(micro_model, tiny_texts, settings):
    with pytest.raises(ValueError, match=r"settings \['full'\]: give at least two"):
        search(micro_model, tiny_texts[:20], settings[:1])
    with pytest.raises(ValueError, match="each with a name of its own"):
        search(micro_model, tiny_texts[:20], [settings[0]] * 2)
    with pytest.raises(ValueError, match="k=21 results: with 20 texts it lies between 1 and 20"):
        search(micro_model, tiny_texts[:20], settings[:2], k=21)


def test_without_a_kernel_the_lists_stay_as_a_table(panel, monkeypatch):
    outputs, shown = [], []
    monkeypatch.setattr("IPython.display.display", lambda data, **kw: outputs.append((data, kw)))
    monkeypatch.setattr(displayed, "named", lambda box: shown.append(named(box)) or shown[0])
    panel._ipython_display_()
    [(data, options)] = outputs
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == shown[0].model_id
    assert shown[0].children[0] is panel.box
    assert data["text/html"] == panel.lists._repr_html_()
    assert QUESTIONS[0] in data["text/plain"]
    assert options["metadata"] == {"alt": panel.alt}


def test_moves_keep_nothing(panel):
    def move(i):
        panel.k.value = 3 + i % 5
        panel.question.value = QUESTIONS[i % 2]

    # 336 bytes a list that is judged stay with pytrec_eval, in its evaluators written in C
    assert kept_by(move) < 4 * 336 + 1000
