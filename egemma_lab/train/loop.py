"""The training loop. What else a run does hangs on callbacks.py; how it begins is in setup.py."""

import contextlib
import functools
import time

import numpy as np
import torch

from egemma_lab.model.batching import is_out_of_memory
from egemma_lab.train.interrupt import InterruptFlag
from egemma_lab.train.lora import merged
from egemma_lab.train.micro_batches import Ahead, encoder, tokenize_batch
from egemma_lab.train.non_finite import refuse_non_finite
from egemma_lab.train.optimizer import learning_rate, set_rate, sum_gradients
from egemma_lab.train.out_of_memory import FittingStep, too_little_memory
from egemma_lab.train.processes import agree, of_whole_batch, share_of_batch, shared_mean, shared_sum
from egemma_lab.train.recipe import Recipe
from egemma_lab.train.setup import Given, set_up
from egemma_lab.train.word_steps import WordSteps

TEACH_AHEAD = 256  # rows
SHORT = 256  # tokens, see _plain_attention


def train(
    model,
    pairs,
    *,
    teacher=None,
    recipe=None,
    output,
    resume=True,
    callbacks=(),
    probe=None,
    vocab_size=None,
    show_progress_bar=None,
):
    """Train an embedding model on pairs of texts, with or without a teacher, into a folder.

    model: an `EmbeddingGemma` (trained in place; with `fake_quantize` or `lora` in the recipe, a copy of it), a
        folder or Hub name, or a preset for fresh weights ("nano", "micro"), whose tokenizer is then trained on the
        pairs.
    pairs: anything `lab.data.load_pairs` takes, a `Mixture`, or several sources (see `as_mixture`).
    teacher: a `Teacher`, or the name of one (then opened in the run's precision and reading at most
        `max_tokens` of a text), for embedding matching; cut to the model's width where it is wider. None needs
        `Recipe(weights={"matching": 0})`.
    recipe: a `Recipe`; None: the default one, 1,000 steps.
    output: the run's folder, new or of an earlier run; see `egemma_lab.train.folder` for what is in it.
    resume: True continues the run in `output` from its newest undamaged checkpoint, and returns a finished
        one at once; recipe, data, teacher and model must be those it was started with. False moves an earlier
        run aside to `<output>.previous` and begins anew.
    callbacks: objects with any of the methods of `egemma_lab.train.callbacks.Callback`.
    probe: texts to encode again and again for `run.snapshots`; None: 128 pairs drawn by the seed.
    vocab_size: of the tokenizer trained for a preset; None: 8,192 for nano, 2,048 for micro.
    show_progress_bar: None: on.

    Killed at any moment, on CPU and with a budget in steps, the same call later gives bit for bit the history
    and weights of a run that was never interrupted. Ctrl-C saves and returns the run, a second one stops at
    once.

    Where memory is too small for a step it is done again with the gradient cache, then in smaller micro-batches, with
    a warning: the result is the same up to rounding.

    Returns a `Run`. Raises ValueError for what cannot be trained, FloatingPointError where a loss term or the
    gradient is no longer a number, before the step that would have spoilt the weights, and MemoryError naming the
    settings to lower where even single texts are too much.

    >>> import tempfile
    >>> pairs = [(f"what is {n} plus one", f"{n} plus one is {n + 1}") for n in range(16)]
    >>> recipe = Recipe(steps=2, batch_size=4, weights={"matching": 0})
    >>> run = train("micro", pairs, recipe=recipe, output=tempfile.mkdtemp(), show_progress_bar=False)
    >>> run
    Run('...': finished, 2 steps, loss ...)
    >>> run.model.encode_query(["what is 3 plus one"]).shape
    (1, 64)
    """
    recipe = Recipe() if recipe is None else recipe
    if not isinstance(recipe, Recipe):
        raise TypeError(f"recipe is a {type(recipe).__name__}; give a Recipe, or Recipe.from_yaml(path)")
    given = Given(
        model, pairs, teacher, recipe, output, resume, tuple(callbacks), probe, vocab_size, show_progress_bar
    )
    with contextlib.ExitStack() as stack:
        state = set_up(given, stack)
        if state.status != "finished":
            _supervised(state)
    state.model.eval()
    if recipe.lora is not None:
        state.run.model = merged(state.model)
    return state.run


def _supervised(state):
    """Run the loop; however it ends, leave a folder and a model that can be used."""
    recipe, model = state.recipe, state.model
    state.emit("on_start")
    state.started = time.monotonic()
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    interrupt = InterruptFlag()
    try:
        with (
            interrupt,
            _own_random_numbers(model.device),
            _plain_attention(model, recipe),
            _batches(state) as batches,
        ):
            _loop(state, batches, interrupt)
        state.close("finished" if _budget_used(state, state.elapsed) else "interrupted")
    except Exception as error:
        state.fail()
        if is_out_of_memory(error):
            raise too_little_memory(state.step + 1, recipe) from error
        raise
    finally:
        model.eval()
        if recipe.gradient_checkpointing:
            model.gradient_checkpointing_disable()
        state.emit("on_end")
    interrupt.pass_on()


def _loop(state, batches, interrupt):
    model, recipe, optimizer, accelerator = state.model, state.recipe, state.optimizer, state.accelerator
    parameters = [p for p in model.parameters() if p.requires_grad]
    first = state.step + 1
    backward_of = (WordSteps if recipe.words else _BatchSteps)(state, parameters)
    model.train()

    while not _over(state, interrupt):
        began = time.monotonic()
        step = state.step + 1
        _seed_step(recipe.seed, step, accelerator.process_index)
        tokens = batches.next()
        if not recipe.words:
            _teach_ahead(state, step, first)
        rate = learning_rate(recipe, step, _progress_within(state))
        set_rate(optimizer, rate)

        output = backward_of(tokens)
        sum_gradients(accelerator, parameters)
        gradient_norm = float(torch.nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm))
        terms = shared_mean(accelerator, output.terms)
        refuse_non_finite(state, tokens.batch, terms, gradient_norm)
        optimizer.step()
        optimizer.zero_grad()

        state.step = step
        count = shared_sum(accelerator, tokens.tokens)
        row = {
            "step": step,
            "epoch": state.plan.epoch(step),
            "source": str(tokens.batch.source),
            **terms,
            "gradient_norm": gradient_norm,
            "learning_rate": rate,
            "tokens": count,
            "tokens_per_second": count / (time.monotonic() - began),
            "seconds": state.elapsed,
        }
        batches.settle()
        state.emit("on_step", row)


class _BatchSteps:
    """Called with a step's `TokenBatch`: leaves the gradient of the recipe's loss over the whole batch."""

    def __init__(self, state, parameters):
        recipe = state.recipe
        self.state, self.parameters = state, parameters
        self.encode = encoder(state.model, state.precision, recipe.compile)
        self.fitting = FittingStep(recipe.gradient_cache, retry=state.accelerator.num_processes == 1)

    def __call__(self, tokens):
        return self.fitting(
            self.encode,
            tokens.micro_batches,
            loss_over_batch(self.state, tokens),
            parameters=self.parameters,
            backward=self.state.accelerator.backward,
        )


def _batches(state):
    """The coming batches, tokenised ahead; the plan counts steps from 0."""

    def make(step):
        batch = share_of_batch(state.accelerator, state.plan.batch(step - 1))
        return tokenize_batch(state.model, batch, state.recipe)

    return Ahead(make, first=state.step + 1)


def _teach_ahead(state, step, first):
    """Where batches are small ask the teacher for several steps' texts at once: sorted by length together, and its
    weights cast once, they take less time than batch by batch. Not for more, since nothing is learnt meanwhile.

    Windows lie at fixed steps, and a resumed run takes up the whole window of its first step: it asks for the same
    texts together and gets the same bits.
    """
    window = max(1, TEACH_AHEAD // state.recipe.batch_size)
    begin = step - (step - 1) % window
    if state.teacher is None or step not in (begin, first):
        return
    last = begin + window if state.steps is None else min(begin + window, state.steps + 1)
    texts = {"query": [], "document": []}
    for coming in range(begin, last):
        batch = share_of_batch(state.accelerator, state.plan.batch(coming - 1))
        texts["query"] += batch.anchors
        texts["document"] += [*(batch.positives or ()), *(batch.negatives or ())]
    state.teacher.prepare(texts)


def loss_over_batch(state, tokens):
    """The recipe's loss over the whole batch as a function of this process's vectors, the teacher's at hand."""
    batch, device = tokens.batch, state.model.device
    whole = functools.partial(of_whole_batch, state.accelerator)
    known = {
        name: whole(torch.as_tensor(getattr(batch, name), device=device))
        for name in ("query_ids", "positive_ids")
    }
    if state.teacher is not None:
        for name, texts, role in (
            ("teacher_query", batch.anchors, "query"),
            ("teacher_positive", batch.positives, "document"),
            ("teacher_negative", batch.negatives, "document"),
        ):
            if texts is not None:
                known[name] = whole(
                    torch.as_tensor(state.teacher.vectors(texts, role), device=device)
                )  # (B, d)
    return lambda vectors: state.loss(*map(whole, tokens.split(vectors)), **known)


@contextlib.contextmanager
def _plain_attention(model, recipe):
    """Attention as plain products on a CPU and short texts: there they beat PyTorch's fused kernel.

    Measured for a nano of four layers with its backward pass, one thread of a Xeon: 1.3 times the speed at 20
    tokens, 1.2 at 128, 0.8 at 512. The bundled nano in bfloat16, two threads of an AMD Zen 4, compiled: 1.4 times on
    sentences, 1.25 on texts of up to 192 tokens.
    """
    config = model.text_model.config
    before = config._attn_implementation
    if model.device.type == "cpu" and recipe.max_tokens <= SHORT:
        config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = before


def _over(state, interrupt):
    """Whether the budget is used up or someone asked to stop; the same answer in every process."""
    clock, state.stopping = agree(state.accelerator, state.elapsed, state.stopping or interrupt.pressed)
    state.clock = clock
    return state.stopping or _budget_used(state, clock)


def _budget_used(state, elapsed):
    if state.steps is not None:
        return state.step >= (state.recipe.stop_after or state.steps)
    return elapsed >= 60.0 * state.recipe.minutes


def _progress_within(state):
    """Where in the budget the coming step lies: its middle by steps, its beginning by the clock."""
    if state.steps is not None:
        return (state.step + 0.5) / state.steps
    return state.clock / (60.0 * state.recipe.minutes)


def _seed_step(seed, step, process):
    """A step's random numbers follow from (seed, step, process): resuming has no generator to restore."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, process]).generate_state(1, np.uint64)[0]))


def _own_random_numbers(device):
    """The user's own random numbers go on afterwards as if there had been no training."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
