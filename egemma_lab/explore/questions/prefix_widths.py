"""Exercises of notebook 06: what cutting does to a length and a cosine, which columns learn, what two looks cost."""

import math

from egemma_lab.explore.exercises import Exercise

QUESTIONS = {
    "cosine_of_two_prefixes": Exercise(
        "A question `[0, 0.6, 0, 0.8]` and a document `[0.1, 0.7, 0.5, 0.5]`, both of length 1, are cut to their first "
        "two numbers. What is the cosine of the two prefixes?",
        0.7 / math.sqrt(0.5),
        wrong=[
            (
                0.42,
                "That is the dot product of the two prefixes as they were cut. Both are shorter than 1 now.",
            ),
            (0.82, "That is the cosine at full width; cut both first."),
            (0.7, "The question's prefix is brought back to length 1 there, the document's is not."),
            (
                0.42 / math.sqrt(0.5),
                "The document's prefix is brought back to length 1 there, the question's is not.",
            ),
            (0.84, "The lengths are square roots: 0.6, and √(0.01 + 0.49)."),
            (lambda answer: abs(float(answer)) > 1, "A cosine lies between −1 and 1."),
        ],
        right="0.42 / (0.6 · √0.5): the cut document looks almost exactly where the cut question looks.",
        solution="The prefixes are [0, 0.6] and [0.1, 0.7]. Dot product: 0.6 · 0.7 = 0.42. Lengths: 0.6 and "
        "√(0.01 + 0.49) = √0.5, about 0.707. Cosine: 0.42 / (0.6 · 0.707), about 0.990. Without normalising it would "
        "have been 0.42, and a worse document with a longer prefix would have passed it.",
        minutes=4,
        difficulty="easy",
    ),
    "length_of_a_prefix": Exercise(
        "A random direction in 256 dimensions is cut to its first 64 numbers. How long is the prefix, about? (The "
        "square root of the mean squared length.)",
        0.5,
        tolerance=0.01,
        wrong=[
            (0.25, "That is the squared length: 64 of 256 equal shares. Take its square root."),
            (1, "It had length 1 before 192 of its numbers were taken away."),
            (0.75, "That is the share of the squared length that was cut off."),
            (math.sqrt(0.75), "That is the length of what was cut off."),
            (8, "Each number of a random direction of length 1 is about 1/√256 = 1/16, not 1."),
            (4, "64 numbers of 1/16 each: add their squares, not themselves."),
        ],
        right="√(64/256). A prefix that is much longer than this holds more than its share: the columns have an order.",
        solution="All 256 squares sum to 1 and none is preferred, so 64 of them sum to 64/256 = 1/4 on average. The "
        "length is the root of it, 1/2. Compare the lengths that the notebook measured: what lies above is what "
        "training, or a rotation, has moved to the front.",
        minutes=4,
        difficulty="medium",
    ),
    "losses_that_a_column_hears": Exercise(
        "A model is trained with the widths 256, 128, 64 and 32. In how many of the four losses does column number 100 "
        "take part? Columns are counted from 0.",
        2,
        wrong=[
            (1, "The widest is not the only one that is wide enough: how many columns has the next one?"),
            (3, "Width 64 ends with column 63."),
            (4, "That holds for columns 0 to 31, which stand in every prefix."),
            (0, "Every column stands in the full width, at least."),
        ],
        right="256 and 128. Columns 0 to 31 are in all four: what must be right everywhere is learnt there.",
        solution="A prefix of width m holds the columns 0 to m − 1. Column 100 is in those of 256 and 128, and not in "
        "those of 64 and 32.",
        minutes=2,
        difficulty="easy",
    ),
    "price_of_two_looks": Exercise(
        "A corpus has 1,000,000 vectors of 256 numbers. A first look compares only the first 32 numbers of each, a "
        "second look compares the best 1,000 at full width. How many times fewer multiplications is that than one "
        "search at full width?",
        256e6 / (32e6 + 256e3),
        wrong=[
            (
                8,
                "That is the first look alone. The second takes a thousand times 256 multiplications more.",
            ),
            (1000, "Every vector still has to be looked at once, with 32 of its numbers."),
            (
                256e3 / (32e6 + 256e3),
                "The search at full width has 256 multiplications for each of 1,000,000 vectors.",
            ),
            (32.256e6, "That many multiplications are left. How many times more were there before?"),
            (32.256 / 256, "That is the share that is left; asked is its inverse."),
        ],
        right="256 million against 32.256 million: the second look hardly counts, so take more candidates where recall "
        "needs them.",
        solution="One search: 1,000,000 · 256 = 256,000,000. Two looks: 1,000,000 · 32 + 1,000 · 256 = 32,256,000. The "
        "ratio is 7.94. Ten thousand candidates would still leave 7.4.",
        minutes=4,
        difficulty="medium",
    ),
}
