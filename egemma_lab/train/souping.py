"""Model soups: one model whose weights are the mean of several (Wortsman et al. 2022, arXiv:2203.05482).

EmbeddingGemma is such a soup of finetuning runs that differ in their mixture of data (arXiv:2509.20354,
section 2.3).
"""

import math
from numbers import Real

import numpy as np
import torch

from egemma_lab.model.saving import computed_weights
from egemma_lab.train.soup_ingredients import Family, open_ingredients


def soup(models, weights=None, *, force=False):
    """The average of several models' parameters, as one model in float32.

    models: runs, folders of runs or of models, names, or EmbeddingGemma objects, in any mix. Those on disk
        are opened one after another: beside the sum (float64) there is only ever one of them in memory.
    weights: one number a model, 0 or more, only their proportions count. None: all alike, as in the paper.
    force: True averages models though they were not started from the same weights.

    A soup of equal models is that model, bit for bit. The models stay as they are.

    Returns an `EmbeddingGemma` with the tokenizer, prompts and device of the first model. Raises ValueError
    where the models differ in shape, tokenizer or prompts, and, without `force`, where they do not share a
    start: known from the runs' folders, else judged by the cosine between their layers.

    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> model = new_model("micro", train_tokenizer(["a text", "another text"], vocab_size=400))
    >>> same = soup([model, model])
    >>> same.name, bool((same.encode("a text") == model.encode("a text")).all())
    ('soup of 2', True)
    """
    ingredients = open_ingredients(models)
    weights = _check_weights(weights, len(ingredients))
    total, family = WeightSum(), None
    for ingredient, weight in zip(ingredients, weights):
        model = ingredient.open()
        if family is None:
            family = Family(ingredient, model, force)
        else:
            family.admit(ingredient, model)
        total.add(model, weight)
        del model  # before the next one is opened
    return total.mean(f"soup of {len(ingredients)}")


def greedy_soup(models, score, *, force=False):
    """Average only what helps: `(model, report)`, the paper's Recipe 1 (arXiv:2203.05482).

    models, force: as in `soup`. score: `score(model) -> float` on held-out data, higher is better; it is
        called once for each model and once for each average. Never give it the test data: what was chosen on
        a set is no longer measured by it.

    The models are sorted by their own score, best first; each joins if the average with it is not worse than
    the average without. So the soup is at least as good on the held-out data as the best model alone.

    The report is a pandas.DataFrame, one row a model in the order of trying: `order` (from 1), `model` (its
    name), `position` (its index in `models`), `score` (its own), `soup_score` (of the average with it) and
    `accepted`.
    """
    import pandas as pd

    ingredients = open_ingredients(models)
    family, scores = None, []
    for ingredient in ingredients:
        model = ingredient.open()
        if family is None:
            family = Family(ingredient, model, force)
        else:
            family.admit(ingredient, model)
        scores.append(_scored(score, model, ingredient.name))
        del model
    order = sorted(range(len(scores)), key=lambda position: -scores[position])  # stable: ties stay in place
    total, best, rows = WeightSum(), -math.inf, []
    for number, position in enumerate(order, 1):
        ingredient, own = ingredients[position], scores[position]
        model = ingredient.open()
        candidate = total.copy()
        candidate.add(model)
        del model
        with_it = own if number == 1 else _scored(score, candidate.mean(), f"the soup with {ingredient.name}")
        accepted = with_it >= best
        if accepted:
            total, best = candidate, with_it
        rows.append([number, ingredient.name, position, own, with_it, accepted])
    columns = ["order", "model", "position", "score", "soup_score", "accepted"]
    report = pd.DataFrame(rows, columns=columns)
    return total.mean(f"greedy soup of {report['accepted'].sum()}"), report


def along_the_line(a, b, score, points=11):
    """Scores on the straight line of weights from model a to model b: how good is what lies between?

    a, b: as one of `soup`'s models, of the same shape. They need not share a start: what a soup of two
    unrelated models falls into is seen here. score: `score(model) -> float`.
    points: how many, both ends counted.

    Returns a pandas.DataFrame with columns `share` (of b, from 0 to 1) and `score`.
    """
    import pandas as pd

    if isinstance(points, bool) or not isinstance(points, int) or points < 2:
        raise ValueError(f"points={points!r} must be a whole number, at least 2: both ends are counted")
    first, second = open_ingredients([a, b])
    models = first.open(), second.open()
    Family(first, models[0], force=True).admit(second, models[1])
    rows = []
    for share in np.linspace(0, 1, points):
        total = WeightSum()
        for model, weight in zip(models, (1 - share, share)):
            total.add(model, float(weight))
        rows.append([share, _scored(score, total.mean(), f"the point at {share:.2f}")])
    return pd.DataFrame(rows, columns=["share", "score"])


class WeightSum:
    """A weighted sum of models' parameters in float64, on the CPU; `mean()` makes a float32 model of it."""

    def __init__(self):
        self._tensors, self._weight, self._outside = None, 0.0, None

    def add(self, model, weight=1.0):
        # No sum begins with zeros, so -0.0 stays -0.0; and n equal float32 values, whose sum float64 holds to
        # 1e-16, come back from the division as they were.
        first = self._tensors is None
        if first:
            self._tensors, self._outside = {}, _Outside(model)
        for name, tensor in computed_weights(model).items():
            added = weight * tensor.cpu().double()
            self._tensors[name] = added if first else self._tensors[name].add_(added)
        self._weight += weight

    def copy(self):
        other = WeightSum()
        if self._tensors is not None:
            other._tensors = {name: tensor.clone() for name, tensor in self._tensors.items()}
        other._weight, other._outside = self._weight, self._outside
        return other

    def mean(self, name="soup"):
        model = self._outside.empty_model(name)
        tensors = {key: (tensor / self._weight).float() for key, tensor in self._tensors.items()}
        model.load_state_dict(tensors, assign=True)
        return model.to(self._outside.device).eval()


class _Outside:
    """All of a model but its weights."""

    def __init__(self, model):
        self.config, self.device = model.config, model.device
        self.kept = {
            "tokenizer": model.tokenizer,
            "prompts": model.prompts,
            "default_prompt_name": model.default_prompt_name,
        }
        self.max_seq_length = model.max_seq_length

    def empty_model(self, name):
        from accelerate import init_empty_weights

        from egemma_lab.model import EmbeddingGemma

        with init_empty_weights(include_buffers=False):  # no memory for weights that are about to come
            model = EmbeddingGemma(self.config, name=name, **self.kept)
        model.max_seq_length = self.max_seq_length
        return model


def _check_weights(weights, count):
    if weights is None:
        return [1.0] * count
    weights = [float(weight) for weight in weights]
    wrong = [weight for weight in weights if not (math.isfinite(weight) and weight >= 0)]
    if len(weights) != count or wrong or not sum(weights):
        raise ValueError(
            f"weights={weights} for {count} models; give one number a model, 0 or more, not all of them 0"
        )
    return weights


def _scored(score, model, name):
    with torch.no_grad():
        value = score(model)
    if not isinstance(value, Real | np.number) or not math.isfinite(value):
        raise ValueError(f"score gave {value!r} for {name}; it must return one finite number")
    return float(value)
