import json
import os

import numpy as np
import pytest
import torch

from egemma_lab.quantize import Index, calibrate, quantize_vectors, search
from egemma_lab.quantize.index import fingerprint

QUERIES = ["What orbits the sun?", "a cold moon"]


@pytest.fixture(scope="module")
def texts(tiny_texts):
    return tiny_texts[::3]


@pytest.fixture(scope="module")
def index(micro_model, texts):
    return Index.build(micro_model, texts, precision="int8", truncate_dim=32)


def found(index, queries=QUERIES, **options):
    scores, ids = index.search(queries, 5, **options)
    return scores.tolist(), ids.tolist()


class TestSearch:
    @pytest.mark.parametrize(
        ("precision", "finer"), [("float32", None), ("int8", None), ("binary", None), ("ubinary", "int8")]
    )
    def test_is_search_over_the_encoded_texts(self, micro_model, texts, precision, finer):
        index = Index.build(micro_model, texts, precision=precision, rescore_precision=finer, truncate_dim=32)
        queries = micro_model.encode_query(QUERIES, truncate_dim=32)
        corpus = micro_model.encode_document(texts, truncate_dim=32)
        for rescore in (0, 3):
            expected = search(queries, corpus, 5, precision, rescore, rescore_precision=finer)
            for asked in (QUERIES, queries, torch.from_numpy(queries)):
                result = index.search(asked, 5, rescore)
                assert all(np.array_equal(a, b) for a, b in zip(result, expected))

    def test_one_query_gives_one_row(self, index, micro_model):
        scores, ids = index.search(QUERIES[0], 4)
        assert scores.shape == ids.shape == (4,)
        alone = index.search(micro_model.encode_query(QUERIES[0], truncate_dim=32), 4)
        assert np.array_equal(ids, alone[1])

    def test_titles_and_other_prompts(self, micro_model, texts):
        titled = Index.build(micro_model, texts, titles=["a title"] * len(texts), precision="float32")
        expected = micro_model.encode_document(texts, titles=["a title"] * len(texts))
        assert np.array_equal(titled.stored.vectors(np.arange(len(texts))), expected)
        alike = Index.build(
            micro_model, texts, prompt_name="STS", query_prompt_name="STS", precision="float32"
        )
        scores, ids = alike.search(texts[7], 1)
        assert ids.tolist() == [7]
        assert scores[0] == pytest.approx(1, abs=1e-5)

    def test_vectors_of_unknown_origin(self, texts):
        rows = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
        index = Index.build(None, rows, precision="int8", truncate_dim=12)
        cut = rows[:, :12]
        assert np.array_equal(index.search(cut[:4], 3)[1], search(cut[:4], cut, 3, "int8")[1])

    def test_ranges_are_learnt_from_the_corpus_or_given(self, micro_model, texts, index):
        vectors = micro_model.encode_document(texts, truncate_dim=32)
        assert np.array_equal(index.stored.ranges, calibrate(vectors))
        given = calibrate(vectors[:20])
        other = Index.build(micro_model, vectors, precision="int8", ranges=given)
        assert np.array_equal(other.stored.as_quantized(), quantize_vectors(vectors, "int8", given))

    def test_an_empty_corpus(self, micro_model, tmp_path):
        for precision in ("int8", "binary"):
            index = Index.build(micro_model, [], precision=precision)
            assert index.search(QUERIES)[1].shape == (2, 0)
            assert Index.load(index.save(tmp_path), micro_model).search("moon")[1].shape == (0,)

    def test_what_it_says_of_itself(self, index, texts):
        assert len(index) == len(texts)
        assert index.nbytes == 32 * len(texts)
        assert repr(index) == "Index of 67 vectors: width 32, int8, 2,144 bytes, model 'micro'"


class TestFolder:
    @pytest.mark.parametrize(
        ("precision", "finer"), [("int8", None), ("binary", "int8"), ("binary", "float32")]
    )
    def test_there_and_back(self, micro_model, texts, tmp_path, precision, finer):
        index = Index.build(micro_model, texts, precision=precision, rescore_precision=finer)
        again = Index.load(index.save(tmp_path / "deep" / "index"), micro_model)
        assert again.about == index.about
        assert found(again) == found(index)
        assert repr(again) == repr(index)

    def test_bits_that_are_no_whole_bytes(self, tmp_path):
        rows = np.random.default_rng(0).normal(size=(50, 20))
        index = Index.build(None, rows)
        again = Index.load(index.save(tmp_path))
        assert np.array_equal(again.search(rows, 3)[0], index.search(rows, 3)[0])

    def test_the_arrays_are_those_others_make(self, micro_model, texts, index, tmp_path):
        from safetensors.numpy import load_file

        (file,) = index.save(tmp_path).glob("*.safetensors")
        arrays = load_file(file)
        vectors = micro_model.encode_document(texts, truncate_dim=32)
        assert np.array_equal(arrays["ranges"], calibrate(vectors))
        assert np.array_equal(arrays["codes"], quantize_vectors(vectors, "int8", arrays["ranges"]))
        about = json.loads((tmp_path / "index.json").read_text())
        assert about["model"] == "micro"
        assert about["query_prompt"] == micro_model.prompts["query"]
        assert (about["width"], about["precision"], about["count"]) == (32, "int8", len(texts))

    def test_saving_again_replaces_it_and_nothing_else(self, micro_model, texts, index, tmp_path):
        index.save(tmp_path)
        (tmp_path / "notes.txt").write_text("mine")
        other = Index.build(micro_model, texts[:9], precision="binary")
        other.save(tmp_path)
        assert len(list(tmp_path.iterdir())) == 3
        assert found(Index.load(tmp_path, micro_model)) == found(other)

    def test_a_save_that_is_stopped_leaves_the_old_index(
        self, micro_model, texts, index, tmp_path, monkeypatch
    ):
        index.save(tmp_path)
        other = Index.build(micro_model, texts[:9])

        def stop(source, target):
            if str(target).endswith("index.json"):
                raise KeyboardInterrupt
            return replace(source, target)

        replace = os.replace
        monkeypatch.setattr("egemma_lab.quantize.index_files.os.replace", stop)
        with pytest.raises(KeyboardInterrupt):
            other.save(tmp_path)
        monkeypatch.undo()
        assert found(Index.load(tmp_path, micro_model)) == found(index)
        assert not list(tmp_path.glob(".*"))
        other.save(tmp_path)
        assert len(list(tmp_path.iterdir())) == 2

    def test_damaged_or_missing(self, index, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"holds no index that Index\.save wrote"):
            Index.load(tmp_path)
        index.save(tmp_path)
        about = (tmp_path / "index.json").read_text()
        (tmp_path / "index.json").write_text(about[:-20])
        with pytest.raises(ValueError, match=r"index\.json is damaged .*: build the index anew"):
            Index.load(tmp_path)
        (tmp_path / "index.json").write_text(about.replace("index 1", "index 9"))
        with pytest.raises(ValueError, match="does not describe an index in the format 'egemma_lab index 1'"):
            Index.load(tmp_path)
        (tmp_path / "index.json").write_text(about)
        (file,) = tmp_path.glob("*.safetensors")
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(ValueError, match="is damaged, its content is not what its name says"):
            Index.load(tmp_path)
        file.unlink()
        with pytest.raises(FileNotFoundError, match=r"is missing, which index\.json names"):
            Index.load(tmp_path)


class TestRefusals:
    def test_another_model(self, index, make_micro, tmp_path):
        other = make_micro(seed=1)
        message = r"vectors of 'micro' \(\w{8}\), the query's model is 'micro' \(\w{8}\): load the first"
        with pytest.raises(ValueError, match=message):
            index.search(QUERIES, model=other)
        with pytest.raises(ValueError, match=message):
            index.search(other.encode_query(QUERIES, truncate_dim=32), model=other)
        with pytest.raises(ValueError, match=message):
            Index.load(index.save(tmp_path), other)

    def test_the_same_model_elsewhere_is_the_same(self, index, make_micro, tmp_path):
        twin = make_micro(seed=0)
        twin.name = "another name"
        assert found(index, model=twin) == found(index)
        loaded = Index.load(index.save(tmp_path))
        assert found(loaded, model=twin) == found(index)
        with pytest.raises(ValueError, match="texts need the model of this index, micro: pass model="):
            loaded.search(QUERIES)

    def test_what_the_fingerprint_sees(self, make_micro, tiny_texts):
        from egemma_lab.model import train_tokenizer

        known = {fingerprint(make_micro())}
        weights, half, tokens, pooled = (make_micro() for _ in range(4))
        half.to(torch.bfloat16)
        with torch.no_grad():
            weights.dense_down.weight[0, 0] += 1e-3
        tokens.tokenizer = train_tokenizer(tiny_texts[:9], vocab_size=400)
        pooled.config.pooling = "last"
        known |= {fingerprint(model) for model in (weights, half, tokens, pooled)}
        assert len(known) == 5

    def test_another_width(self, index, micro_model):
        with pytest.raises(
            ValueError, match=r"queries of shape \(2, 64\).*vectors of width 32: encode .*truncate_dim=32"
        ):
            index.search(micro_model.encode_query(QUERIES))
        with pytest.raises(ValueError, match="vectors of width 20: micro makes those of 64, 32, 16"):
            Index.build(micro_model, np.ones((5, 20)))

    def test_another_prompt(self, index, make_micro):
        with pytest.raises(
            ValueError, match=r"prompt_name='STS', but this index is for .* 'query': leave prompt_name out"
        ):
            index.search(QUERIES, prompt_name="STS")
        assert found(index, prompt_name="query") == found(index)
        changed = make_micro()
        changed.prompts["query"] = "find: "
        with pytest.raises(ValueError, match=r"prompt 'query' is 'find: ' now, and was 'task: search result"):
            index.search(QUERIES, model=changed)
        with pytest.raises(
            ValueError, match=r"prompt 'nope' is not one of this model's prompts \(query, document"
        ):
            Index.build(changed, ["a"], query_prompt_name="nope")

    def test_no_model(self, micro_model):
        with pytest.raises(ValueError, match="texts need the model that is to embed them"):
            Index.build(None, ["a text"])
        index = Index.build(None, np.eye(16, 64))
        with pytest.raises(ValueError, match="texts need the model of this index, unknown"):
            index.search("moon")
        with pytest.raises(ValueError, match="built from vectors of unknown origin: ask it with vectors"):
            index.search("moon", model=micro_model)

    def test_titles_without_their_place(self, micro_model):
        for options in ({"corpus": np.eye(64)}, {"corpus": ["a"], "prompt_name": "STS"}):
            with pytest.raises(ValueError, match="titles= go into the document prompt"):
                Index.build(micro_model, titles=["t"], **options)

    def test_a_copy_that_is_no_finer(self, micro_model):
        with pytest.raises(ValueError, match="rescore_precision='int8' is no finer than precision='float32'"):
            Index.build(micro_model, ["a", "b"], precision="float32", rescore_precision="int8")

    def test_texts_that_are_none(self, index, micro_model):
        with pytest.raises(TypeError, match=r"texts\[1\] is int 2, expected str"):
            index.search(["a", 2])
        with pytest.raises(TypeError, match=r"texts\[0\] is ndarray"):
            Index.build(micro_model, list(np.eye(3)))
