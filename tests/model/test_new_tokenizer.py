import itertools

import numpy as np
import pytest
import torch
from fake_teacher import FakeTeacher
from wordpiece import wordpiece

from egemma_lab.model import EmbeddingGemma, change_tokenizer, new_model, teacher_tokenizer, train_tokenizer
from egemma_lab.model.new_tokenizer import RIDGE, piece_meanings
from egemma_lab.model.token_table import text_pieces

ONSETS, MIDDLES, ENDS = ("br", "st", "cl", "gr"), ("ake", "ino", "ulu", "ema"), ("ton", "ring", "dle", "mer")
WORDS = ["".join(parts) for parts in itertools.product(ONSETS, MIDDLES, ENDS)]  # 64 of them


def spoken(words):
    return [f" {word}" * 6 for word in words]


@pytest.fixture(scope="module")
def old():
    return new_model("micro", train_tokenizer(spoken(WORDS[:48]), vocab_size=700), seed=5)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(spoken(WORDS[8:]), vocab_size=700)


@pytest.fixture(scope="module")
def changed(old, tokenizer):
    return change_tokenizer(old, tokenizer, FakeTeacher())


def row(model, piece):
    return model.text_model.embed_tokens.weight[model.tokenizer.get_vocab()[piece]].detach()


def test_pieces_that_both_have_keep_their_rows_and_everything_else_is_kept(old, changed):
    shared = set(old.tokenizer.get_vocab()) & set(changed.tokenizer.get_vocab())
    assert {"<bos>", "<0x41>", "▁" + WORDS[10]} <= shared
    assert all(torch.equal(row(old, piece), row(changed, piece)) for piece in shared)
    mine, theirs = old.state_dict(), changed.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine if "embed_tokens" not in name)
    assert changed.prompts == old.prompts
    text = f"{WORDS[10]} {WORDS[20]}"  # both spell it alike
    np.testing.assert_allclose(old.encode(text), changed.encode(text), atol=1e-6)


def test_a_new_piece_is_where_the_fit_on_shared_words_puts_it(old, changed):
    """The same by gradient descent on the penalised squares, no matrix inverted."""
    teacher = FakeTeacher()
    _, texts = text_pieces(changed.tokenizer)
    vocabulary = changed.tokenizer.get_vocab()
    shared = [word for word in texts if len(word) >= 4 and "▁" + word in old.tokenizer.get_vocab()]
    shared = [word for word in shared if "▁" + word in vocabulary]
    features = np.column_stack([teacher.encode(shared), np.ones(len(shared)), np.ones(len(shared))])
    x = torch.from_numpy(features).double()
    y = torch.stack([row(old, "▁" + word) for word in shared]).double()
    weight = torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64)
    for _ in range(20_000):
        weight -= 0.01 * (x.T @ (x @ weight - y) + RIDGE * weight)
    for word in WORDS[48:52]:
        assert "▁" + word not in old.tokenizer.get_vocab()
        expected = torch.from_numpy(np.append(teacher.encode([word])[0], [1.0, 1.0])).double() @ weight
        expected *= y.norm(dim=1).mean() / expected.norm()
        torch.testing.assert_close(row(changed, "▁" + word).double(), expected, atol=1e-4, rtol=0)


def test_the_same_tokenizer_changes_no_vector(old):
    same = change_tokenizer(old, old.tokenizer, FakeTeacher())
    assert np.array_equal(old.encode(WORDS), same.encode(WORDS))


def test_a_piece_means_the_same_however_beginnings_are_marked(old):
    """Words begin with "▁brakering" and WordPiece's "brakering", not with "ake" and "##ake", never with a sign."""
    letters = sorted(set("".join(WORDS)))
    pieces = [*letters, *(f"##{letter}" for letter in letters), *WORDS[:48], "##ake", "!", "unseen"]
    tokenizer = teacher_tokenizer(wordpiece(pieces), [*WORDS, "unseen!"])
    known, vocabulary = old.tokenizer.get_vocab(), tokenizer.get_vocab()
    meanings = piece_meanings(tokenizer)
    assert meanings[vocabulary[WORDS[3]]] == (WORDS[3], True)
    assert meanings[vocabulary["##ake"]] == ("ake", False)
    assert meanings[vocabulary["!"]] == ("!", False)
    assert meanings[vocabulary["<bos>"]] == ("<bos>", False)
    changed = change_tokenizer(old, tokenizer, FakeTeacher())
    shared = [("<eos>", "<eos>"), (WORDS[3], "▁" + WORDS[3]), ("!", "!"), ("##e", "e")]
    for mine, theirs in shared:
        assert theirs in known
        assert torch.equal(row(changed, mine), row(old, theirs))
    fitted = np.median([row(old, "▁" + word).norm() for word in WORDS[:48]])
    assert row(changed, "unseen").norm().item() == pytest.approx(fitted, rel=0.2)


def test_no_two_pieces_mean_the_same():
    meanings = piece_meanings(wordpiece(["!", "##!", "go", "##go", "#", "###"]))
    assert len(set(meanings.values())) == len(meanings)


def test_too_few_words_in_common_are_refused(old):
    other = train_tokenizer(spoken(["alpha", "beta", *WORDS[:5]]), vocab_size=500)
    with pytest.raises(ValueError, match=r"share 5 words of 4 letters and more; .*at least 32.*warm_start"):
        change_tokenizer(old, other, FakeTeacher())


def test_a_model_without_a_tokenizer_is_refused(old, tokenizer):
    with pytest.raises(ValueError, match="has no tokenizer"):
        change_tokenizer(EmbeddingGemma(old.config), tokenizer, FakeTeacher())
