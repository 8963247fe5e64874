import logging
import warnings

import numpy as np
import pytest
import torch
from sentence_transformers.util import quantize_embeddings

from egemma_lab.model import PROMPTS, EmbeddingGemma, encode, pad_batch, preset_config

TEXTS = ["Mars orbits the sun.", "moon", "", "an old satellite reflects a cold moon " * 9]


def by_hand(model, strings):
    """One text after the other, no batching at all."""
    with torch.no_grad():
        rows = [model(*pad_batch(model.tokenize([string])))[0] for string in strings]
    return torch.stack(rows).numpy()


class TestWhatComesBack:
    def test_list_gives_unit_rows_in_order(self, micro_model):
        vectors = micro_model.encode(TEXTS)
        assert vectors.shape == (4, 64)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert np.allclose(vectors, by_hand(micro_model, TEXTS), atol=2e-6)

    def test_string_gives_one_vector(self, micro_model):
        assert np.array_equal(micro_model.encode("moon"), micro_model.encode(["moon"])[0])
        assert micro_model.encode_query("moon").shape == (64,)
        assert micro_model.encode_document("moon", titles="Titan").shape == (64,)

    @pytest.mark.parametrize("width", [64, 32])
    def test_empty_list(self, micro_model, width):
        vectors = micro_model.encode([], truncate_dim=width)
        assert vectors.shape == (0, width)
        assert vectors.dtype == np.float32
        assert micro_model.encode_document([], titles=[]).shape == (0, 64)

    def test_tensor_on_request_can_be_trained_on(self, micro_model):
        vectors = micro_model.encode(TEXTS, convert_to_tensor=True)
        assert isinstance(vectors, torch.Tensor)
        assert vectors.dtype == torch.float32
        assert np.array_equal(vectors.numpy(), micro_model.encode(TEXTS))
        weight = torch.ones(64, requires_grad=True)
        (vectors * weight).sum().backward()  # an inference-mode tensor would refuse this
        assert weight.grad is not None

    def test_tuples_arrays_and_series_are_lists_too(self, micro_model):
        expected = micro_model.encode(TEXTS)
        for texts in (tuple(TEXTS), np.array(TEXTS, dtype=object), iter(TEXTS)):
            assert np.array_equal(micro_model.encode(texts), expected)

    def test_bfloat16_model_gives_float32(self, make_micro):
        vectors = make_micro().to(torch.bfloat16).encode(TEXTS)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


class TestWidths:
    @pytest.mark.parametrize("width", [64, 32, 16])
    def test_truncated_then_normalised(self, micro_model, width):
        whole = micro_model.encode(TEXTS)[:, :width]
        expected = whole / np.linalg.norm(whole, axis=1, keepdims=True)
        assert np.allclose(micro_model.encode(TEXTS, truncate_dim=width), expected, atol=1e-6)

    @pytest.mark.parametrize("width", [300, 0, 63, -1])
    def test_other_widths_are_refused(self, micro_model, width):
        message = rf"truncate_dim={width} is not one of this model's widths \(64, 32, 16\)"
        with pytest.raises(ValueError, match=message):
            micro_model.encode(TEXTS, truncate_dim=width)
        with pytest.raises(ValueError, match=message):
            micro_model.encode_document([], truncate_dim=width)


class TestPrecisions:
    @pytest.mark.parametrize("precision", ["int8", "uint8", "binary", "ubinary"])
    @pytest.mark.parametrize("width", [None, 16])
    def test_codes_are_those_of_the_vectors(self, micro_model, precision, width):
        vectors = micro_model.encode(TEXTS, truncate_dim=width)
        ranges = np.stack([vectors.min(axis=0), vectors.max(axis=0)]) if "int" in precision else None
        codes = micro_model.encode(TEXTS, truncate_dim=width, precision=precision, ranges=ranges)
        expected = quantize_embeddings(vectors, precision, ranges=ranges)
        assert codes.dtype == expected.dtype
        assert np.array_equal(codes, expected)
        tensor = micro_model.encode(
            TEXTS, truncate_dim=width, precision=precision, ranges=ranges, convert_to_tensor=True
        )
        assert np.array_equal(tensor.numpy(), expected)
        one = micro_model.encode(TEXTS[0], truncate_dim=width, precision=precision, ranges=ranges)
        alone = micro_model.encode(TEXTS[0], truncate_dim=width)
        assert np.array_equal(one, quantize_embeddings(alone, precision, ranges=ranges))

    def test_binary_codes_are_the_library_s_for_the_saved_model(self, micro_model, tmp_path):
        from sentence_transformers import SentenceTransformer

        library = SentenceTransformer(str(micro_model.save_pretrained(tmp_path / "m")), device="cpu")
        theirs = library.encode(TEXTS, prompt_name="document", precision="ubinary", show_progress_bar=False)
        ours = micro_model.encode_document(TEXTS, precision="ubinary")
        sure = np.abs(micro_model.encode_document(TEXTS)) > 1e-5  # nearer to 0, rounding may choose the sign
        assert sure.mean() > 0.99
        assert np.array_equal(np.unpackbits(ours, axis=1)[sure], np.unpackbits(theirs, axis=1)[sure])

    def test_own_ranges_are_the_library_s_with_a_warning(self, micro_model):
        with pytest.warns(UserWarning, match=r"int8 codes with these 4 texts' own ranges compare with no"):
            codes = micro_model.encode_query(TEXTS, precision="int8")
        assert np.array_equal(codes, quantize_embeddings(micro_model.encode_query(TEXTS), "int8"))

    def test_empty_list(self, micro_model):
        assert micro_model.encode([], precision="binary", truncate_dim=16).shape == (0, 2)
        assert micro_model.encode([], precision="uint8").shape == (0, 64)

    def test_refusals_come_before_the_work(self, micro_model, monkeypatch):
        monkeypatch.setattr(micro_model, "_embed", None)
        with pytest.raises(ValueError, match=r"precision='float16' is not one of .*'float32', 'int8'"):
            micro_model.encode(TEXTS, precision="float16")
        with pytest.raises(ValueError, match=r"one text alone gives no ranges for int8: pass ranges="):
            micro_model.encode("moon", precision="int8")
        with pytest.raises(ValueError, match=r"ranges of shape \(2, 64\) for vectors of width 16"):
            micro_model.encode(TEXTS, precision="int8", truncate_dim=16, ranges=np.zeros((2, 64)))


class TestPrompts:
    def test_query_and_document_prompts(self, micro_model):
        queries = by_hand(micro_model, ["task: search result | query: " + text for text in TEXTS])
        assert np.allclose(micro_model.encode_query(TEXTS), queries, atol=2e-6)
        assert np.allclose(micro_model.encode(TEXTS, prompt_name="Retrieval-query"), queries, atol=2e-6)
        documents = by_hand(micro_model, ["title: none | text: " + text for text in TEXTS])
        assert np.allclose(micro_model.encode_document(TEXTS), documents, atol=2e-6)

    def test_titles(self, micro_model):
        titles = ["Mars", None, "", "Io"]
        strings = [
            f"title: {title} | text: {text}" for title, text in zip(["Mars", "none", "none", "Io"], TEXTS)
        ]
        vectors = micro_model.encode_document(TEXTS, titles, truncate_dim=64)
        assert np.allclose(vectors, by_hand(micro_model, strings), atol=2e-6)

    def test_wrong_titles(self, micro_model):
        with pytest.raises(ValueError, match="1 titles for 4 texts"):
            micro_model.encode_document(TEXTS, titles="Mars")
        with pytest.raises(TypeError, match="a title is a string or None, not int"):
            micro_model.encode_document(["text"], titles=[3])
        with pytest.raises(ValueError, match="leave out prompt_name"):
            micro_model.encode_document(["text"], titles=["Mars"], prompt_name="STS")

    def test_other_prompt_by_name(self, micro_model):
        expected = by_hand(micro_model, [PROMPTS["Clustering"] + text for text in TEXTS])
        assert np.allclose(micro_model.encode(TEXTS, "Clustering"), expected, atol=2e-6)
        assert np.allclose(micro_model.encode_query(TEXTS, prompt_name="Clustering"), expected, atol=2e-6)

    def test_unknown_prompt_names_the_known_ones(self, micro_model):
        with pytest.raises(
            ValueError, match=r"prompt_name='qery' is not one of this model's prompts \(query, document"
        ):
            micro_model.encode(TEXTS, prompt_name="qery")

    def test_default_prompt_of_the_model(self, make_micro):
        model = make_micro()
        plain = model.encode("moon")
        model.default_prompt_name = "STS"
        assert np.array_equal(model.encode("moon"), model.encode("moon", prompt_name="STS"))
        assert not np.allclose(model.encode("moon"), plain, atol=1e-3)

    def test_plain_encode_says_which_prompt_it_used(self, micro_model, caplog):
        with caplog.at_level(logging.INFO, logger="egemma_lab"):
            micro_model.encode("moon")
            micro_model.encode_query("moon")
        assert "without a prompt" in caplog.messages[0]
        assert "'task: search result | query: '" in caplog.messages[1]


class TestBatches:
    def test_batching_changes_nothing(self, micro_model, tiny_texts, monkeypatch):
        texts = [text * (1 + index % 7) for index, text in enumerate(tiny_texts)]
        expected = micro_model.encode(texts)
        for batch_size in (1, 7, 500):
            assert np.allclose(micro_model.encode(texts, batch_size=batch_size), expected, atol=2e-6)
        monkeypatch.setitem(encode.TOKEN_BUDGET, "cpu", 64)
        monkeypatch.setattr(encode, "CHUNK", 16)  # many chunks, tokenised ahead
        assert np.allclose(micro_model.encode(texts), expected, atol=2e-6)

    def test_batches_keep_to_the_token_budget_longest_first(self, make_micro, tiny_texts, monkeypatch):
        monkeypatch.setitem(encode.TOKEN_BUDGET, "cpu", 100)
        model, shapes = make_micro(), []
        model.register_forward_pre_hook(lambda module, args: shapes.append(tuple(args[0].shape)))
        model.encode([*tiny_texts, "moon " * 150])
        assert shapes[0][0] == 1
        assert shapes[0][1] > 100  # too long for the budget: alone
        assert all(rows * length <= 100 for rows, length in shapes[1:])
        assert sorted((length for _, length in shapes), reverse=True) == [length for _, length in shapes]

    def test_each_text_is_computed_once(self, make_micro):
        model, rows = make_micro(), []
        model.register_forward_pre_hook(lambda module, args: rows.append(len(args[0])))
        vectors = model.encode(["moon", "sun", "moon", "moon"])
        assert sum(rows) == 2
        assert np.array_equal(vectors[0], vectors[3])
        assert not np.array_equal(vectors[0], vectors[1])

    def test_impossible_batch_size(self, micro_model):
        with pytest.raises(ValueError, match="batch_size=0 must be at least 1"):
            micro_model.encode(TEXTS, batch_size=0)

    def test_failure_while_tokenising_ahead_reaches_the_caller(self, make_micro, monkeypatch):
        model = make_micro()
        monkeypatch.setattr(encode, "CHUNK", 2)
        calls = []

        def failing(texts):
            calls.append(texts)
            if len(calls) == 2:
                raise RuntimeError("tokenizer broke")
            return [[2, 1]] * len(texts), []

        monkeypatch.setattr(model, "_tokenize", failing)
        model.train()
        with pytest.raises(RuntimeError, match="tokenizer broke"):
            model.encode(["a", "b", "c", "d", "e"])
        assert model.training


class TestProgressBar:
    def test_appears_on_long_input_by_itself(self, micro_model, tiny_texts, monkeypatch, capsys):
        micro_model.encode(tiny_texts)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(encode, "LONG_INPUT", 100)
        micro_model.encode(tiny_texts)
        assert "200/200" in capsys.readouterr().err
        micro_model.encode(tiny_texts, show_progress_bar=False)
        assert capsys.readouterr().err == ""

    def test_appears_on_request(self, micro_model, capsys):
        micro_model.encode(TEXTS, show_progress_bar=True)
        assert "4/4" in capsys.readouterr().err


class TestBadInputs:
    @pytest.mark.parametrize("text", ["", " ", "\x00", "a\x00b", "\ud800", "<bos><eos>", "\n" * 50])
    def test_odd_texts_give_finite_unit_vectors(self, micro_model, text):
        for vector in (micro_model.encode(text), micro_model.encode_document(text, titles="t\ud800")):
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)

    def test_lone_surrogate_is_a_replacement_character(self, micro_model):
        assert np.array_equal(micro_model.encode("a\udc80"), micro_model.encode("a\ufffd"))

    def test_very_long_text_is_cut_with_one_notice(self, make_micro):
        model = make_micro()
        model.max_seq_length = 64
        long = "moon and sun " * 8000
        with pytest.warns(UserWarning, match="longer than") as notices:
            vectors = model.encode([long, "moon", long + "!", "sun", long])
        assert [str(notice.message) for notice in notices] == [
            "3 of 5 texts are longer than 64 tokens: cut there"
        ]
        assert notices[0].filename == __file__
        assert np.isfinite(vectors).all()
        assert np.array_equal(vectors[0], vectors[2])  # what they differ in was cut off
        with pytest.warns(UserWarning, match="1 of 1 texts are longer than 64 tokens") as notices:
            model.encode_query(long)
        assert notices[0].filename == __file__
        assert len(model.tokenize([long])[0]) == 64
        assert model.tokenize([long])[0][-1] == 1

    def test_a_hundred_thousand_characters(self, micro_model):
        with pytest.warns(UserWarning, match="longer than 2048 tokens"):
            vector = micro_model.encode("ab cd " * 16_667)
        assert np.isfinite(vector).all()

    def test_texts_of_just_the_limit_give_no_notice(self, make_micro):
        model = make_micro()
        model.max_seq_length = len(model.tokenize(["Mars orbits the sun"])[0])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.encode("Mars orbits the sun")

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            (["a", "b", "c", 7], r"texts\[3\] is int 7, expected str"),
            (["a", None], r"texts\[1\] is NoneType None, expected str"),
            ([["a", "b"]], r"texts\[0\] is list \['a', 'b'\], expected str"),
            ([b"a"], r"texts\[0\] is bytes"),
            (["a", float("nan")], r"texts\[1\] is float nan"),
            (b"a", "texts is bytes, expected a list of str"),
            (None, "texts is NoneType, expected a list of str"),
            (7, "texts is int, expected a list of str"),
        ],
    )
    def test_wrong_types_are_named_by_their_index(self, micro_model, texts, message):
        for method in (micro_model.encode, micro_model.encode_query, micro_model.encode_document):
            with pytest.raises(TypeError, match=message):
                method(texts)
        with pytest.raises(TypeError, match=message):
            micro_model.tokenize(texts)

    def test_model_without_tokenizer(self):
        with pytest.raises(ValueError, match="has no tokenizer"):
            EmbeddingGemma(preset_config("micro")).encode("text")

    @pytest.mark.parametrize("max_length", [2, 0, 4096])
    def test_impossible_length(self, micro_model, max_length):
        with pytest.raises(ValueError, match=f"max_length={max_length} must lie between 3 .* 2048"):
            micro_model.tokenize(["text"], max_length=max_length)


class TestTokenize:
    def test_prompt_bos_eos_and_cut(self, micro_model):
        (ids,) = micro_model.tokenize(["moon"], prompt=PROMPTS["document"])
        assert ids == micro_model.tokenizer("title: none | text: moon").input_ids
        assert micro_model.tokenize(["moon"], prompt=PROMPTS["document"], max_length=5) == [[*ids[:4], 1]]
        assert micro_model.tokenize([]) == []


class TestState:
    def test_training_mode_is_restored_module_by_module(self, make_micro):
        model = make_micro().train()
        model.dense_up.eval()  # somebody's frozen part
        seen = []
        model.register_forward_pre_hook(
            lambda module, args: seen.append((module.training, torch.is_grad_enabled()))
        )
        model.encode("moon")
        assert seen == [(False, False)]
        assert model.training
        assert model.text_model.training
        assert not model.dense_up.training

    def test_random_state_is_left_alone(self, micro_model):
        state = torch.get_rng_state()
        micro_model.encode(TEXTS)
        assert torch.equal(state, torch.get_rng_state())


class TestSimilarity:
    def test_cosine_in_float32(self, micro_model):
        generator = np.random.default_rng(0)
        a, b = generator.normal(size=(3, 5)), generator.normal(size=(4, 5))
        expected = [[np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y) for y in b] for x in a]
        cosines = micro_model.similarity(a, b)
        assert cosines.dtype == np.float32
        assert np.allclose(cosines, expected, atol=1e-6)

    def test_low_precision_comes_in_float32_comes_out(self, micro_model):
        a = torch.randn(3, 64, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
        cosines = micro_model.similarity(a, a.float().numpy())
        assert isinstance(cosines, torch.Tensor)
        assert cosines.dtype == torch.float32
        assert torch.allclose(cosines.diagonal(), torch.ones(3), atol=1e-6)

    def test_single_vectors_are_rows(self, micro_model):
        assert micro_model.similarity(np.ones(4), np.ones((2, 4))).shape == (1, 2)
        assert micro_model.similarity(np.ones(4), np.ones(4)).shape == (1, 1)

    def test_integers_are_vectors_too(self, micro_model):
        assert micro_model.similarity(
            np.array([[3, 0]], dtype=np.int8), np.array([[0, 1], [1, 0]])
        ).tolist() == [[0, 1]]
