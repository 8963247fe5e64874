import numpy as np
import pytest
from fake_teacher import FakeTeacher

from egemma_lab.evaluate.vector_precision import WAYS, vector_frontier
from egemma_lab.explore.precision_bench import NEIGHBOURS, Bench
from egemma_lab.explore.precision_setting import UNROUNDED, WEIGHTS, Setting, weight_bytes
from egemma_lab.quantize import fake_quantize, save_packed


@pytest.fixture(scope="module")
def texts(tiny_texts):
    return tiny_texts[::4]  # 50


@pytest.fixture(scope="module")
def bench(micro_model, texts):
    questions = [f"What {text[:-1]}?" for text in texts[:6]]
    return Bench(micro_model, texts, questions=questions, answers=[{i: 1 + i % 2} for i in range(6)])


@pytest.fixture(scope="module")
def plain(micro_model, texts):
    return Bench(micro_model, texts)


def unit(rows):
    return np.stack([row / np.linalg.norm(row) for row in np.asarray(rows, np.float64)])


def test_what_is_stored_against_plain_loops(bench, micro_model, texts):
    told = micro_model.encode_document(texts)
    np.testing.assert_array_equal(bench.encoded()[0], told)
    cut = unit(told[:, :32])
    np.testing.assert_allclose(bench.stored(Setting(32)), cut, atol=1e-6)
    signs = unit(np.where(cut > 0, 1.0, -1.0))
    for vectors in ("binary", "binary rescored"):
        np.testing.assert_allclose(bench.stored(Setting(32, vectors)), signs, atol=1e-6)
    bytes_ = bench.stored(Setting(32, "int8"))
    step = (cut.max(axis=0) - cut.min(axis=0)) / 255
    assert 0 < np.abs(bytes_ - cut).max() <= step.max()


def test_each_weight_format_is_encoded_once(micro_model, texts, monkeypatch):
    bench, calls = Bench(micro_model, texts), []
    encode = type(micro_model).encode_document
    monkeypatch.setattr(
        type(micro_model),
        "encode_document",
        lambda self, *a, **k: calls.append(self.name) or encode(self, *a, **k),
    )
    for weights in (UNROUNDED, "ternary"):
        assert not bench.knows(weights)
        for width in bench.widths:
            bench.row(Setting(width, "int8", weights))
            bench.stored(Setting(width, "binary", weights))
        assert bench.knows(weights)
    assert calls == [micro_model.name, f"{micro_model.name} ternary"]
    theirs = fake_quantize(micro_model, "ternary").encode_document(texts)
    np.testing.assert_array_equal(bench.encoded("ternary")[0], theirs)


def test_metrics_against_plain_loops(bench):
    _, asked = bench.encoded()
    for setting in (Setting(64), Setting(32, "binary")):
        values = bench.values(setting)
        queries = unit(asked[:, : setting.width])
        if setting.vectors == "binary":
            queries = unit(np.where(queries > 0, 1.0, -1.0))
        for i, query in enumerate(queries):
            answer = next(iter(bench.qrels[str(i)]))
            cosines = bench.stored(setting).astype(np.float64) @ query
            above, tied = ((each(cosines, cosines[int(answer)])).sum() for each in (_above, _as_good))
            best, worst = above + 1, above + tied  # ties fall anyhow
            recall = values["recall@10"][i]
            assert recall in ([1.0] if worst <= 10 else [0.0] if best > 10 else [0.0, 1.0])
            mrr = values["MRR@10"][i]
            assert (
                mrr == 0
                if best > 10
                else 1 / worst - 1e-9 <= mrr <= 1 / best + 1e-9 or (worst > 10 and mrr == 0)
            )
            if mrr:  # one answer: nDCG is one over the logarithm of its rank
                assert values["nDCG@10"][i] == pytest.approx(1 / np.log2(1 / mrr + 1), abs=1e-4)
        assert len(values["nDCG@10"]) == 6


def _above(cosines, own):
    return cosines > own + 1e-6


def _as_good(cosines, own):
    return np.abs(cosines - own) <= 1e-6


def test_the_table_is_the_frontier_of_the_package(bench, micro_model):
    table = bench.table()
    assert table[["width", "precision"]].values.tolist() == [[w, p] for w in micro_model.widths for p in WAYS]
    told, asked = bench.encoded()
    peer = vector_frontier(asked, told, micro_model.widths)
    assert table["bytes"].tolist() == peer["bytes"].tolist()
    for row in table.itertuples():
        assert row.value == row.values["nDCG@10"].mean()
        assert row.low <= row.value <= row.high


def test_texts_ask_for_their_neighbours_where_there_are_no_questions(plain):
    assert plain.metrics == (NEIGHBOURS,)
    assert plain.row(plain.full)["value"] == 1.0
    told = unit(plain.encoded()[0])
    here = unit(plain.stored(Setting(32)))
    expected = []
    for row in range(len(told)):
        near = [sorted(range(len(told)), key=lambda i: -round(v[i] @ v[row], 9)) for v in (told, here)]
        true, found = ([i for i in order if i != row][:10] for order in near)
        expected.append(len(set(true) & set(found)) / 10)
    assert plain.values(Setting(32))[NEIGHBOURS].tolist() == pytest.approx(expected)


def test_the_difference_is_paired(bench):
    setting = Setting(32, "binary", "int4_block")
    found = bench.comparison(setting).set_index("metric")
    for metric in bench.metrics:
        here, full = (bench.row(each)["values"][metric] for each in (setting, bench.full))
        row = found.loc[metric]
        assert row["difference"] == pytest.approx(np.mean([a - b for a, b in zip(here, full)]))
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    same = bench.comparison(bench.full)
    assert (same[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_bytes_of_weights_are_those_of_the_file(micro_model, tmp_path, weights):
    from safetensors import safe_open

    if weights == UNROUNDED:
        assert weight_bytes(micro_model) == sum(4 * p.numel() for p in micro_model.parameters())
        return
    folder = save_packed(micro_model, tmp_path / weights, weights)
    with safe_open(folder / "packed.safetensors", "np") as file:
        stored = sum(file.get_tensor(name).nbytes for name in file.keys())  # noqa: SIM118
    assert weight_bytes(micro_model, weights) == stored


def test_what_does_not_fit_is_refused(micro_model, texts):
    with pytest.raises(TypeError, match="FakeTeacher has no widths"):
        Bench(FakeTeacher(), texts)
    with pytest.raises(ValueError, match="5 texts: at least 12"):
        Bench(micro_model, texts[:5])
    with pytest.raises(ValueError, match="50 texts but 1 labels"):
        Bench(micro_model, texts, labels=["a"])
    with pytest.raises(ValueError, match="belong to texts of your own"):
        Bench(micro_model, labels=["a"])
    with pytest.raises(ValueError, match="1 questions and none answers"):
        Bench(micro_model, texts, questions=["who?"])
    with pytest.raises(ValueError, match=r"answers\[0\] names \[50\]"):
        Bench(micro_model, texts, questions=["who?"], answers=[[50]])
