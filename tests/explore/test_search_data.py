import numpy as np
import pytest
from fake_teacher import FakeTeacher

from egemma_lab.explore.search_data import Searcher, SearchSetting, default_settings, encode
from egemma_lab.model.minilm import MINILM

QUESTION = "What follows the bright comet?"


@pytest.fixture(scope="module")
def searcher(tiny_texts):
    """Texts encoded once for all tests of this file."""
    return Searcher(tiny_texts[:60])


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.mark.parametrize("width", [64, 32, 16])
def test_full_numbers_are_found_by_their_cosine(searcher, micro_model, width):
    found = searcher.ask(QUESTION, SearchSetting("", micro_model, width), k=7)
    texts = unit(micro_model.encode_document(searcher.texts, show_progress_bar=False)[:, :width])
    question = unit(micro_model.encode_query([QUESTION], show_progress_bar=False)[0, :width])
    cosines = texts @ question
    assert np.array_equal(found.ids, np.argsort(-cosines, kind="stable"))
    assert found.scores == pytest.approx(np.sort(cosines)[::-1], abs=1e-5)
    assert (found.width, found.nbytes, found.k) == (width, 60 * width * 4, 7)


def test_bits_are_found_by_how_many_agree(searcher, micro_model):
    found = searcher.ask(QUESTION, SearchSetting("", micro_model, precision="binary", rescore=0), k=5)
    texts = micro_model.encode_document(searcher.texts, show_progress_bar=False) > 0
    question = micro_model.encode_query([QUESTION], show_progress_bar=False)[0] > 0
    agree = (texts == question).sum(axis=1)
    assert np.array_equal(agree[found.ids], np.sort(agree)[::-1])
    assert found.nbytes == 60 * 64 / 8


def test_a_second_look_orders_what_the_first_found(searcher, micro_model):
    """The first k are those that were rescored; the ranks behind them come from a longer look of the same kind."""
    setting = SearchSetting("", micro_model, precision="binary", rescore=4)
    found = searcher.ask(QUESTION, setting, k=5)
    assert sorted(found.ids.tolist()) == list(range(60))  # each text once, none forgotten
    assert (np.diff(found.scores[:5]) <= 0).all()
    rough = searcher.ask(QUESTION, SearchSetting("", micro_model, precision="binary", rescore=0), k=5)
    assert set(found.ids[:5]) <= set(rough.ids[: 4 * 5])
    finer = SearchSetting("", micro_model, precision="binary", rescore_precision="int8")
    assert searcher.ask(QUESTION, finer, k=5).nbytes > rough.nbytes


def test_prompts_can_be_left_out(searcher, micro_model):
    bare = searcher.ask(QUESTION, SearchSetting("", micro_model, prompts=False), k=5)
    texts = micro_model.encode(searcher.texts, show_progress_bar=False)
    question = micro_model.encode([QUESTION], show_progress_bar=False)[0]
    assert bare.scores == pytest.approx(np.sort(texts @ question)[::-1], abs=1e-5)
    assert bare.scores[0] != searcher.ask(QUESTION, SearchSetting("", micro_model), k=5).scores[0]


def test_a_teacher_searches_too(searcher):
    teacher = FakeTeacher()
    teacher.prompts_differ = False
    setting = SearchSetting("", teacher)
    assert not searcher.knows(setting)
    found = searcher.ask("Mercury follows the bright comet.", setting, k=3)
    assert searcher.knows(setting)
    assert searcher.texts[found.ids[0]] == "Mercury follows the bright comet."
    assert found.scores[0] == pytest.approx(1, abs=1e-5)
    teacher.prompts_differ = True
    with pytest.raises(
        ValueError, match="fake-48 puts its own prompts before texts: search it with prompts=True"
    ):
        encode(teacher, ["a text"], "query", prompts=False)


def test_texts_are_encoded_once_a_model_and_questions_are_remembered(micro_model, tiny_texts, monkeypatch):
    calls = []

    def counted(model, texts, role, prompts=True):
        calls.append((role, len(texts), prompts))
        return encode(model, texts, role, prompts)

    monkeypatch.setattr("egemma_lab.explore.search_data.encode", counted)
    searcher = Searcher(tiny_texts[:20])
    for setting in default_settings(micro_model)[:6]:
        for question in (QUESTION, "What is cold?", QUESTION):
            searcher.ask(question, setting, k=3)
    assert calls == [("document", 20, True), ("query", 1, True), ("query", 1, True)]
    searcher.ask(QUESTION, SearchSetting("no prompts", micro_model, prompts=False))
    assert calls[3:] == [("document", 20, False), ("query", 1, False)]


def test_of_many_questions_the_last_are_remembered():
    teacher = FakeTeacher()
    searcher = Searcher(["one", "two"])
    for i in range(70):
        searcher.ask(f"question {i}", SearchSetting("", teacher))
    assert [question for _, question in searcher._asked] == [f"question {i}" for i in range(19, 70)]


def test_more_results_than_texts_are_all_texts(searcher, micro_model):
    assert searcher.ask(QUESTION, SearchSetting("", micro_model), k=100).k == 60


def test_what_cost_what(searcher, micro_model):
    found = searcher.ask(QUESTION, SearchSetting("", micro_model), k=5)
    assert found.encode_ms > 0
    assert found.search_ms > 0
    assert found.places()[int(found.ids[4])] == 5


def test_the_ways_that_are_offered(micro_model):
    settings = default_settings(micro_model)
    assert len({each.name for each in settings}) == len(settings) == 8
    assert settings[0].width is None
    assert settings[1].width in micro_model.widths[1:]
    assert [each.precision for each in settings[2:5]] == ["binary"] * 3
    assert settings[-1].model == MINILM
