"""A start nearer to the teacher than single pieces: the token table fitted to texts and pairs, as a static model."""

from itertools import chain

import numpy as np
import torch
from tqdm.auto import tqdm

from egemma_lab.losses.recipe import RecipeLoss
from egemma_lab.model.token_table import begin_near_identity, begin_silent, set_dense_product
from egemma_lab.model.tokenizing import check_texts, token_ids
from egemma_lab.train import checks
from egemma_lab.train.stage_data import refuse_unknown

FIT = {
    "texts": 250_000,
    "steps": 600,
    "batch_size": 4096,
    "learning_rate": 0.03,
    "max_tokens": 128,
    "pairs": None,
    "pair_batch_size": 1024,
    "contrastive": 0.05,
    "spread_out": 0.01,
    "layers": "faint",
}
POST_NORM = -0.995  # a layer then adds a two-hundredth of what it would: more of it drowns the fitted table
DENSE_RATE = 1e-3  # of the matrix behind the mean, beside the table's own rate

_CHECKS = {
    "texts": checks.whole(at_least=1),
    "steps": checks.whole(at_least=1),
    "batch_size": checks.whole(at_least=1),
    "learning_rate": checks.number(above=0),
    "max_tokens": checks.whole(at_least=3),  # BOS, one token, EOS
    "pairs": checks.optional(checks.filled_list),
    "pair_batch_size": checks.whole(at_least=2),
    "contrastive": checks.number(at_least=0),
    "spread_out": checks.number(at_least=0),
    "layers": checks.one_of("faint", "silent"),
}


def check_fit(settings, where="start: table"):
    """The settings of a fit with the defaults filled in; ValueError names what is unknown or cannot be, and `where`."""
    refuse_unknown(where, settings, FIT)
    try:
        return {name: _CHECKS[name](name, value) for name, value in {**FIT, **settings}.items()}
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def shorter_fit(settings, share):
    """The settings for trying a recipe: steps and texts times `share`. Above 1 it changes nothing, since a fit that
    sees the same texts again and again learns them by heart."""
    full = check_fit(settings)
    fewer = {name: max(2, round(full[name] * share)) for name in ("texts", "steps")}
    return {**settings, **fewer} if share < 1 else settings


def fit_token_table(model, texts, targets, *, pairs=None, seed=0, show_progress_bar=None, **settings):
    """Fit the token table and the Dense layers to texts and pairs, as if the model had no layers.

    Without its layers a model that pools by the mean is static: a token's row is brought to unit root mean square (by
    the final norm), the rows of a text are averaged, the Dense layers turn the mean. That much is learnt here, with
    Adam and a rate that falls to 0, in batches of thousands of texts: seconds for what the whole model would take
    hours for, because a rare token gets its gradient undiluted and a step costs nearly nothing. What is learnt is
    what the teacher says of `texts` (as in model2vec's Tokenlearn), and where there are `pairs`, beside it, to find
    an anchor's positive among a thousand: the loss is

        1 - mean cosine to the targets + contrastive * L_C + spread_out * L_S,

    the last two summed over the model's widths as in `RecipeLoss`. Every text stands behind one of the model's
    prompts or none, drawn by the seed, since a prompt's tokens are in the mean too; those of pairs behind their
    source's.

    The layers are to learn afterwards what a mean lacks. They begin "faint": what they add is multiplied with 0.005, so
    that random weights do not drown the table; or "silent": the last matrix of each branch is zero and the factor
    0.1, so that the model is the static one until a branch has grown from its gradient. Silent ones cost the first
    fifty steps and learn faster then (docs/nano.md has the figures): for long trainings.

    Parameters: `model`, after `warm_start` (changed in place, and returned); `texts`; `targets` (n, d), the unit
    vectors of a teacher as wide as the model's output; `pairs`, as `train` takes them (a step's are of one source),
    or None; `show_progress_bar`, False for none; `settings` out of `FIT`: `steps`, `batch_size` of the texts and
    `pair_batch_size`, `learning_rate` of the table, `max_tokens` a text is cut at, the weights `contrastive` and
    `spread_out`, `layers`. The same seed gives the same table on the same machine. ValueError for targets of another
    shape, without texts, for pairs that are none or too few for a batch, and for settings that cannot be.

    >>> from egemma_lab.model import load_teacher, new_model, train_tokenizer, warm_start
    >>> texts, teacher = ["a cat on the mat", "the price of bread went up", "bread and butter"], load_teacher().cut(64)
    >>> model = warm_start(new_model("micro", train_tokenizer(texts, vocab_size=400)), teacher)
    >>> before = (model.encode(texts) * teacher.encode(texts)).sum()
    >>> model = fit_token_table(model, texts, teacher.encode(texts), steps=20, show_progress_bar=False)
    >>> bool((model.encode(texts) * teacher.encode(texts)).sum() > before + 0.1)
    True
    """
    settings = check_fit(settings, "fit_token_table")
    texts, targets = check_texts(texts), torch.as_tensor(targets)
    if not texts or targets.shape != (len(texts), model.config.output_width):
        raise ValueError(
            f"targets are {tuple(targets.shape)} for {len(texts)} texts and a model {model.config.output_width} wide; "
            "give at least one text, and of each the vector of a teacher that is cut to the model's width"
        )
    pair_loss = None if pairs is None else _PairLoss(model, pairs, settings, seed)
    table, device, steps = model.text_model.embed_tokens.weight, model.device, settings["steps"]
    scale = table.shape[1] ** 0.5
    rows = torch.nn.Parameter(table.detach().float() * scale)  # (V, h), as they enter the layers
    matrix = torch.nn.Parameter(model.merged_dense().detach())  # (d, h)
    optimizer = torch.optim.Adam(
        [{"params": [rows], "lr": settings["learning_rate"]}, {"params": [matrix], "lr": DENSE_RATE}]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    generator, size = np.random.default_rng(seed), min(settings["batch_size"], len(texts))
    prompts = ["", *dict.fromkeys(model.prompts.values())]
    drawn = generator.integers(len(prompts), size=len(texts))
    prompted = [prompts[index] + text for index, text in zip(drawn, texts)]
    ids, _ = token_ids(model.tokenizer, prompted, settings["max_tokens"])
    bar = tqdm(range(steps), desc="fitting the token table", disable=show_progress_bar is False)
    for step in bar:
        drawn = generator.integers(len(ids), size=size)
        vectors = static_vectors(rows, matrix, *bags([ids[i] for i in drawn], device))  # (B, d)
        matching = 1 - (vectors * targets[drawn].to(device)).sum(dim=1).mean()
        loss = matching if pair_loss is None else matching + pair_loss(step, rows, matrix)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        bar.set_postfix_str(f"1 - cosine {matching.item():.3f}")
    with torch.no_grad():
        table.copy_(_unit_rms(rows) / scale)
    if settings["layers"] == "silent":
        begin_silent(model.text_model)
    else:
        begin_near_identity(model.text_model, POST_NORM)
    set_dense_product(model, matrix)
    return model


class _PairLoss:
    """Contrastive and spread-out loss of a step's pairs, every width, as a function of the rows and the matrix."""

    def __init__(self, model, pairs, settings, seed):
        from egemma_lab.data.batch_plan import BatchPlan
        from egemma_lab.data.mixture import as_mixture

        mixture = as_mixture(pairs)
        if single := [source.name for source in mixture if not source.has_positives]:
            raise ValueError(f"pairs: {', '.join(single)} has anchors alone; put single texts among `texts`")
        self.model, self.max_tokens = model, settings["max_tokens"]
        self.plan = BatchPlan(mixture, settings["pair_batch_size"], seed)
        weights = {name: settings[name] for name in ("contrastive", "spread_out")}
        self.loss = RecipeLoss({**weights, "matching": 0}, dims=model.widths)

    def __call__(self, step, rows, matrix):
        batch, device = self.plan.batch(step), rows.device
        vectors = [self._vectors(rows, matrix, *side) for side in batch.sides]
        same = {
            name: torch.as_tensor(getattr(batch, name), device=device)
            for name in ("query_ids", "positive_ids")
        }
        return self.loss(*vectors, **same).total

    def _vectors(self, rows, matrix, texts, prompt_name):
        ids = self.model.tokenize(texts, self.model.prompt_text(prompt_name), self.max_tokens)
        return static_vectors(rows, matrix, *bags(ids, rows.device))


def static_vectors(rows, matrix, tokens, offsets):
    """Unit vectors (n, d): normalise(matrix @ mean over a text's tokens of rows / rms(rows)).

    rows (V, h); matrix (d, h); tokens and offsets (n,) as `bags` makes them.
    """
    means = torch.nn.functional.embedding_bag(tokens, _unit_rms(rows), offsets, mode="mean")  # (n, h)
    return torch.nn.functional.normalize(means @ matrix.T, dim=1)


def bags(ids, device=None):
    """All texts' ids in one row, and where each text begins in it.

    >>> [part.tolist() for part in bags([[2, 7, 1], [2, 1], [2, 8, 9, 1]])]
    [[2, 7, 1, 2, 1, 2, 8, 9, 1], [0, 3, 5]]
    """
    lengths = torch.tensor([len(row) for row in ids])
    tokens = torch.tensor(list(chain.from_iterable(ids)))
    return tokens.to(device), (lengths.cumsum(0) - lengths).to(device)


def _unit_rms(rows):
    return rows * torch.rsqrt(rows.square().mean(dim=1, keepdim=True) + 1e-6)  # Gemma's epsilon
