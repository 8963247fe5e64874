"""What smaller vectors and weights keep, as tables: from this folder's figures into the nano's card and the README.

    python experiments/compression/tables.py    # after vectors.py and weights.py

The README holds each table between marks, the card in its section "Smaller". Tables that stand there give way.
"""

import re
from pathlib import Path

import pandas as pd

import egemma_lab as lab
from egemma_lab.experiments.marks import between_marks
from egemma_lab.quantize import FORMATS

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
CARD = Path(lab.__file__).parent / "assets" / "nano" / "README.md"
VECTORS = (
    ("float32", 256, "float32"),
    ("int8", 256, "int8, ranges from a calibration set"),
    ("binary rescored by int8", 256, "binary, four times as many looked at again in int8"),
    ("binary rescored", 256, "binary, four times as many looked at again in the bits themselves"),
    ("binary", 256, "binary"),
    ("float32", 128, "float32, width 128"),
)
WEIGHTS = {
    "int8_block": "`nano-int8`: blocks of 32, as GGUF's Q8_0",
    "mixed_channel": "`nano-mixed`: int4 and int8 a channel",
    "int4_block": "`nano-int4`: blocks of 32, as Q4_0",
    "ternary": "ternary",
}
# Table 1 of arXiv:2509.20354: mean over the tasks of MTEB (English, v2), relative to bf16
PAPER = {"int8_block": 69.49 / 69.67, "mixed_channel": 69.32 / 69.67, "int4_block": 69.31 / 69.67}


def main():
    readme = README.read_text(encoding="utf-8")
    for name, table in (("vectors", vectors_table()), ("weights", weights_table())):
        readme = between_marks(readme, name, table)
    README.write_text(readme, encoding="utf-8")
    CARD.write_text(with_section(CARD.read_text(encoding="utf-8"), card_section()), encoding="utf-8")
    print(README, CARD, sep="\n")


def vectors_table():
    """Share of float32 at full width, of vectors as they are stored."""
    found = mean_rows("vectors.csv").set_index(["precision", "width"])
    lines = ["| stored | bytes a vector | quality kept |", "|---|---|---|"]
    for precision, width, words in VECTORS:
        row = found.loc[(precision, width)]
        kept = "1" if row["share_low"] == row["share_high"] else interval(row)
        lines.append(f"| {words} | {row['bytes']:,} | {kept} |")
    return "\n".join(lines)


def weights_table():
    """Share of float32 of rounded weights, and of weights trained on under rounding."""
    found = mean_rows("weights.csv").set_index(["format", "way"])
    lines = [
        "| format | MB | rounded | trained on under rounding | its seeds | the paper's, trained (300M, MTEB English) |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for format in FORMATS:
        rounded, trained = found.loc[(format, "rounded")], found.loc[(format, "trained")]
        paper = f"{PAPER[format]:.3f}" if format in PAPER else "-"
        seeds = f"{trained['lowest']:.3f} to {trained['highest']:.3f}"
        size = f"{trained['bytes'] / 1e6:.1f}"
        lines.append(
            f"| {WEIGHTS[format]} | {size} | {interval(rounded)} | {interval(trained)} | {seeds} | {paper} |"
        )
    return "\n".join(lines)


def card_section():
    vectors, weights = mean_rows("vectors.csv").iloc[0], mean_rows("weights.csv").iloc[0]
    seeds = mean_rows("weights.csv")["seeds"].max()
    return f"""## Smaller

Vectors at rest: the share of what float32 reaches at full width, {vectors["metric"]}, {vectors["n"]:,} queries and
pairs. Behind each share stands its 95% interval over them; `experiments/compression/vectors.csv` has every width.

{vectors_table()}

Weights: the share of what float32 reaches, {weights["metric"]}, {weights["n"]:,} queries, pairs and texts. Trained
is the mean of {seeds} seeds; its interval too is over the queries. `experiments/compression/weights.csv` has every
task.

{weights_table()}

"""


def mean_rows(name):
    table = pd.read_csv(HERE / name)
    return table[table["task"] == "mean"]


def interval(row):
    return f"{row['share']:.3f} ({row['share_low']:.3f} to {row['share_high']:.3f})"


def with_section(card, section):
    """The card with its section "Smaller" replaced, or with it before "How it was made"."""
    card = re.sub(r"^## Smaller\n.*?(?=^## )", "", card, flags=re.DOTALL | re.MULTILINE)
    before, made, after = card.partition("## How it was made\n")
    if not made:
        raise ValueError(f"{CARD} has no section 'How it was made' to put the tables before")
    return before + section + made + after


if __name__ == "__main__":
    main()
