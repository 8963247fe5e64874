"""The composed loss: all widths in one pass give what the loop over widths gives, gradients included."""

import pytest
import torch
import torch.nn.functional as F

from egemma_lab.losses import (
    RecipeLoss,
    _prefixes,
    contrastive_loss,
    embedding_matching_loss,
    matryoshka_loss,
    spread_out_loss,
)

DIMS = (16, 8, 5, 2)


def vectors(batch, width=16, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, width, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def batch_of(size, negatives=True):
    q, p, n = (vectors(size, seed=seed) for seed in range(3))
    return (q, p, n) if negatives else (q, p, None)


def ids_of(size):
    return {"query_ids": [i // 2 for i in range(size)], "positive_ids": [i % 7 for i in range(size)]}


@pytest.fixture(params=[256, 4], ids=["one strip", "many strips"])
def strip(request, monkeypatch):
    monkeypatch.setitem(_prefixes.STRIP_ROWS, "cpu", request.param)


@pytest.mark.usefixtures("strip")
@pytest.mark.parametrize("size", [1, 2, 9, 16, 40])  # Gram form up to 21 rows here, covariance beyond
@pytest.mark.parametrize("negatives", [False, True])
@pytest.mark.parametrize("ids", [False, True])
def test_equals_the_generic_losses_with_gradients(size, negatives, ids):
    q, p, n = batch_of(size, negatives)
    ids = ids_of(size) if ids else {}
    dim_weights = (1.0, 0.5, 0.0, 3.0)
    loss = RecipeLoss(
        {"contrastive": 0.7, "spread_out": 2.0}, temperature=0.2, dims=DIMS, dim_weights=dim_weights
    )
    total, terms = loss(q, p, n, **ids)

    plain = {
        "contrastive": lambda *x, **k: contrastive_loss(*x, temperature=0.2, **ids, **k),
        "spread_out": lambda *x: spread_out_loss(*x[:2]),
    }
    embeddings = (q, p, n)
    slow = {
        name: matryoshka_loss(f, *embeddings, dims=DIMS, weights=dim_weights) for name, f in plain.items()
    }
    wanted = 0.7 * slow["contrastive"] + 2.0 * slow["spread_out"]
    torch.testing.assert_close(total, wanted, atol=1e-12, rtol=1e-10)
    inputs = [x for x in embeddings if x is not None]
    fast_gradients, slow_gradients = torch.autograd.grad(total, inputs), torch.autograd.grad(wanted, inputs)
    for got, expected in zip(fast_gradients, slow_gradients):
        torch.testing.assert_close(got, expected, atol=1e-10, rtol=1e-10)
    for name, f in plain.items():
        torch.testing.assert_close(terms[name], slow[name].detach(), atol=1e-12, rtol=1e-10)
        for m in DIMS:
            at_width = matryoshka_loss(f, *embeddings, dims=(m,)).detach()
            torch.testing.assert_close(terms[f"{name}/{m}"], at_width, atol=1e-12, rtol=1e-10)


@pytest.mark.usefixtures("strip")
@pytest.mark.parametrize("size", [4, 9])  # Gram and covariance form
def test_gradcheck(size):
    q, p, n = (vectors(size, 6, seed) for seed in range(3))
    loss = RecipeLoss(temperature=0.5, hardness=0.0, dims=(6, 4, 1))
    assert torch.autograd.gradcheck(
        lambda *x: loss(*x, query_ids=[i // 2 for i in range(size)]).total, (q, p, n)
    )


def test_float32_stays_close_to_float64():
    exact = RecipeLoss(dims=DIMS)(*batch_of(30)).total
    single = RecipeLoss(dims=DIMS)(*(x.float() for x in batch_of(30))).total
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(exact.item(), rel=1e-5)


def test_bfloat16_and_autocast_are_computed_in_float32():
    low = [x.detach().bfloat16().requires_grad_() for x in batch_of(12)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total = RecipeLoss(dims=DIMS)(*low).total
    total.backward()
    assert total.dtype == torch.float32
    assert torch.equal(total, RecipeLoss(dims=DIMS)(*(x.float() for x in low)).total)
    assert all(x.grad.dtype == torch.bfloat16 for x in low)


def test_terms_are_all_there_in_order_and_without_gradient():
    q, p, n = batch_of(5)
    teachers = {f"teacher_{side}": vectors(5, seed=9) for side in ("query", "positive", "negative")}
    total, terms = RecipeLoss(dims=(16, 4))(q, p, n, **teachers)
    assert list(terms) == [
        *(
            "loss",
            "contrastive",
            "contrastive/16",
            "contrastive/4",
            "spread_out",
            "spread_out/16",
            "spread_out/4",
        ),
        *("matching", "matching/query", "matching/positive", "matching/negative"),
    ]
    assert total.requires_grad
    assert all(x.ndim == 0 and not x.requires_grad for x in terms.values())
    assert terms["loss"] == terms["contrastive"] + terms["spread_out"] + terms["matching"]
    parts = [embedding_matching_loss(x, teachers["teacher_query"]) for x in (q, p, n)]
    torch.testing.assert_close(terms["matching"], sum(parts).detach())


def test_the_hard_negative_is_matched_too():
    q, p, n = batch_of(4)
    teacher = vectors(4, seed=9)
    loss = RecipeLoss({"contrastive": 0, "spread_out": 0}, dims=DIMS)
    loss(q, p, n, teacher_query=teacher, teacher_positive=teacher, teacher_negative=teacher).total.backward()
    assert n.grad.any()
    same = {f"teacher_{side}": x.detach() for side, x in zip(("query", "positive", "negative"), (q, p, n))}
    assert loss(q, p, n, **same).total.item() == 0


@pytest.mark.parametrize("off", ["contrastive", "spread_out", "matching"])
def test_a_term_of_weight_zero_is_reported_but_does_not_pull(off):
    q, p, _ = batch_of(6, negatives=False)
    teacher = {"teacher_query": vectors(6, seed=8), "teacher_positive": vectors(6, seed=9)}
    everything = RecipeLoss(dims=DIMS)(q, p, **teacher)
    without = RecipeLoss({off: 0}, dims=DIMS)(q, p, **teacher)
    assert list(without.terms) == list(everything.terms)
    assert without.terms[off] == everything.terms[off]
    torch.testing.assert_close(without.total, everything.total - everything.terms[off])
    alone = RecipeLoss({name: name == off for name in ("contrastive", "spread_out", "matching")}, dims=DIMS)
    gradients = [torch.autograd.grad(x.total, [q, p]) for x in (everything, without, alone(q, p, **teacher))]
    for whole, rest, part in zip(*gradients):
        torch.testing.assert_close(rest, whole - part)


def test_without_teacher_vectors_there_is_no_matching_term():
    q, p, _ = batch_of(4, negatives=False)
    terms = RecipeLoss(dims=DIMS)(q, p).terms
    assert not [name for name in terms if name.startswith("matching")]


def test_without_gradients_the_values_are_the_same():
    batch = batch_of(9)
    with torch.no_grad():
        total, terms = RecipeLoss(dims=DIMS)(*batch)
    assert not total.requires_grad
    torch.testing.assert_close(terms, RecipeLoss(dims=DIMS)(*batch).terms)


def test_a_prefix_of_zeros_has_a_finite_gradient():
    x = F.pad(torch.ones(5, 8), (8, 0)).requires_grad_()
    total = RecipeLoss(dims=DIMS)(x, vectors(5, dtype=torch.float32)).total
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"weights": {"spreadout": 1}}, r"\['spreadout'\]; the terms are contrastive, spread_out, matching"),
        ({"weights": {"matching": -1}}, r"weights\['matching'\]=-1"),
        ({"weights": {"matching": float("inf")}}, r"weights\['matching'\]=inf"),
        ({"temperature": 0}, "temperature=0"),
        ({"hardness": -5}, "hardness=-5"),
        ({"distance": "L2"}, "distance='L2' is not one of"),
        ({"hard_negatives": "all"}, "hard_negatives='all' is not one of"),
        ({"match": ()}, r"match=\(\) must name"),
        ({"match": ("anchor",)}, r"match=\('anchor',\) must name"),
        ({"dims": (128, 256)}, r"dims=\(128, 256\)"),
        ({"dims": (8, 4), "dim_weights": (1,)}, "for each width"),
    ],
)
def test_impossible_settings_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        RecipeLoss(**arguments)


def test_hard_negatives_of_the_whole_batch_stand_in_every_row_at_every_width():
    q, p, n = batch_of(9)
    ids = ids_of(9)
    loss = RecipeLoss({"spread_out": 0}, dims=DIMS, dim_weights=(1, 2, 0, 1), hard_negatives="batch")
    total, terms = loss(q, p, n, **ids)
    wanted = matryoshka_loss(
        contrastive_loss, q, p, n, dims=DIMS, weights=(1, 2, 0, 1), hard_negatives="batch", **ids
    )
    torch.testing.assert_close(total, wanted)
    torch.testing.assert_close(terms["contrastive"], wanted.detach())
    own = RecipeLoss({"spread_out": 0}, dims=DIMS)(q, p, n, **ids).terms
    assert all(terms[f"contrastive/{m}"] > own[f"contrastive/{m}"] for m in DIMS)  # more to tell apart


@pytest.mark.parametrize("match", [("query",), ("query", "positive")])
def test_only_the_sides_named_are_matched(match):
    q, p, n = batch_of(9)
    teachers = {
        f"teacher_{side}": vectors(9, seed=seed)
        for seed, side in enumerate(("query", "positive", "negative"), 5)
    }
    weights = {"contrastive": 0, "spread_out": 0}
    total, terms = RecipeLoss(weights, dims=DIMS, match=match)(q, p, n, **teachers)
    by_name = {"query": q, "positive": p}
    wanted = sum(embedding_matching_loss(by_name[side], teachers[f"teacher_{side}"]) for side in match)
    torch.testing.assert_close(total, wanted)
    assert [name for name in terms if name.startswith("matching/")] == [f"matching/{side}" for side in match]
    with pytest.raises(ValueError, match="nothing to minimise"):
        RecipeLoss(weights, dims=DIMS, match=("negative",))(
            q, p, teacher_query=teachers["teacher_query"], teacher_positive=teachers["teacher_positive"]
        )


def test_impossible_calls_are_refused():
    q, p, n = batch_of(4)
    teacher = vectors(4)
    with pytest.raises(ValueError, match=r"dims=\(768, 512, 256, 128\) do not fit embeddings of width 16"):
        RecipeLoss()(q, p)
    with pytest.raises(ValueError, match=r"for query, but the batch has query, positive; .*teacher_positive"):
        RecipeLoss(dims=DIMS)(q, p, teacher_query=teacher)
    with pytest.raises(ValueError, match="teacher_negative"):
        RecipeLoss(dims=DIMS)(q, p, n, teacher_query=teacher, teacher_positive=teacher)
    sides = ("query", "positive", "negative")
    with pytest.raises(ValueError, match="the batch has query, positive;"):
        RecipeLoss(dims=DIMS)(q, p, **{f"teacher_{side}": teacher for side in sides})
    with pytest.raises(ValueError, match=r"teacher.cut\(16\)"):
        RecipeLoss(dims=DIMS)(q, p, teacher_query=vectors(4, 20), teacher_positive=vectors(4, 20))
    with pytest.raises(ValueError, match="nothing to minimise"):
        RecipeLoss({"contrastive": 0, "spread_out": 0}, dims=DIMS)(q, p)
