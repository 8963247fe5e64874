"""The README's table of the bundled nano and the sentence below it, from this folder's figures.

    python experiments/nano/tables.py    # after ship.py

The README holds both between the marks `nano`; what stands there gives way.
"""

from pathlib import Path

import pandas as pd

from egemma_lab.experiments.marks import between_marks

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
TEACHER = "sentence-transformers/all-MiniLM-L6-v2"
TASKS = {
    "stsb": "STS-B test | Spearman",
    "banking77": "banking77 | accuracy, linear probe",
    "clustering": "clustering (banking77) | v-measure",
    "scifact": "scifact | nDCG@10",
    "xquad": "xquad, English | nDCG@10",
    "limit": "limit, small | recall@2",
    "python-docs": "python-docs | nDCG@10",
}
COMPARED = ("stsb", "banking77", "scifact", "python-docs")  # the tasks over which shares are averaged
AIMS = {"teacher": 0.92, "narrow": 0.95}


def main():
    README.write_text(between_marks(README.read_text(encoding="utf-8"), "nano", section()), encoding="utf-8")
    print(section())


def section():
    """The table, and what the model keeps of its teacher and of itself."""
    found = pd.read_csv(HERE / "results.csv")
    lines = ["| task | metric | nano (95% interval) | nano, 64 wide | teacher, 384 wide (22.7M) | BM25 |"]
    lines.append("|---|---|---|---|---|---|")
    for task, words in TASKS.items():
        nano, narrow = row(found, "nano", task, 256), row(found, "nano", task, 64)
        teacher, bm25 = row(found, TEACHER, task, 384), row(found, "bm25", task, None)
        cells = [f"{nano['value']:.3f} ({nano['low']:.3f} to {nano['high']:.3f})"]
        cells += ["-" if other is None else f"{other['value']:.3f}" for other in (narrow, teacher, bm25)]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n\n" + sentence(found)


def sentence(found):
    kept, narrow, cut = shares(found)
    return (
        f"Over {', '.join(COMPARED[:-1])} and {COMPARED[-1]} it keeps {kept:.0%} of its teacher on average, where\n"
        f"{AIMS['teacher']:.0%} is the aim; at width 64 it keeps {narrow:.0%} of its own full width, where the aim is\n"
        f"{AIMS['narrow']:.0%} (the teacher itself, cut to 64, keeps {cut:.0%} of its full width)."
    )


def shares(found):
    """Means over the compared tasks: nano over teacher, nano at 64 over nano, teacher at 64 over teacher."""

    def mean(model, width, of, full):
        ratios = [row(found, model, t, width)["value"] / row(found, of, t, full)["value"] for t in COMPARED]
        return sum(ratios) / len(ratios)

    return mean("nano", 256, TEACHER, 384), mean("nano", 64, "nano", 256), mean(TEACHER, 64, TEACHER, 384)


def row(found, model, task, width):
    """A task's main figure as a mapping, None where there is none."""
    rows = found[(found["model"] == model) & (found["task"] == task)]
    rows = rows[rows["width"].isna() if width is None else rows["width"] == width]
    return None if rows.empty else rows.iloc[0].to_dict()


if __name__ == "__main__":
    main()
