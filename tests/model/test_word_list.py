import numpy as np
import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from egemma_lab.model import load_teacher, train_tokenizer, words_as_texts
from egemma_lab.model.word_list import vocabulary_words


def vocabulary(*pieces):
    backend = Tokenizer(models.WordLevel({piece: index for index, piece in enumerate(pieces)}, "unk"))
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="unk")


def test_word_pieces_inside_a_word_are_none():
    wordpiece = vocabulary("unk", "##ing", "go", "garden", "[MASK]", "1984", "naïve", "bike")
    assert vocabulary_words(wordpiece) == ["garden", "bike"]


@pytest.mark.parametrize("mark", ["▁", "Ġ"])
def test_where_beginnings_are_marked_the_others_are_no_words(mark):
    marked = vocabulary("unk", "ing", f"{mark}garden", f"{mark}Bike", f"{mark}g")
    assert vocabulary_words(marked) == ["garden", "Bike"]


def test_a_cut_teacher_and_a_nano_have_words_too():
    teacher = load_teacher()
    assert teacher.cut(64).words == teacher.words
    assert {"paris", "garden"} <= set(load_teacher("nano").words)  # its tokenizer reads lower case


def test_words_come_by_rank_and_as_often_as_asked():
    words = [f"word{'abcdefghij'[n // 10]}{'abcdefghij'[n % 10]}" for n in range(100)]
    texts = ["some text of five words"] * 400
    counts = [len(text.split()) for text in words_as_texts(words, texts, share=1.5)]
    assert counts == sorted(counts, reverse=True)
    expected = np.array([1 / (rank + 300) for rank in range(100)])
    expected *= 1.5 * 2000 / expected.sum()
    np.testing.assert_allclose(counts, expected, atol=0.5)


def test_a_tokenizer_that_counts_words_in_has_a_token_for_them():
    texts = ["the prognosis of camptodactyly"] * 50
    plain = train_tokenizer(texts, vocab_size=450)
    general = train_tokenizer(texts + words_as_texts(["bike", "lunch"], texts, share=1), vocab_size=450)
    assert not {"▁bike", "▁lunch"} & set(plain.get_vocab())
    assert {"▁bike", "▁lunch"} <= set(general.get_vocab())
