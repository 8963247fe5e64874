"""The words that two tokenizers both see: by hand, against plain loops, and of real tokenizers on any text."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egemma_lab.model import load_model, load_teacher
from egemma_lab.model.shared_words import shared_words, tokens_with_ends
from egemma_lab.model.tokenizing import whole_texts

ENDS = st.lists(st.integers(0, 12), max_size=12).map(sorted)


@pytest.fixture(scope="module")
def tokenizers():
    return whole_texts(load_once("nano")), whole_texts(load_once("teacher"))


def test_by_hand():
    mine, theirs, count = shared_words([0, 5, 8, 9, 0], [2, 5, 9])
    assert (mine.tolist(), theirs.tolist(), count) == ([-1, 0, 1, 1, -1], [0, 0, 1], 2)


def test_nothing_in_common_is_no_word():
    mine, theirs, count = shared_words([0, 3], [2, 0])
    assert (mine.tolist(), theirs.tolist(), count) == ([-1, -1], [-1, -1], 0)


@given(ENDS, ENDS)
def test_agrees_with_plain_loops(ends, others):
    common = sorted({end for end in ends if end > 0} & {end for end in others if end > 0})

    def word(end):
        for number, until in enumerate(common):
            if 0 < end <= until:
                return number
        return -1

    mine, theirs, count = shared_words(ends, others)
    assert mine.tolist() == [word(end) for end in ends]
    assert theirs.tolist() == [word(end) for end in others]
    assert count == len(common)


@given(ENDS, ENDS)
def test_every_word_has_tokens_on_both_sides(ends, others):
    mine, theirs, count = shared_words(ends, others)
    assert set(mine) - {-1} == set(theirs) - {-1} == set(range(count))


def test_words_of_a_real_text(tokenizers):
    """Cut at the words' ends, the text falls into parts that both tokenizers cover with whole tokens."""
    text = "Embeddings aren't magic: def foo_bar(x): return x+1"
    mine, theirs = (tokens_with_ends(tokenizer, [text])[0] for tokenizer in tokenizers)
    words, _, count = shared_words(mine.ends, theirs.ends)
    ends = [mine.ends[words == number].max() for number in range(count)]
    parts = [text[start:end].strip() for start, end in zip([0, *ends], ends)]
    assert {"magic", "return", ":"} <= set(parts)
    assert "".join(parts) == text.replace(" ", "")
    assert count > 0.7 * len(theirs)


@settings(deadline=None)  # the first example opens both tokenizers
@given(st.text(max_size=60))
def test_any_text_has_its_words_on_both_sides(text):
    tokenizers = whole_texts(load_once("nano")), whole_texts(load_once("teacher"))
    mine, theirs = (tokens_with_ends(tokenizer, [text])[0] for tokenizer in tokenizers)
    words, others, count = shared_words(mine.ends, theirs.ends)
    assert set(words) - {-1} == set(others) - {-1} == set(range(count))
    assert (np.diff(words[words >= 0]) >= 0).all()


@functools.cache
def load_once(name):
    return load_model("nano").tokenizer if name == "nano" else load_teacher()._encoder.model.tokenizer


def test_the_prompt_counts_as_no_part_of_the_text(tokenizers):
    alone = tokens_with_ends(tokenizers[0], ["a text"])[0]
    behind = tokens_with_ends(tokenizers[0], ["a text"], prompt="task: search result | query: ")[0]
    assert set(alone.ends.tolist()) == set(behind.ends.tolist()) == {0, 1, 6}


def test_tokens_with_ends_are_those_of_tokenize():
    model = load_model("nano")
    texts = ["short", "longer " * 50, "", "a\ud800b"]
    for prompt in ("", "task: clustering | query: "):
        tokens = model.tokenize_with_ends(texts, prompt, 20)
        assert [text.ids.tolist() for text in tokens] == model.tokenize(texts, prompt, 20)
    assert tokens[1].ends[-1] == 0  # EOS in the place of the word that was cut
