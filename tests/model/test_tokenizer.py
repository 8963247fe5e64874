import heapq
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from egemma_lab.model import preset_config, train_tokenizer
from egemma_lab.model.tokenizer import SPECIAL_TOKENS
from egemma_lab.model.tokenizing import clean_text, token_ids

CODE = [
    "def loadModel(name):\n    if name is None:\n        return None\n    return self._models[name]\n\n",
    "def save_model(model, path):\n    with open(path, 'w') as file:\n        file.write(str(model))\n",
    "Tabs\tand naïve façades, 日本語 and 日本, 12345 digits, HTTPServer == HTTPServer",
]


@pytest.fixture(scope="module")
def tokenizer(tiny_texts):
    return train_tokenizer([*CODE * 3, *tiny_texts], vocab_size=700)


def pieces(tokenizer, text):
    return tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids[1:-1])


def test_special_tokens_have_gemmas_ids(tokenizer):
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == [0, 1, 2, 3]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id) == (0, 1, 2)
    assert tokenizer.unk_token_id == 3
    assert sorted(tokenizer.all_special_tokens) == sorted(SPECIAL_TOKENS)
    assert tokenizer.convert_ids_to_tokens(range(4, 260)) == [f"<0x{byte:02X}>" for byte in range(256)]


def test_ids_are_consecutive(tokenizer):
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))
    assert 400 < len(tokenizer) <= 700


def test_bos_and_eos_are_added(tokenizer):
    ids = tokenizer(["red planet", ""]).input_ids
    assert ids[0][0] == 2
    assert ids[0][-1] == 1
    assert ids[1] == [2, 1]


# "▁" stands for the space, here as in Gemma's own tokenizer, and comes back as one
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"), max_size=60)


@given(any_text)
@settings(max_examples=200, deadline=None)
def test_decoding_inverts_encoding(tokenizer, text):
    ids = tokenizer(text).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert 3 not in ids


@pytest.mark.parametrize(
    "text", [*CODE, "  leading and trailing  ", "\x00\x01", "a\r\nb", "😀 e\u0301", " " * 37 + "x"]
)
def test_decoding_inverts_encoding_of_examples(tokenizer, text):
    assert tokenizer.decode(tokenizer(text).input_ids[1:-1]) == text


@pytest.mark.parametrize("text", ["<bos>", "a<eos>b", "<pad><unk>", "<0x0A>"])
def test_control_tokens_in_a_users_text_are_text(tokenizer, text, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    for one in (tokenizer, AutoTokenizer.from_pretrained(tmp_path)):
        inside = one(text).input_ids[1:-1]
        assert min(inside) >= 260
        assert one.decode(inside) == text
        one(
            "set otherwise by somebody",
            split_special_tokens=False,
            truncation=True,
            max_length=3,
            padding="max_length",
        )
        assert token_ids(one, [text], 100)[0] == [[2, *inside, 1]]


def test_no_learnt_token_looks_like_a_control_or_byte_token(tiny_texts):
    tokenizer = train_tokenizer(["<bos><bos> <eos> <0x0A><0x0A> <pad>"] * 50, vocab_size=700)
    learnt = tokenizer.convert_ids_to_tokens(range(260, len(tokenizer)))
    assert len(learnt) == len(set(learnt))
    assert not any(token.startswith("<") and token.endswith(">") and len(token) > 2 for token in learnt)


def test_tokens_do_not_cross_words(tokenizer):
    assert pieces(tokenizer, "Mars orbits") == ["Mars", "▁orbits"]
    for token in tokenizer.convert_ids_to_tokens(range(260, len(tokenizer))):
        word = token.lstrip("▁")
        assert "▁" not in word
        assert not (word and token.startswith("▁▁"))
        assert not (any(map(str.isdigit, token)) and len(token) > 1)


def test_indentation_is_one_token(tokenizer):
    assert pieces(tokenizer, "        return")[0] == "▁" * 8
    for spaces in range(2, 17):
        assert pieces(tokenizer, "\n" + " " * spaces + "x")[1] == "▁" * spaces


def test_saved_and_loaded_it_is_the_same(tokenizer, tmp_path):
    """Beside a Gemma 3 config too, where AutoTokenizer could take it for Gemma's own class."""
    tokenizer.save_pretrained(tmp_path)
    preset_config("micro", vocab_size=len(tokenizer)).text.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert loaded.padding_side == "right"
    texts = [*CODE, "<bos> text", "", "\x00"]
    assert loaded(texts).input_ids == tokenizer(texts).input_ids
    loaded.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again/tokenizer.json").read_text() == (tmp_path / "tokenizer.json").read_text()


def test_same_texts_same_tokenizer(tiny_texts):
    texts = [*CODE, *tiny_texts]
    first, second = (train_tokenizer(iter(texts), 600).backend_tokenizer.to_str() for _ in range(2))
    assert first == second


def sentencepiece_bpe(text, rank):
    """SentencePiece's BPE, as llama.cpp runs it: join the two whose token ranks best, leftmost first."""
    symbols = list(text)
    following, previous = list(range(1, len(text) + 1)), list(range(-1, len(text) - 1))
    queue = []

    def offer(left, right):
        if left >= 0 and right < len(text) and symbols[left] + symbols[right] in rank:
            heapq.heappush(
                queue, (rank[symbols[left] + symbols[right]], left, right, symbols[left], symbols[right])
            )

    for left in range(len(text) - 1):
        offer(left, left + 1)
    while queue:
        _, left, right, first, second = heapq.heappop(queue)
        if (symbols[left], symbols[right]) != (first, second) or following[left] != right:
            continue  # one of the two has been joined to another meanwhile
        symbols[left], symbols[right] = first + second, None
        following[left] = following[right]
        if following[right] < len(text):
            previous[following[right]] = left
        offer(previous[left], left)
        offer(left, following[left])
    return [symbol for symbol in symbols if symbol is not None]


words = st.sampled_from(
    ["return", "the", "orbits", "Mars", "self", "HTTPServer", "moon", "a", "é", "12", "_", "(", "=="]
)
spaces = st.integers(0, 40).map(lambda n: " " * n) | st.just("\n") | st.just(" ")


@given(st.lists(words | spaces, max_size=30).map("".join) | any_text)
@settings(max_examples=300, deadline=None)
def test_merging_by_score_gives_the_same_tokens(tokenizer, text):
    """GGUF files keep tokens and scores, no merges; score = -rank must be enough."""
    rank = {token: index for token, index in tokenizer.get_vocab().items() if index >= 260}
    expected = sentencepiece_bpe(text.replace(" ", "▁"), rank)
    by_bytes = []
    for piece in expected:
        by_bytes += [piece] if piece in rank else [f"<0x{byte:02X}>" for byte in piece.encode()]
    assert pieces(tokenizer, text) == by_bytes


def test_every_merge_gives_a_token(tokenizer):
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    assert model["byte_fallback"] is True
    for left, right in model["merges"]:
        assert {left, right, left + right} <= model["vocab"].keys()


def test_small_text_gives_few_tokens():
    assert len(train_tokenizer(["ab"], vocab_size=8192)) < 400


def test_rare_characters_are_bytes_and_frequent_ones_tokens():
    tokenizer = train_tokenizer(["日本 " * 2000, "鰻"], vocab_size=500)
    assert pieces(tokenizer, "日本") == ["日本"]
    assert pieces(tokenizer, "鰻") == ["<0xE9>", "<0xB0>", "<0xBB>"]


def test_vocabulary_is_never_larger_than_asked():
    many = ["".join(map(chr, range(start, start + 40))) for start in range(0x4E00, 0x5200, 40)]
    assert len(train_tokenizer(many, vocab_size=420)) <= 420


@pytest.mark.parametrize(
    ("texts", "vocab_size", "error", "message"),
    [
        ([], 500, ValueError, "needs text to learn from, got none"),
        (["", ""], 500, ValueError, "needs text to learn from"),
        (["text"], 100, ValueError, "vocab_size=100 must be at least 37[0-9]"),
        (["text", None], 500, TypeError, r"texts\[1\] is NoneType None, expected str"),
        ("text", 500, TypeError, "texts is str, expected a list of str"),
    ],
)
def test_bad_inputs(texts, vocab_size, error, message):
    with pytest.raises(error, match=message):
        train_tokenizer(texts, vocab_size)


class TestTokenizing:
    def test_lone_surrogates_become_replacement_characters(self, tokenizer):
        assert clean_text("a\ud800b") == "a\ufffdb"
        assert clean_text("\ud83d\ude00") == "😀"
        assert token_ids(tokenizer, ["a\udfffb"], 100) == token_ids(tokenizer, ["a\ufffdb"], 100)

    @given(st.text(st.characters(), max_size=30))
    @settings(deadline=None)
    def test_clean_text_is_always_valid(self, text):
        cleaned = clean_text(text)
        assert clean_text(cleaned.encode().decode()) == cleaned

    def test_cut_keeps_bos_and_eos(self, tokenizer):
        whole = tokenizer("Mars orbits the distant sun").input_ids
        (ids,), cut = token_ids(tokenizer, ["Mars orbits the distant sun"], 4)
        assert ids == [*whole[:3], 1]
        assert cut == [0]
        assert token_ids(tokenizer, ["Mars orbits the distant sun"], len(whole)) == ([whole], [])

    def test_ids_are_those_of_the_tokenizer(self, tokenizer, tiny_texts):
        assert token_ids(tokenizer, tiny_texts, 2048) == (tokenizer(tiny_texts).input_ids, [])
