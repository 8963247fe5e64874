"""Whatever string comes in, a finite unit vector comes out, the same one alone and among others."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ODD = {
    "empty": "",
    "blanks": " \t\r\n\u00a0\u2003\u3000",
    "NUL": "a\0b\0",
    "control characters": "".join(map(chr, range(32))),
    "half a surrogate pair": "a\ud83dz",
    "a pair in two halves": "\ud83d\ude00",
    "right to left": "\u202eשלום עולם\u202c مرحبا",
    "family emoji": "👨\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 🇵🇪",
    "a tower of accents": "e" + "\u0301" * 300,
    "not yet assigned": "\U000e0fff\uffff\ufdd0",
    "only padding tokens": "<pad><pad><pad>",
    "all control tokens": "<bos><eos><pad><unk><mask><0x00><start_of_turn>",
    "a prompt of its own": "task: search result | query: ",
    "byte order mark": "\ufeffx",
    "one word without end": "x" * 5_000,
}
LONG = "lorem ipsum dolor " * 60_000  # 1 MB


@pytest.fixture(scope="module")
def short(make_micro):
    model = make_micro()
    model.max_seq_length = 64
    return model


def unit(vectors):
    return bool(np.isfinite(vectors).all()) and np.allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*longer than 64 tokens")
@pytest.mark.parametrize("way", ["encode", "encode_query", "encode_document"])
def test_odd_texts_alone_and_together(short, way):
    encode = getattr(short, way)
    together = encode(list(ODD.values()))
    assert unit(together)
    for text, vector in zip(ODD.values(), together):
        assert np.allclose(encode(text), vector, atol=1e-5)


def test_a_megabyte_is_cut_with_a_word_and_costs_little(short):
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than 64 tokens: cut there"):
        vectors = short.encode([LONG, "short"])
    assert unit(vectors)


@pytest.mark.parametrize("token", ["<bos>", "<eos>", "<pad>", "<unk>", "<mask>"])
def test_control_tokens_in_a_text_are_text(short, token):
    """They neither become the token nor vanish: no control id stands inside, and the vector is another."""
    control = {short.tokenizer.bos_token_id, short.tokenizer.eos_token_id, short.tokenizer.pad_token_id}
    (ids,) = short.tokenize([f"a {token} b"])
    assert ids[0] == short.tokenizer.bos_token_id
    assert ids[-1] == short.tokenizer.eos_token_id
    assert not control & set(ids[1:-1])
    assert short.tokenizer.decode(ids[1:-1]) == f"a {token} b"
    assert not np.allclose(short.encode(f"a {token} b"), short.encode("a  b"), atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*longer than 64 tokens")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.text(alphabet=st.characters(exclude_categories=[]), max_size=80), min_size=1, max_size=6
    )
)
def test_any_texts_at_all(short, texts):
    """Surrogates included. The order of a batch, and who else is in it, changes no vector."""
    vectors = short.encode(texts)
    assert vectors.shape == (len(texts), 64)
    assert unit(vectors)
    assert np.allclose(short.encode(texts[::-1])[::-1], vectors, atol=1e-5)
    control = {short.tokenizer.bos_token_id, short.tokenizer.eos_token_id, short.tokenizer.pad_token_id}
    assert all(not control & set(ids[1:-1]) for ids in short.tokenize(texts))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.none()
    | st.integers()
    | st.floats()
    | st.binary(max_size=5)
    | st.lists(st.text(max_size=3), max_size=2)
)
def test_what_is_no_text_is_named_with_its_place(short, text):
    with pytest.raises(TypeError, match=r"texts\[1\] is \w+"):
        short.encode(["a text", text])
