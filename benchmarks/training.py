"""Samples a second of the full recipe against `SentenceTransformerTrainer` with its nearest losses.

    python benchmarks/training.py [--model nano] [--batch-size 64] [--steps 12] [--rounds 3] [--threads 1]

One sample is a question, its answer and a hard negative, cut at 128 tokens. All three terms, four widths, teacher
vectors computed beforehand on both sides (ours read from the teacher's cache, theirs a column of the data set). Theirs
are the in-batch ranking loss and the orthogonal regularisation at each width, as its documentation sums them, and the
mean squared distance to the teacher; AdamW and float32 on both sides. The first two steps of a run are left out. Also:
what a step pays for teacher vectors that are in the cache.
"""

import argparse
import tempfile

import numpy as np
import torch
from measuring import clock, record, said, spread

import egemma_lab as lab
from egemma_lab.data import TeacherCache
from egemma_lab.model.folder import find_folder

DIMS = (256, 128, 64, 32)
MAX_TOKENS = 128
WARM = 2  # steps left out


def ours(pairs, teacher, options, folder):
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


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
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

    steps = {"egemma_lab": [], "sentence-transformers": []}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            steps["egemma_lab"].append(np.mean(ours(pairs, teacher, options, folder)[WARM:]))
            steps["sentence-transformers"].append(np.mean(theirs(pairs, targets, options, folder)[WARM:]))
    mine, peer = (np.array(taken) for taken in steps.values())
    rates = {way: spread(options.batch_size / np.array(taken), 1) for way, taken in steps.items()}
    ratio, share = spread(peer / mine), teaching / np.median(mine)
    print({way: said(rate, " samples/s") for way, rate in rates.items()})
    record(
        "training",
        [
            [
                "training, all terms and four widths, times SentenceTransformerTrainer",
                "1.5",
                said(ratio),
                ratio["median"] >= 1.5,
            ],
            ["a second epoch's teacher vectors, share of a step", "0.02", f"{share:.4f}", bool(share < 0.02)],
        ],
        {
            "batch_size": options.batch_size,
            "steps": options.steps,
            "rates": rates,
            "ratio": ratio,
            "teacher_share": share,
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
