"""Script of test_whole_batch.py: one batch's gradient, in float64, computed by as many processes as were started."""

import sys
from types import SimpleNamespace

import torch
from accelerate import Accelerator
from fake_teacher import FakeTeacher
from forked_runs import pairs
from runs import part, quick

from egemma_lab.data import BatchPlan
from egemma_lab.losses import RecipeLoss, register_term
from egemma_lab.model import new_model, train_tokenizer
from egemma_lab.train.gradient_cache import encode_and_backward
from egemma_lab.train.loop import loss_over_batch
from egemma_lab.train.lora import add_adapters, lora_settings
from egemma_lab.train.micro_batches import encoder, tokenize_batch
from egemma_lab.train.optimizer import sum_gradients
from egemma_lab.train.processes import share_of_batch, shared_mean

CASES = [(cache, adapters) for cache in (False, True) for adapters in (False, True)]
LORA = lora_settings("lora", 4)


@register_term(every_width=True)
def relations(vectors):
    """A term of one's own that looks at the whole batch, each text beside all others."""
    mine, theirs = vectors.query @ vectors.positive.T, vectors.teacher_query @ vectors.teacher_positive.T
    return (mine - theirs).square().mean()


def gradient(accelerator, cache, adapters=False):
    """(the gradient of all parameters, the terms) of one batch of eight rows, two of which have the same answer.

    With `adapters` of those that learn beside the text model's matrices, which begin at random here instead of at 0.
    """
    rows = pairs()[:8]
    texts = [text for row in rows for text in row.values()]
    model = new_model("micro", train_tokenizer(texts, vocab_size=400), seed=0)
    if adapters:
        add_adapters(model, LORA, seed=0)
        for number, (name, parameter) in enumerate(model.named_parameters()):
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(number))
    model = model.double().train()
    recipe = quick(weights={}, token_budget=60, precision="float32")
    batch = BatchPlan(rows, 8).batch(0)
    batch.positive_ids[6] = batch.positive_ids[1]  # on two processes they lie apart, and must be known as one
    batch = share_of_batch(accelerator, batch)
    tokens = tokenize_batch(model, batch, recipe)
    teacher = SimpleNamespace(vectors=lambda texts, role: FakeTeacher(64).encode(texts, role=role))
    state = SimpleNamespace(
        accelerator=accelerator,
        model=model,
        teacher=teacher,
        loss=RecipeLoss(dims=model.widths, hardness=2.0, own_terms={"relations": 3.0}),
    )
    loss = loss_over_batch(state, tokens)
    output = encode_and_backward(encoder(model, "float32"), tokens.micro_batches, loss, cache=cache)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    sum_gradients(accelerator, parameters)
    flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    return flat, shared_mean(accelerator, output.terms)


if __name__ == "__main__":
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    found = {(cache, adapters): gradient(accelerator, cache, adapters) for cache, adapters in CASES}
    if accelerator.is_main_process:
        torch.save(found, sys.argv[1])
    part()
