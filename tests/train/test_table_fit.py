"""The token table fitted to texts, before the layers are trained."""

import math

import numpy as np
import pytest
import torch
from fake_teacher import FakeTeacher

from egemma_lab.data import BatchPlan, Source, load_pairs, load_texts
from egemma_lab.losses import contrastive_loss, spread_out_loss
from egemma_lab.model import pad_batch, warm_start
from egemma_lab.model.tokenizing import token_ids
from egemma_lab.train import fit_token_table
from egemma_lab.train.table_fit import (
    DENSE_RATE,
    FIT,
    POST_NORM,
    _PairLoss,
    bags,
    check_fit,
    shorter_fit,
    static_vectors,
)

TEACHER = FakeTeacher(64)


@pytest.fixture(scope="module")
def warm(make_micro):
    """The weights of a model after its warm start."""
    return warm_start(make_micro(seed=3), TEACHER).state_dict()


@pytest.fixture
def make_warm(make_micro, warm):
    """`make_warm(layers=True)`: a model of one's own after its warm start, its layers adding nothing if told so."""

    def make(layers=True):
        model = make_micro(seed=3)
        model.load_state_dict(warm)
        return model if layers else without_layers(model)

    return make


def without_layers(model):
    """The model with layers that add nothing."""
    for layer in model.text_model.layers:
        layer.post_attention_layernorm.weight.data.fill_(-1.0)
        layer.post_feedforward_layernorm.weight.data.fill_(-1.0)
    return model


def behind_prompts(model, texts, generator):
    """The texts as the fit reads them."""
    prompts = ["", *dict.fromkeys(model.prompts.values())]
    return [prompts[k] + text for k, text in zip(generator.integers(len(prompts), size=len(texts)), texts)]


def fit(model, texts, **settings):
    options = {"steps": 30, "batch_size": 64, "show_progress_bar": False, **settings}
    return fit_token_table(model, texts, TEACHER.encode(texts), **options)


def agreement(model, texts):
    """The mean cosine of the model's vectors and the teacher's."""
    return float((model.encode(texts) * TEACHER.encode(texts)).sum(axis=1).mean())


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return all(torch.equal(one[name], other[name]) for name in one)


def by_loops(rows, matrix, ids):
    """`static_vectors` number by number, float64."""
    rows, matrix = rows.double().tolist(), matrix.double().tolist()
    vectors = []
    for text in ids:
        mean = [0.0] * len(rows[0])
        for token in text:
            rms = math.sqrt(sum(x * x for x in rows[token]) / len(rows[token]) + 1e-6)
            mean = [m + x / rms / len(text) for m, x in zip(mean, rows[token])]
        turned = [sum(a * m for a, m in zip(line, mean)) for line in matrix]
        length = math.sqrt(sum(x * x for x in turned))
        vectors.append([x / length for x in turned])
    return vectors


def test_static_vectors_against_a_loop():
    generator = torch.Generator().manual_seed(0)
    rows, matrix = torch.randn(9, 4, generator=generator), torch.randn(3, 4, generator=generator)
    ids = [[2, 5, 1], [2, 1], [3, 3, 6, 1], [8]]
    np.testing.assert_allclose(
        static_vectors(rows, matrix, *bags(ids)), by_loops(rows, matrix, ids), atol=1e-6
    )


def test_static_vectors_by_hand():
    """Brought to one length, (3, 4) and (0, 2) point along (0.6, 0.8) and (0, 1): their sum is along (1, 3)."""
    rows = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    vectors = static_vectors(rows, torch.eye(2), *bags([[0], [0, 1], [1, 1]]))
    expected = [[0.6, 0.8], [1 / math.sqrt(10), 3 / math.sqrt(10)], [0, 1]]
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    swapped = static_vectors(rows, torch.tensor([[0.0, 1.0], [1.0, 0.0]]), *bags([[0]]))
    np.testing.assert_allclose(swapped, [[0.8, 0.6]], atol=1e-6)


@pytest.mark.parametrize("fitted", [False, True])
def test_they_are_the_models_own_where_its_layers_add_nothing(make_warm, tiny_texts, fitted):
    texts = [*tiny_texts[::9], "Mars", ""]
    model = make_warm(layers=False)
    if fitted:
        before = model.encode(texts)
        without_layers(fit(model, tiny_texts))
        assert np.abs(model.encode(texts) - before).max() > 0.1
    ids, _ = token_ids(model.tokenizer, texts, 2048)
    rows = model.text_model.embed_tokens.weight.detach() * 8  # sqrt(h)
    vectors = static_vectors(rows, model.merged_dense().detach(), *bags(ids))
    np.testing.assert_allclose(model.encode(texts), vectors, atol=1e-5)


def fitted_by_hand(model, texts, seed, steps, rate, size):
    """The fit in plain loops, float64: the drawing, the loss and Adam's formula."""
    generator = np.random.default_rng(seed)
    ids = model.tokenizer(behind_prompts(model, texts, generator)).input_ids
    targets = torch.from_numpy(TEACHER.encode(texts)).double()
    rows = (model.text_model.embed_tokens.weight.detach().double() * 8).requires_grad_()
    matrix = model.merged_dense().detach().double().requires_grad_()
    moments = {0: [0.0, 0.0], 1: [0.0, 0.0]}
    for step in range(1, steps + 1):
        loss = 0.0
        for text in generator.integers(len(texts), size=size):
            taken = [rows[token] for token in ids[text]]
            mean = sum(row / (row.square().mean() + 1e-6).sqrt() for row in taken) / len(taken)
            turned = matrix @ mean
            loss = loss + (1 - turned @ targets[text] / turned.norm()) / size
        gradients = torch.autograd.grad(loss, [rows, matrix])
        for index, (parameter, gradient) in enumerate(zip([rows, matrix], gradients)):
            first, second = moments[index]
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            moments[index] = [first, second]
            now = (rate, DENSE_RATE)[index] * (1 - (step - 1) / steps)
            step_size = (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
            parameter.data -= now * step_size
    rows = rows.detach()
    return rows / (rows.square().mean(dim=1, keepdim=True) + 1e-6).sqrt() / 8, matrix.detach()


def test_it_is_adam_on_the_matching_loss_at_a_falling_rate(make_warm, tiny_texts):
    texts = tiny_texts[:12]
    table, product = fitted_by_hand(make_warm(), texts, seed=5, steps=3, rate=0.02, size=7)
    model = fit(make_warm(), texts, seed=5, steps=3, learning_rate=0.02, batch_size=7)
    got = model.text_model.embed_tokens.weight.detach().double()
    assert (got - table).abs().max() < 1e-5
    assert (table - make_warm().text_model.embed_tokens.weight.detach()).abs().max() > 3e-3
    torch.testing.assert_close(model.merged_dense().detach().double(), product, atol=1e-5, rtol=0)
    assert (product - make_warm().merged_dense().detach()).abs().max() > 1e-3


def test_the_loss_falls_with_more_steps(make_warm, tiny_texts):
    models = [make_warm(layers=False)]
    models += [fit(make_warm(layers=False), tiny_texts, steps=steps) for steps in (10, 100)]
    start, short, long = (1 - agreement(model, tiny_texts) for model in models)
    assert long < 0.5 * short < 0.5 * 0.8 * start


def test_texts_it_has_not_seen_come_nearer_to_the_teacher_with_the_layers_in_place(make_warm, tiny_texts):
    seen, others = [*tiny_texts[::2], *tiny_texts[1::4]], tiny_texts[3::4]
    assert not set(seen) & set(others)
    before, after = agreement(make_warm(), others), agreement(fit(make_warm(), seen), others)
    assert after > before + 0.05


def test_only_the_table_the_dense_layers_and_what_layers_add_change(make_warm, tiny_texts):
    model, before = make_warm(), make_warm().state_dict()
    assert fit(model, tiny_texts) is model
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    norms = {
        name for name in before if "post_attention_layernorm" in name or "post_feedforward_layernorm" in name
    }
    assert changed == {"text_model.embed_tokens.weight", "dense_up.weight", "dense_down.weight", *norms}
    assert all((model.state_dict()[name] == POST_NORM).all() for name in norms)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not model.training


def test_silent_layers_leave_the_static_model_and_learn_from_the_first_step(make_warm, tiny_texts):
    model = fit(make_warm(), tiny_texts, layers="silent")
    faint = fit(make_warm(), tiny_texts)
    texts = tiny_texts[:8]
    vectors = model.encode(texts)
    np.testing.assert_allclose(vectors, without_layers(faint).encode(texts), atol=1e-5)
    last = [
        weight
        for layer in model.text_model.layers
        for weight in (layer.self_attn.o_proj.weight, layer.mlp.down_proj.weight)
    ]
    ids, mask = pad_batch(model.tokenize(texts))

    def loss():
        return (1 - (model(ids, mask) * torch.from_numpy(TEACHER.encode(texts))).sum(dim=1)).mean()

    before = loss()
    before.backward()
    assert all(weight.abs().max() == 0 and weight.grad.abs().max() > 0 for weight in last)
    torch.optim.SGD(last, lr=1e-5).step()
    assert loss() < before - 1e-5


def test_tokens_in_no_text_keep_their_rows(make_warm, tiny_texts):
    model = fit(make_warm(), tiny_texts[:12])
    old, new = (each.text_model.embed_tokens.weight.detach() for each in (make_warm(), model))
    seen = np.unique(
        np.concatenate(
            model.tokenizer(behind_prompts(model, tiny_texts[:12], np.random.default_rng(0))).input_ids
        )
    )
    others = np.setdiff1d(np.arange(len(old)), seen)
    assert len(others) > 300
    torch.testing.assert_close(new[others], old[others], atol=1e-6, rtol=1e-5)
    assert (new[0] == 0).all()  # padding
    assert (new[seen] - old[seen]).abs().amax(dim=1).min() > 0.01


def test_the_same_seed_gives_the_same_bits(make_warm, tiny_texts):
    settings = {"steps": 5, "batch_size": 16}
    first = fit(make_warm(), tiny_texts, seed=1, **settings)
    torch.manual_seed(9)  # the global random state says nothing
    assert same(first, fit(make_warm(), tiny_texts, seed=1, **settings))
    assert not same(first, fit(make_warm(), tiny_texts, seed=2, **settings))


def source_of(pairs, *columns, **prompts):
    """A source with these columns of the pairs."""
    return Source("pairs", load_pairs([{name: pair[name] for name in columns} for pair in pairs]), **prompts)


@pytest.mark.parametrize("columns", [["anchor", "positive"], ["anchor", "positive", "negative"]])
@pytest.mark.parametrize("prompts", [{}, {"anchor_prompt": None, "positive_prompt": "STS"}])
def test_the_loss_of_pairs_is_the_recipes_on_a_model_without_layers(make_warm, tiny_pairs, columns, prompts):
    source = source_of(tiny_pairs, *columns, **prompts)
    model = make_warm(layers=False)
    settings = check_fit({"pair_batch_size": 12, "contrastive": 0.7, "spread_out": 0.2})
    rows = model.text_model.embed_tokens.weight.detach() * 8  # sqrt(h)
    got = [
        float(_PairLoss(model, source, settings, seed=4)(step, rows, model.merged_dense().detach()))
        for step in (0, 3)
    ]
    assert got[0] != got[1]
    names = [prompts.get("anchor_prompt", "query"), prompts.get("positive_prompt", "document")]
    for step, value in zip((0, 3), got):
        batch = BatchPlan(source, 12, 4).batch(step)
        texts = [batch.anchors, batch.positives, batch.negatives][: len(columns)]
        sides = [torch.from_numpy(model.encode(x, name)) for x, name in zip(texts, [*names, names[1]])]
        expected = 0.0
        for width in model.widths:
            cut = [torch.nn.functional.normalize(side[:, :width], dim=1) for side in sides]
            expected += 0.7 * float(contrastive_loss(*cut)) + 0.2 * sum(
                float(spread_out_loss(x)) for x in cut[:2]
            )
        assert value == pytest.approx(expected, rel=1e-4)


def test_with_pairs_positives_are_found_that_matching_alone_does_not_find(make_warm, tiny_texts, tiny_pairs):
    source = source_of(tiny_pairs, "anchor", "positive", anchor_prompt=None, positive_prompt=None)

    def margin(model):
        """By how much an anchor lies nearer to its positive than to the others."""
        sides = [model.encode(source.dataset[name][:40]) for name in ("anchor", "positive")]
        cosines = sides[0] @ sides[1].T
        return float(np.diag(cosines).mean() - cosines.mean())

    settings = {"steps": 60, "pair_batch_size": 32, "contrastive": 1.0}
    alone = fit(make_warm(layers=False), tiny_texts, steps=60)
    both = fit(make_warm(layers=False), tiny_texts, pairs=source, **settings)
    assert margin(both) > margin(alone) + 0.2
    assert agreement(both, tiny_texts) > agreement(make_warm(), tiny_texts) + 0.05  # and it still matches
    assert same(both, fit(make_warm(layers=False), tiny_texts, pairs=source, **settings))


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (
            lambda pairs: Source("lines", load_texts([pair["anchor"] for pair in pairs])),
            "pairs: lines has anchors alone",
        ),
        (lambda pairs: pairs[:5], "16"),
        (
            lambda pairs: source_of(pairs, "anchor", "positive", anchor_prompt="qery"),
            r"prompt_name='qery' is not one of this model's prompts \(query, document",
        ),
    ],
)
def test_pairs_that_cannot_be_learnt(make_warm, tiny_texts, tiny_pairs, pairs, words):
    with pytest.raises(ValueError, match=words):
        fit(make_warm(), tiny_texts, pairs=pairs(tiny_pairs), pair_batch_size=16)


def test_texts_are_cut(make_warm, tiny_texts):
    longer = [f"{text} {tiny_texts[-1]}" for text in tiny_texts[:20]]
    targets = TEACHER.encode(longer)
    models = {}
    for most in (4, 128):
        models[most] = [
            fit_token_table(make_warm(), texts, targets, steps=2, max_tokens=most, show_progress_bar=False)
            for texts in (longer, [f"{text} and a red end" for text in tiny_texts[:20]])
        ]
    assert same(*models[4])
    assert not same(*models[128])


def test_bfloat16_weights_are_fitted_in_float32(make_warm, tiny_texts):
    model = fit(make_warm().bfloat16(), tiny_texts)
    assert model.dtype == torch.bfloat16
    whole = fit(make_warm(), tiny_texts)
    assert agreement(model, tiny_texts) == pytest.approx(agreement(whole, tiny_texts), abs=0.02)


@pytest.mark.parametrize("shown", [False, None])
def test_the_bar_says_how_far_it_is_or_nothing(make_warm, tiny_texts, capsys, shown):
    fit(make_warm(), tiny_texts, steps=2, show_progress_bar=shown)
    assert ("fitting the token table" in capsys.readouterr().err) == (shown is None)


@pytest.mark.parametrize(
    ("texts", "width", "settings", "error", "words"),
    [
        (["a"], 64, {"step": 5}, ValueError, "fit_token_table: no field 'step'; did you mean 'steps'"),
        (["a"], 64, {"steps": 0}, ValueError, "fit_token_table: steps=0 is not possible"),
        (
            ["a"],
            48,
            {},
            ValueError,
            r"targets are \(1, 48\) for 1 texts and a model 64 wide; .* teacher that is cut",
        ),
        (["a", "b"], 64, {}, ValueError, r"targets are \(1, 64\) for 2 texts"),
        ([], 64, {}, ValueError, "for 0 texts .* give at least one text"),
        (["a", None], 64, {}, TypeError, r"texts\[1\] is NoneType None, expected str"),
    ],
)
def test_what_cannot_be_fitted(make_micro, texts, width, settings, error, words):
    with pytest.raises(error, match=words):
        fit_token_table(make_micro(), texts, np.zeros((min(1, len(texts)), width)), **settings)


def test_settings_left_out_are_the_defaults():
    assert check_fit({}) == FIT
    assert check_fit({"steps": 3, "learning_rate": 1}) == {**FIT, "steps": 3, "learning_rate": 1.0}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("steps", odd) for odd in (0, -1, 2.5, True, None, "5", float("nan"))],
        *[("texts", odd) for odd in (0, 1e5, False)],
        *[("batch_size", odd) for odd in (0, 0.5, float("inf"))],
        *[("learning_rate", odd) for odd in (0, -0.1, "0.1", float("nan"), float("inf"))],
        *[("max_tokens", odd) for odd in (2, 16.0)],
        *[("pairs", odd) for odd in ([], "pairs", {"of": "pairs"})],
        *[("pair_batch_size", odd) for odd in (1, 2.0)],
        *[("contrastive", odd) for odd in (-0.1, None)],
        *[("spread_out", odd) for odd in (-1, "0")],
        *[("layers", odd) for odd in ("loud", None)],
    ],
)
def test_impossible_settings_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^start: table: {name}=.* is not possible") as caught:
        check_fit({name: value})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("section", [True, ["steps"], 5])
def test_a_section_that_is_no_mapping_is_refused(section):
    with pytest.raises(ValueError, match=r"^start: table: expected 'name: value' lines"):
        check_fit(section)


def test_a_shorter_fit_has_fewer_steps_and_texts():
    assert shorter_fit({"steps": 500, "max_tokens": 16}, 0.01) == {
        "steps": 5,
        "texts": 2500,
        "max_tokens": 16,
    }
    assert shorter_fit({"steps": 500, "texts": 30}, 0.01) == {"steps": 5, "texts": 2}
    assert shorter_fit({"steps": 500}, 20) == {"steps": 500}
