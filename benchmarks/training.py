"""Samples a second of the full recipe against `SentenceTransformerTrainer` with its nearest losses.

    python benchmarks/training.py [--model nano] [--batch-size 64] [--steps 12] [--rounds 3] [--threads 1]
    python benchmarks/training.py --profile    # where the time of a step goes, instead

One sample is a question, its answer and a hard negative, cut at 128 tokens. All three terms, four widths, teacher
vectors computed beforehand on both sides (ours read from the teacher's cache, theirs a column of the data set). Theirs
are the in-batch ranking loss and the orthogonal regularisation at each width, as its documentation sums them, and the
mean squared distance to the teacher; AdamW and float32 on both sides. The first two steps of a run are left out. Also:
what a step pays for teacher vectors that are in the cache, and the same recipe with `compile=True`,
after half the steps, when all shapes have been compiled.
"""

import argparse
import tempfile

import numpy as np
import pandas as pd
import torch
from measuring import clock, record, said, spread

import egemma_lab as lab
from egemma_lab.data import TeacherCache
from egemma_lab.evaluate import markdown
from egemma_lab.model.folder import find_folder

DIMS = (256, 128, 64, 32)
MAX_TOKENS = 128
WARM = 2  # steps left out


def ours(pairs, teacher, options, folder, **changes):
    """Seconds of each step after the first."""
    ends = []

    class Watch:
        def on_step(self, state, row):
            ends.append(clock())

    recipe = lab.Recipe(
        steps=options.steps,
        batch_size=options.batch_size,
        max_tokens=MAX_TOKENS,
        precision="float32",
        snapshot_every=0,
        save_every=options.steps + 1,
        **changes,
    )
    lab.train(
        lab.load_model(options.model, device="cpu"),
        pairs,
        teacher=teacher,
        recipe=recipe,
        output=folder,
        callbacks=[Watch()],
        show_progress_bar=False,
    )
    return np.diff(ends)


def theirs(pairs, targets, options, folder):
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments
    from transformers import TrainerCallback

    ends = []

    class Watch(TrainerCallback):
        def on_step_end(self, *args, **kwargs):
            ends.append(clock())

    model = SentenceTransformer(str(find_folder(options.model)), device="cpu")
    model.max_seq_length = MAX_TOKENS
    arguments = Arguments(
        folder,
        max_steps=options.steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=3e-4,
        weight_decay=0.01,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        prompts={
            "anchor": model.prompts["query"],
            **dict.fromkeys(("positive", "negative"), model.prompts["document"]),
        },
    )
    rows = pairs.select_columns(["anchor", "positive", "negative"]).add_column("label", targets.tolist())
    trainer = SentenceTransformerTrainer(
        model, args=arguments, train_dataset=rows, loss=nearest_losses(model), callbacks=[Watch()]
    )
    trainer.train()
    return np.diff(ends)


def nearest_losses(model):
    from sentence_transformers.sentence_transformer import losses

    class NearestLosses(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model
            self.ranking = losses.MultipleNegativesRankingLoss(model, scale=20.0)
            self.spread = losses.GlobalOrthogonalRegularizationLoss(model)

        def forward(self, sentence_features, labels):
            vectors = [self.model(features)["sentence_embedding"] for features in sentence_features]
            terms = {"matching": (torch.cat(vectors, dim=1) - labels).pow(2).mean()}
            for dim in DIMS:
                cut = [torch.nn.functional.normalize(each[:, :dim], dim=-1) for each in vectors]
                terms[f"ranking_{dim}"] = self.ranking.compute_loss_from_embeddings(cut, None)
                spread = self.spread.compute_loss_from_embeddings(cut)
                terms |= {f"{name}_{dim}": value for name, value in spread.items()}
            return terms

    return NearestLosses()


def profile(pairs, teacher, options):
    """Print which operators a step's time goes to, largest first."""
    with tempfile.TemporaryDirectory() as folder, torch.profiler.profile() as profiler:
        ours(pairs, teacher, options, folder)
    averages = profiler.key_averages()
    times = pd.Series({each.key: each.self_cpu_time_total for each in averages})
    shares = (times / times.sum()).sort_values(ascending=False).head(16)
    print(markdown(shares.rename("share").rename_axis("operator").reset_index()))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--profile", action="store_true", help="measure no ratio")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pairs = lab.data.load_pairs("python-docs", limit=options.batch_size * options.steps)
    teacher = lab.load_teacher("sentence-transformers/all-MiniLM-L6-v2", max_seq_length=MAX_TOKENS)
    width = lab.load_model(options.model).config.output_width
    with TeacherCache(teacher.cut(width)) as cache:  # the cache that `train` looks into
        targets = np.concatenate(
            [cache.vectors(pairs["anchor"], "query")]
            + [cache.vectors(pairs[name], "document") for name in ("positive", "negative")],
            axis=1,
        )
        start = clock()
        for name, role in (("anchor", "query"), ("positive", "document"), ("negative", "document")):
            cache.vectors(pairs[name], role)
        teaching = (clock() - start) / options.steps

    if options.profile:
        return profile(pairs, teacher, options)
    ways = {
        "egemma_lab": lambda folder: ours(pairs, teacher, options, folder)[WARM:],
        "compiled": lambda folder: ours(pairs, teacher, options, folder, compile=True)[options.steps // 2 :],
        "sentence-transformers": lambda folder: theirs(pairs, targets, options, folder)[WARM:],
    }
    steps = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, run in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                steps[way].append(np.mean(run(folder)))
    mine, compiled, peer = (np.array(taken) for taken in steps.values())
    rates = {way: spread(options.batch_size / np.array(taken), 1) for way, taken in steps.items()}
    share = teaching / np.median(mine)
    ratios = {"": spread(peer / mine), ", with compile=True": spread(peer / compiled)}
    print({way: said(rate, " samples/s") for way, rate in rates.items()})
    record(
        "training",
        [
            *(
                [
                    f"training, all terms and four widths, times SentenceTransformerTrainer{how}",
                    "1.5",
                    said(ratio),
                    ratio["median"] >= 1.5,
                ]
                for how, ratio in ratios.items()
            ),
            ["a second epoch's teacher vectors, share of a step", "0.02", f"{share:.4f}", bool(share < 0.02)],
        ],
        {
            "batch_size": options.batch_size,
            "steps": options.steps,
            "rates": rates,
            "ratios": ratios,
            "teacher_share": share,
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
