import numpy as np
import pytest
import torch
from wordpiece import wordpiece

from egemma_lab.model import new_model, teacher_tokenizer, train_tokenizer, warm_start
from egemma_lab.model.token_table import set_dense_product, text_pieces


def student_of(make_micro, teacher):
    return warm_start(make_micro(seed=3), teacher)


class OneHotTeacher:
    """Each distinct text gets a random direction of its own."""

    name, width = "directions", 96

    def encode(self, texts, role="document"):
        rows = [np.random.default_rng(list(text.encode())).normal(size=self.width) for text in texts]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


def test_one_piece_gets_its_teacher_vector_when_the_layers_do_nothing(make_micro):
    """With layers that add nothing, and a teacher as wide as the hidden states, the start is exact."""
    model = make_micro(seed=3)
    hidden = model.config.text.hidden_size

    class Narrow(OneHotTeacher):
        width = hidden

    warm_start(model, Narrow())
    for layer in model.text_model.layers:
        layer.post_attention_layernorm.weight.data.fill_(-1.0)
        layer.post_feedforward_layernorm.weight.data.fill_(-1.0)
    ids, texts = text_pieces(model.tokenizer)
    with torch.inference_mode():
        got = model(ids[:50, None], torch.ones(50, 1, dtype=torch.long)).numpy()
    np.testing.assert_allclose(got, Narrow().encode(texts[:50]), atol=1e-5)


def test_layers_begin_near_the_identity(make_micro):
    model = student_of(make_micro, OneHotTeacher())
    ids = torch.arange(20, 60)[None]
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        before = model.text_model.embed_tokens(ids)
        after = model.token_states(ids, mask)
    cosine = torch.nn.functional.cosine_similarity(before, after, dim=-1)
    assert cosine.mean() > 0.9


def test_a_warm_student_agrees_with_its_teacher_more_than_a_cold_one(make_micro, fake_teacher, tiny_texts):
    class Wide(OneHotTeacher):
        """A mean of words' directions: what a warm start can know."""

        def encode(self, texts, role="document"):
            single = super().encode
            rows = np.stack([single(text.split()).mean(axis=0) for text in texts])
            return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    teacher = Wide()
    texts = tiny_texts[:60]
    target = teacher.encode(texts) @ teacher.encode(texts).T
    off = ~np.eye(len(texts), dtype=bool)

    def agreement(model):
        vectors = model.encode(texts)
        return np.corrcoef((vectors @ vectors.T)[off], target[off])[0, 1]

    assert agreement(student_of(make_micro, teacher)) > agreement(make_micro(seed=3)) + 0.1


def test_same_start_twice(make_micro):
    first, second = (student_of(make_micro, OneHotTeacher()).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_narrow_teacher_is_refused(make_micro):
    class Narrow(OneHotTeacher):
        width = 8

    with pytest.raises(ValueError, match=r"is 8 wide; a warm start needs .* hidden states \(64\)"):
        warm_start(make_micro(seed=3), Narrow())


def test_pieces_of_words_are_asked_for_without_their_mark():
    """WordPiece marks what stands within a word; in BPE the same signs are a text of their own, a heading perhaps."""
    ids, texts = text_pieces(teacher_tokenizer(wordpiece(["#", "sun", "##s", "##set"]), ["sunset"]))
    assert ids.tolist() == [4, 5, 6, 7]
    assert texts == ["#", "sun", "s", "set"]
    ids, texts = text_pieces(wordpiece(["#", "sun", "##s", "##set", "###"]))
    assert ids.tolist()[-5:] == [6, 7, 8, 9, 10]
    assert texts[-5:] == ["#", "sun", "s", "set", "#"]
    tokenizer = train_tokenizer(["## sunset\n    ## sunrise"] * 20, vocab_size=420)
    ids, texts = text_pieces(tokenizer)
    assert {"##", "sunset", "a"} <= set(texts)
    spaces = [token for token in tokenizer.get_vocab() if not token.replace("▁", " ").strip()]
    assert {"▁", "▁▁", "\n"} <= set(spaces)
    assert not set(ids.tolist()) & set(tokenizer.convert_tokens_to_ids(spaces))


@pytest.mark.parametrize("rank", [64, 48])
def test_the_dense_layers_multiply_to_what_is_given(make_micro, rank):
    model = make_micro()
    matrix = torch.randn(64, 64, generator=torch.Generator().manual_seed(1))
    matrix[rank:] = 0
    set_dense_product(model, matrix.requires_grad_())
    torch.testing.assert_close(model.merged_dense(), matrix, atol=1e-5, rtol=1e-4)
    up, down = model.dense_up.weight.norm(), model.dense_down.weight.norm()
    assert 0.9 < up / down < 1.1
    assert model.dense_up.weight.requires_grad


def test_special_tokens_and_bytes_keep_their_rows(make_micro):
    model = student_of(make_micro, OneHotTeacher())
    fresh = new_model("micro", model.tokenizer, seed=3).text_model.embed_tokens.weight
    table = model.text_model.embed_tokens.weight
    ids, _ = text_pieces(model.tokenizer)
    others = sorted(set(range(len(table))) - set(ids.tolist()))
    cosine = torch.nn.functional.cosine_similarity(table[others], fresh[others], dim=1)
    padded = fresh[others].norm(dim=1) == 0  # the padding row is zero
    assert (cosine[~padded] > 0.999).all()
    assert len(others) >= 260
