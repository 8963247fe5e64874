"""Script of test_word_steps.py: one step of word matching, in float64, by as many processes as were started."""

import sys
from types import SimpleNamespace

import torch
from accelerate import Accelerator
from fake_teacher import FakeTeacher
from runs import part, quick

from egemma_lab.data import BatchPlan, Source, load_texts
from egemma_lab.model import new_model, train_tokenizer
from egemma_lab.train.micro_batches import tokenize_batch
from egemma_lab.train.optimizer import sum_gradients
from egemma_lab.train.processes import share_of_batch, shared_mean
from egemma_lab.train.word_steps import WordSteps

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
TEXTS = [
    f"{a} and {b} " + "make many " * i + "things" for i, (a, b) in enumerate(zip(NUMBERS, NUMBERS[::-1]))
]


def step(accelerator, token_budget):
    """(the gradient of all parameters, the terms, the state) of one batch of eight texts of unlike lengths."""
    model = new_model("micro", train_tokenizer(TEXTS, vocab_size=400), seed=0).double().train()
    recipe = quick(weights={"matching": 2.0}, words=0.5, token_budget=token_budget, max_tokens=120)
    plan = BatchPlan([Source("texts", load_texts(TEXTS))], 8)
    tokens = tokenize_batch(model, share_of_batch(accelerator, plan.batch(0)), recipe)
    if not hasattr(accelerator, "backward"):
        accelerator.backward = torch.Tensor.backward
    state = SimpleNamespace(
        accelerator=accelerator,
        model=model,
        recipe=recipe,
        precision="float32",
        teacher=SimpleNamespace(teacher=FakeTeacher(64)),
    )
    parameters = list(model.parameters())
    output = WordSteps(state, parameters)(tokens)
    sum_gradients(accelerator, parameters)
    flat = torch.cat([parameter.grad.flatten() for parameter in parameters])
    return flat, shared_mean(accelerator, output.terms), state


if __name__ == "__main__":
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    flat, terms, _ = step(accelerator, 120)
    if accelerator.is_main_process:
        torch.save((flat, terms), sys.argv[1])
    part()
