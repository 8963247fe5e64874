"""GGUF files with a teacher's pieces: what llama.cpp reads as the tokenizer does, and exactly what it does not."""

import copy
import random
import unicodedata

import gguf
import pytest
from tokenizers import AddedToken, models, normalizers, pre_tokenizers

from egemma_lab.model import load_teacher
from egemma_lab.quantize import export, exporting, fake_quantize
from egemma_lab.quantize.gguf_vocabulary import vocabulary_problems
from egemma_lab.quantize.llama_cpp import llama_server
from egemma_lab.quantize.probes import disagreement

# Blocks from ASCII to Cyrillic, general punctuation to symbols, the first ideographs, full width, emoji.
BLOCKS = [
    (0x1, 0x530),
    (0x1E00, 0x2BFF),
    (0x3000, 0x30FF),
    (0x4E00, 0x4E80),
    (0xFE00, 0xFFFE),
    (0x1F300, 0x1FB00),
]
TEXTS = [
    "Roots take up water from the soil, and leaves let it go again; isn't that WONDERFUL?",
    "def mean(xs: list[float]) -> float:\n\treturn sum(xs) / len(xs)  # 1,234.5e-6 & ~x ^ y | `z` $ \\n {} @",
    "Größe, naïve, e\u0301 and é, ﬁ, Ǆ, İstanbul, STRASSE ẞ, \u2126mega, \u212a, \u212b, ΟΔΟΣ, ёлка, Tiếng Việt",
    "v2.10.3 3½ ١٢٣ ² 2026-11-29 $5 £6 €7 №8 ™",
    "日本語のテキスト, العربية, ไทย, 한국어, हिन्दी, x\u0301\u0302y",
    "👩‍👩‍👧‍👦 🇩🇪 🏳️‍🌈 ☃️ a🙂b → ≤ “quoted” – dashed — … •",
    "[CLS] a [SEP] [UNK] [MASK] <bos><eos><pad><unk> <bos> (by id only) </s> <|endoftext|> ##ing ## #",
    "soft\u00adhyphen zero\u200bwidth \ufeffmark \u2028line\u2029 \u3000wide \u00a0hard a\x00b\x01c\x7fd \ufffd",
    "a" * 100 + " " + "-" * 150,
]


@pytest.fixture(scope="module")
def pieces():
    """Pieces for Latin, Greek and Cyrillic letters and a few ideographs; too few of them for every word."""
    texts = [*TEXTS[:4], "abcdefghijklmnopqrstuvwxyz αβγδε 日本"]
    return load_teacher().student_tokenizer(texts, vocab_size=4000)


@pytest.fixture(scope="module")
def model(exportable, pieces):
    return exportable(seed=3, tokenizer=pieces)


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    with llama_server(export(model, tmp_path_factory.mktemp("wordpiece") / "m.gguf").path) as running:
        yield running


@pytest.mark.parametrize("precision", ["f32", "Q8_0"])
def test_llama_cpp_gives_the_models_token_ids_and_vectors(model, nasty_texts, tmp_path, precision):
    texts = TEXTS + nasty_texts
    written = export(model, tmp_path / "m.gguf", precision=precision)
    assert written.agreement.by == "llama.cpp"
    expected = model.tokenize(texts)
    assert {token for row in expected for token in row[1:-1]}.isdisjoint({0, 1, 2})
    with llama_server(written.path) as server:
        assert server.tokenize(texts) == expected
        vectors = server.embed(texts)
    reference = fake_quantize(model, "int8_block") if precision == "Q8_0" else model
    assert disagreement(vectors, reference.encode(texts)) <= (1e-5 if precision == "f32" else 1e-3)


def differing(server, model, texts):
    """Those texts that llama.cpp reads otherwise. Many are asked for as one: a request costs more than they do."""
    together = [" ".join(texts)]
    if server.tokenize(together) == [model.tokenizer(together[0]).input_ids]:
        return []
    half = len(texts) // 2
    return differing(server, model, texts[:half]) + differing(server, model, texts[half:]) if half else texts


def test_characters_are_read_alike_but_for_those_of_the_docstring(server, model):
    characters = [chr(code) for block in BLOCKS for code in range(*block)]
    texts = [f"a{each}b {each} {each.upper()}x" for each in characters]
    found = set(differing(server, model, texts))
    differ = {character for character, text in zip(characters, texts, strict=True) if text in found}
    marks = {character for character in characters if unicodedata.category(character) in ("Mc", "Me")}
    assert differ == {"\x0b", "\x0c", "\x85", "▁"} | marks


def test_random_texts_are_read_alike(server, model):
    signs = (
        "aabcdeiorstuéßÆøŁñçİδσςΣЖй日本語  \t\n..,,'-_()[]<>#/&@1230½²€“”…🙂\u200d\ufe0f\u0301\u00ad\ufeff"
    )
    draw = random.Random(0)
    texts = ["".join(draw.choices(signs, k=draw.randrange(1, 60))) for _ in range(1000)]
    assert differing(server, model, texts) == []


@pytest.mark.parametrize(
    ("text", "there", "here"),
    [
        ("soil\x0cwater", "soil water", "soilwater"),
        ("soil\u20e3", "soil", None),
        ("soil▁water", "soil water", None),
        ("soil\u2e43water", "soil \u2e43 water", None),  # of Unicode 9.0
        ("soil\u1dfbwater", "soilwater", None),  # of Unicode 9.0
    ],
)
def test_what_differs_differs_as_the_docstring_says(server, model, text, there, here):
    assert server.tokenize([text]) == model.tokenize([there])
    assert model.tokenize([text]) == ([[2, 3, 1]] if here is None else model.tokenize([here]))


def test_words_of_more_than_100_characters_are_cut_there_alone(server, model):
    assert model.tokenize(["a" * 101]) == [[2, 3, 1]]
    [found] = server.tokenize(["a" * 101])
    assert "".join(model.tokenizer.convert_ids_to_tokens(found[1:-1])).replace("##", "") == "a" * 101


def test_tokens_that_are_no_text_keep_their_names_where_they_are_matched(exportable, pieces, tmp_path):
    texts = ["a<bos>b <eos> <pad>", "<<Code>> <<Code>>water <<code>>"]
    tokenizer = copy.deepcopy(pieces)
    tokenizer.add_tokens([AddedToken("<<Code>>", normalized=False)])
    tokenizer.split_special_tokens = False
    model = exportable(tokenizer=tokenizer, vocab_size=len(tokenizer) + 7)  # and rows without a token
    assert {0, 1, 2, len(tokenizer) - 1} <= {index for row in model.tokenize(texts) for index in row[1:-1]}
    with llama_server(export(model, tmp_path / "m.gguf").path) as server:
        assert server.tokenize(texts) == model.tokenize(texts)


def test_what_the_file_says(model, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "has_llama_cpp", lambda: False)
    path = export(model, tmp_path / "m.gguf").path
    fields = {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}
    assert fields["tokenizer.ggml.model"] == "bert"
    named = ("padding", "eos", "bos", "unknown", "seperator")  # GGUF's spelling
    assert [fields[f"tokenizer.ggml.{name}_token_id"] for name in named] == [0, 1, 2, 3, 1]
    tokens, vocab = fields["tokenizer.ggml.tokens"], model.tokenizer.get_vocab()
    assert [tokens[0], tokens[3]] == ["<pad> (by id only)", "<unk> (by id only)"]
    assert [tokens[vocab[piece]] for piece in ("water", "##s", "s", "#")] == ["▁water", "s", "▁s", "▁#"]
    assert set(fields["tokenizer.ggml.token_type"]) == {gguf.TokenType.NORMAL}


BERT = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}


@pytest.mark.parametrize("change", BERT)
def test_other_normalizers_are_refused(pieces, change):
    tokenizer = copy.deepcopy(pieces)
    tokenizer.backend_tokenizer.normalizer = normalizers.BertNormalizer(**{**BERT, change: False})
    assert vocabulary_problems(tokenizer) == ["its tokenizer's normalizer is not BERT's with lower case"]


def test_tokenizers_that_llama_cpp_has_no_place_for_are_refused(exportable, pieces, tmp_path):
    assert vocabulary_problems(pieces) == []
    tokenizer = copy.deepcopy(pieces)
    backend = tokenizer.backend_tokenizer
    backend.normalizer = normalizers.BertNormalizer(**{**BERT, "strip_accents": True})  # what None comes to
    assert vocabulary_problems(tokenizer) == []
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.model.continuing_subword_prefix = "@@"
    backend.model.max_input_chars_per_word = 20
    tokenizer.unk_token = "<pad>"
    tokenizer.add_tokens(["ing"])
    with pytest.raises(
        ValueError,
        match=r"normalizer is not BERT's with lower case; .* splits words not as BERT's; .* have no ##; "
        r".* no words of 100 characters; .* unknown token of its pieces is <unk>; .* their own letters \(ing\)",
    ):
        export(exportable(tokenizer=tokenizer), tmp_path / "m.gguf")


def test_names_that_would_be_alike_are_refused(pieces):
    tokenizer = copy.deepcopy(pieces)
    tokenizer.add_tokens([AddedToken("ing", normalized=False)])
    assert vocabulary_problems(tokenizer) == ["some of its tokens differ only in a ## or ▁"]


@pytest.mark.parametrize("piece", ["##▁", "ᄒ", "##ে"])
def test_pieces_that_llama_cpp_reads_otherwise_are_refused(pieces, piece):
    tokenizer = copy.deepcopy(pieces)
    vocab = {**tokenizer.get_vocab(), piece: len(tokenizer)}
    tokenizer.backend_tokenizer.model = models.WordPiece(vocab, unk_token="<unk>")
    [problem] = vocabulary_problems(tokenizer)
    assert problem == f"its pieces have characters that llama.cpp reads otherwise ({piece[-1]})"
