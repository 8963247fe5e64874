"""Matrix FLOP/s of a training step over what one large matrix product reaches on the same machine.

    python benchmarks/roofline.py [--threads 1] [--rounds 3] [--device cpu] [--dtype float32]

Counted are the multiplications and additions of the matrix products alone (torch's own counter, attention included), so
that everything else, norms, activations, softmax, the loss, the optimiser's step, counts as time without work. The nano
has micro-batches of 2,048 tokens, the 300m's shape (random weights) as many: 64 texts of 32 tokens.
"""

import argparse

import torch
from measuring import in_turns, record, said, spread
from torch.utils.flop_counter import FlopCounterMode

import egemma_lab as lab
from egemma_lab.losses import RecipeLoss
from egemma_lab.model import preset_config
from egemma_lab.model.embedding_gemma import EmbeddingGemma

TEXTS, LENGTH = 64, 32
AIMS = {"nano": 0.4, "300m": 0.6}


def product(device, dtype, size=2048):
    """(FLOP, function): one large matrix product."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3, lambda: a @ b


def step(name, device, dtype):
    """(FLOP, function): forward and backward pass and the optimiser's step on 64 texts, a third of them queries."""
    config = lab.load_model("nano").config if name == "nano" else preset_config(name)
    model = EmbeddingGemma(config, None).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    loss = RecipeLoss(dims=config.widths, weights={"matching": 0})
    ids = torch.randint(10, config.text.vocab_size, (TEXTS - TEXTS % 3, LENGTH), device=device)
    mask = torch.ones_like(ids)

    def run():
        with torch.autocast(device.partition(":")[0], dtype=dtype, enabled=dtype != torch.float32):
            vectors = model(ids, mask)
        loss(*vectors.float().chunk(3)).total.backward()
        optimizer.step()
        optimizer.zero_grad()

    run()
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops(), run


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    targets, figures = [], {"dtype": options.dtype}
    for name, aim in AIMS.items():
        work = {"product": product(options.device, dtype), name: step(name, options.device, dtype)}
        seconds = in_turns({key: run for key, (_, run) in work.items()}, options.rounds, options.device)
        rates = {key: work[key][0] / seconds[key] / 1e9 for key in work}
        share = spread(rates[name] / rates["product"])
        figures[name] = {key: spread(rate, 1) for key, rate in rates.items()}
        targets.append(
            [
                f"matrix FLOP/s of a training step over a large product's, {name}",
                str(aim),
                said(share),
                share["median"] >= aim,
            ]
        )
    record(
        f"roofline{'-gpu' if options.device.startswith('cuda') else ''}", targets, figures, options.threads
    )


if __name__ == "__main__":
    main()
