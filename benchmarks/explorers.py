"""From a moved control to a new picture, in milliseconds of the kernel's time, and the playground's pace.

    python benchmarks/explorers.py [--moves 60] [--threads 1]

Each control that changes a picture is moved `--moves` times through its values, as a learner would; printed are median,
95th percentile and the longest. Counted is what the kernel does; the browser's drawing comes on top. What is computed
once and then kept (weights rounded to a format and all texts encoded with them, a UMAP) is done before.
"""

import argparse
import itertools

import numpy as np
import torch
from measuring import clock, record
from threadpoolctl import threadpool_limits

import egemma_lab as lab


def controls():
    """(name, widget, values): one explorer after the other is made when its turn comes."""
    explore = lab.explore
    playground = explore.loss_playground()
    weight = playground.boxes[0].controls["temperature"]
    yield "loss_playground, temperature", weight, list(weight.options)
    replay = explore.training_replay()
    yield "training_replay, moment", replay.moment, list(range(replay.moment.max + 1))
    corpus = explore.topic_corpus().groupby("topic").head(25)
    nano = lab.load_model("nano").requires_grad_(False)
    widths = explore.matryoshka(nano, corpus["text"].tolist(), labels=corpus["topic"].tolist())
    yield "matryoshka, width", widths.width, list(nano.widths)
    bits = explore.precision(widths)
    yield "matryoshka and precision, vectors", bits.vectors, list(bits.vectors.options)
    vectors = np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32)
    flips = explore.flips(vectors, vectors[:, :3])
    yield "flips of 20,000 texts, k", flips.k, list(range(2, 12))
    anatomy = explore.anatomy(nano, "A cold moon circles a planet that nobody has seen.")
    yield "anatomy, layer", anatomy.layer, [layer for _, layer in anatomy.layer.options]
    yield "anatomy, text", anatomy.text, [f"A cold moon circles planet {n}." for n in range(200)]
    agreement = explore.teacher_student()
    yield "teacher_student, moment", agreement.moment, list(range(agreement.moment.max + 1))


def moved(widget, values, moves):
    """Milliseconds of each move; the first round of values only warms up."""
    taken = []
    for count, value in enumerate(itertools.cycle(values)):
        if count == moves + min(len(values), 10):
            return np.array(taken[min(len(values), 10) :])
        start = clock()
        widget.value = value
        taken.append(1e3 * (clock() - start))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moves", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    threadpool_limits(options.threads)  # numpy's own threads too: those that wait count as processor time
    figures, targets = {}, []
    for name, widget, values in controls():
        taken = moved(widget, values, options.moves)
        numbers = [round(float(x), 1) for x in np.quantile(taken, [0.5, 0.95, 1])]
        figures[name] = dict(zip(("median", "p95", "longest"), numbers))
        targets.append([f"{name}, ms at the 95th percentile", "100", f"{numbers[1]:g}", numbers[1] <= 100])

    playground = lab.explore.loss_playground()
    start = clock()
    for _ in range(20):
        playground.advance(playground.pace.value)  # both sides, and one picture
    seconds = (clock() - start) / 20
    steps, pictures = playground.pace.value / seconds, 1 / seconds
    figures["playground"] = {"steps_per_second": steps, "pictures_per_second": pictures}
    targets.append(
        [
            "playground, steps and pictures a second",
            "30 and 10",
            f"{steps:.0f} and {pictures:.0f}",
            steps >= 30 and pictures >= 10,
        ]
    )
    record("explorers", targets, figures, options.threads)


if __name__ == "__main__":
    main()
