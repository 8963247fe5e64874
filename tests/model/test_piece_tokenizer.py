"""A student's tokenizer with its teacher's pieces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer
from wordpiece import wordpiece

from egemma_lab.model import load_model, load_teacher, new_model, preset_config, teacher_tokenizer
from egemma_lab.model.tokenizer import SPECIAL_TOKENS
from egemma_lab.model.tokenizing import token_ids

PIECES = ["!", "a", "b", "n", "ø", "##a", "##b", "##n", "##ø", "ban", "##ana"]
PIECES += ["...", "##!", "°c", "øa", "##ab", "b2"]
WITHOUT_O = ["!", "a", "b", "n", "##a", "##b", "##n", "ban", "##ana", "##ab", "b2"]


@pytest.fixture(scope="module")
def tokenizer():
    return teacher_tokenizer(wordpiece(PIECES), ["A banana."])


@pytest.fixture(scope="module")
def minilm():
    return load_teacher()


@pytest.fixture(scope="module")
def student(minilm, tiny_texts):
    return minilm.student_tokenizer(tiny_texts)


def pieces(tokenizer):
    return tokenizer.convert_ids_to_tokens(range(len(tokenizer)))[4:]


def inside(tokenizer, text):
    return tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids[1:-1])


def test_ids_by_hand(tokenizer):
    """Kept in their order: no special tokens, no signs in a row, nothing with a character that is not in use."""
    assert pieces(tokenizer) == WITHOUT_O
    assert tokenizer("Banana b2!").input_ids == [2, 11, 12, 14, 4, 1]
    assert tokenizer("nab").input_ids == [2, 7, 13, 1]
    assert tokenizer.decode([2, 11, 12, 14, 4, 1], skip_special_tokens=True) == "banana b2!"


def test_special_tokens_have_gemmas_ids(tokenizer):
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == [0, 1, 2, 3]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id) == (0, 1, 2)
    assert tokenizer.unk_token_id == 3
    assert sorted(tokenizer.all_special_tokens) == sorted(SPECIAL_TOKENS)
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))
    assert tokenizer(["", "a"]).input_ids == [[2, 1], [2, 5, 1]]


def test_a_word_that_cannot_be_spelt_is_one_unknown(tokenizer):
    assert tokenizer("a banøna a").input_ids == [2, 5, 3, 5, 1]
    assert tokenizer("日本").input_ids == [2, 3, 3, 1]  # split into signs, as the teacher does
    assert tokenizer("a" * 101).input_ids == [2, 3, 1]  # longer than the teacher reads a word


def by_longest_piece(word, ids):
    """WordPiece in a plain loop: the longest piece that fits, again and again."""
    found, start = [], 0
    while start < len(word):
        mark = "##" if start else ""
        ends = [end for end in range(len(word), start, -1) if mark + word[start:end] in ids]
        if not ends:
            return [3]
        found.append(ids[mark + word[start : ends[0]]])
        start = ends[0]
    return found


@given(st.lists(st.text("abnø2", min_size=1, max_size=9), max_size=6))
@settings(max_examples=200, deadline=None)
def test_words_are_cut_as_a_plain_loop_cuts_them(tokenizer, words):
    ids = {piece: index for index, piece in enumerate(WITHOUT_O, 4)}
    expected = [index for word in words for index in by_longest_piece(word, ids)]
    assert tokenizer(" ".join(words)).input_ids == [2, *expected, 1]


@given(st.text(st.characters(max_codepoint=126), max_size=60))
@settings(max_examples=200, deadline=None)
def test_what_both_can_spell_has_the_teachers_pieces(minilm, student, text):
    assert inside(student, text) == inside(minilm._encoder.model.tokenizer, text)


def test_the_teachers_pieces_for_real_texts(minilm, student, tiny_texts):
    texts = [
        *tiny_texts,
        "Embeddings of naïve façades, isn't it? 3.14 = x_y\n",
        "antidisestablishmentarianism",
    ]
    theirs = minilm._encoder.model.tokenizer
    assert [inside(student, text) for text in texts] == [inside(theirs, text) for text in texts]
    assert max(student("antidisestablishmentarianism").input_ids) > 4000  # the whole vocabulary is there
    assert 25_000 < len(student) < len(theirs)


def test_characters_are_in_use_up_to_the_coverage():
    """ø is 5, then 6 of 10,000 characters: 0.05% may be left out."""
    for often, kept in ((5, False), (6, True)):
        tokenizer = teacher_tokenizer(wordpiece(PIECES), ["a" * (10_000 - often), "ø" * often])
        assert ({"ø", "##ø", "øa"} <= set(pieces(tokenizer))) == kept
        assert "°c" not in pieces(tokenizer)


def test_characters_are_looked_for_as_the_teacher_normalizes_them():
    """Its own normalizer makes ø of Ø; without one they are two."""
    both = ["Ø", "ø"]
    assert pieces(teacher_tokenizer(wordpiece(both), ["ØØ"])) == ["ø"]
    assert pieces(teacher_tokenizer(wordpiece(both, normalizer=None), ["ØØ"])) == ["Ø"]


def test_the_vocabulary_is_as_large_as_asked():
    cut = teacher_tokenizer(wordpiece(PIECES), ["A banana."], vocab_size=7)
    assert pieces(cut) == ["!", "a", "b"]
    assert cut("a banana").input_ids == [2, 5, 3, 1]
    assert pieces(teacher_tokenizer(wordpiece(PIECES), ["A banana."], vocab_size=1000)) == WITHOUT_O


@pytest.mark.parametrize("text", ["<bos>", "a<eos>b", "<pad> <unk>", "[CLS]"])
def test_control_tokens_in_a_users_text_are_text(student, text, tmp_path):
    student.save_pretrained(tmp_path)
    for one in (student, AutoTokenizer.from_pretrained(tmp_path)):
        ids = one(text).input_ids
        assert min(ids[1:-1]) > 3
        assert one.decode(ids[1:-1]).replace(" ", "") == text.lower().replace(" ", "")
        one(text, split_special_tokens=False, truncation=True, max_length=3)  # set otherwise by somebody
        assert token_ids(one, [text], 100)[0] == [ids]


def test_saved_and_loaded_it_is_the_same(student, tmp_path):
    """Beside a Gemma 3 config too, where AutoTokenizer could take it for Gemma's own class."""
    student.save_pretrained(tmp_path)
    preset_config("micro", vocab_size=len(student)).text.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == student.get_vocab()
    assert loaded.padding_side == "right"
    texts = ["Embeddings, small", "<bos> text", "", "\x00", "þorn 日本", "naïve"]
    assert loaded(texts).input_ids == student(texts).input_ids
    loaded.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again/tokenizer.json").read_text() == (tmp_path / "tokenizer.json").read_text()


def test_a_model_with_it_is_the_same_when_opened_here_and_by_the_library(tokenizer, tmp_path):
    texts = ["Banana, banana!", "nab <bos>", "a " * 40, ""]
    model = new_model("micro", tokenizer, seed=3)
    vectors = model.encode(texts)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01
    folder = model.save_pretrained(tmp_path / "micro")
    np.testing.assert_array_equal(load_model(folder).encode(texts), vectors)
    library = SentenceTransformer(str(folder), device="cpu")
    np.testing.assert_allclose(library.encode(texts[::2]), vectors[::2], atol=1e-5)


def test_how_the_teacher_was_last_called_and_the_teacher_itself_stay_out_of_it():
    theirs = wordpiece(PIECES)
    theirs.backend_tokenizer.enable_truncation(max_length=3)
    theirs.backend_tokenizer.enable_padding(length=9)
    before = theirs.backend_tokenizer.to_str()
    own = teacher_tokenizer(theirs, ["A banana."])
    assert own.backend_tokenizer.truncation is own.backend_tokenizer.padding is None
    assert own("a b a b").input_ids == [2, 5, 6, 5, 6, 1]
    assert theirs.backend_tokenizer.to_str() == before


def test_a_cut_teacher_gives_the_same(minilm):
    texts = ["a text", "broken \ud800 text"]
    whole, cut = (teacher.student_tokenizer(iter(texts), 500) for teacher in (minilm, minilm.cut(64)))
    assert len(whole) == 500
    assert whole.backend_tokenizer.to_str() == cut.backend_tokenizer.to_str()


@pytest.mark.parametrize(
    ("texts", "vocab_size", "error", "message"),
    [
        ([], None, ValueError, "needs text to see which characters are in use, got none"),
        (["", ""], None, ValueError, "needs text to see"),
        (["text"], 4, ValueError, "vocab_size=4 must be at least 5: special tokens and one piece"),
        (["text", None], None, TypeError, r"texts\[1\] is NoneType None, expected str"),
        ("text", None, TypeError, "texts is str, expected a list of str"),
    ],
)
def test_bad_inputs(texts, vocab_size, error, message):
    with pytest.raises(error, match=message):
        teacher_tokenizer(wordpiece(PIECES), texts, vocab_size)


def test_a_teacher_without_wordpiece_is_refused(micro_model):
    with pytest.raises(
        ValueError, match=r"tokenizer is BPE, and pieces .* WordPiece alone; .* train_tokenizer"
    ):
        load_teacher(micro_model).student_tokenizer(["a text"])
