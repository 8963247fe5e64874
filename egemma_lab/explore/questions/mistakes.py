"""Exercises of notebook 12: a prefix compared, a square that overflows, batches accumulated, a test that leaks."""

import math

from egemma_lab.explore.exercises import Exercise

QUESTIONS = {
    "cut_and_compare": Exercise(
        "Two unit vectors, `[0.5, 0.5, 0.5, 0.5]` and `[0.1, 0.1, 0.7, 0.7]`. Both are cut to their first "
        "two numbers. What is "
        "the cosine of the two prefixes?",
        1.0,
        wrong=[
            (
                0.1,
                "That is the dot product of the prefixes. Their lengths are not 1 any more: divide by both.",
            ),
            (0.8, "That is the cosine of the whole vectors; only the first two numbers of each are left."),
            (
                0.1 / math.sqrt(0.5),
                "Divided by the length of the first prefix. The second is shorter than 1 as well.",
            ),
            (
                0.1 / math.sqrt(0.02),
                "Divided by the length of the second prefix. The first is shorter than 1 as well.",
            ),
            (
                0.0,
                "The prefixes `[0.5, 0.5]` and `[0.1, 0.1]` are far from a right angle. Where do they point?",
            ),
        ],
        right="Both prefixes point in the same direction; only their lengths differ, and a cosine does not "
        "see lengths.",
        solution="`[0.5, 0.5]` and `[0.1, 0.1]`: dot product 0.1, lengths √0.5 and √0.02, and √0.5 · √0.02 "
        "= √0.01 = 0.1. So the "
        "cosine is 0.1 / 0.1 = 1, where the plain product says 0.1.",
        minutes=3,
        difficulty="easy",
    ),
    "a_square_too_large": Exercise(
        "A norm adds up the squares of a state's 1,024 numbers, all equal to x. The largest number of float16 "
        "is 65,504. If the sum "
        "is kept in float16, how large may x be at most?",
        math.sqrt(65504 / 1024),
        tolerance=0.005,
        wrong=[
            (65504, "That is the largest x that can be written down. Its square cannot."),
            (math.sqrt(65504), "So large may x be for one square to fit. There are 1,024 of them."),
            (
                65504 / 1024,
                "That would be the bound if the numbers themselves were added up; it is their squares.",
            ),
            (
                1024,
                "That is how many numbers there are, each of which adds a square to the sum.",
            ),
        ],
        right="√(65,504 / 1,024): numbers of 8 are enough. That is why norms are computed in float32 even "
        "where the rest is not.",
        solution="1,024 x² ≤ 65,504, so x² ≤ 63.97 and x ≤ 7.998.",
        minutes=4,
        difficulty="medium",
    ),
    "accumulated_batches": Exercise(
        "A model in which all cosines are equal, without hard negatives. One batch of 64 rows has the "
        "contrastive loss ln 64, "
        "about 4.16. What is the mean loss of the same rows as 8 accumulated batches of 8?",
        math.log(8),
        wrong=[
            (
                math.log(64),
                "That is the loss of the one batch. Each row now has 8 positives to choose from, not 64.",
            ),
            (8 * math.log(8), "That is the sum over the 8 batches; asked is the mean."),
            (
                math.log(64) / 8,
                "Each small batch is an exam of its own, with 8 answers to choose from; dividing does not make it.",
            ),
            (3, "That is the logarithm to base 2; the loss takes the natural one."),
            (0, "0 is what a batch of *one* gives. Here each row still has 7 wrong answers."),
        ],
        right="ln 8: each row chooses among 8. It is an easier exam, not the same exam in smaller parts.",
        solution="With equal cosines every positive has the share 1/8 of its row's denominator, so each "
        "row's loss is ln 8 = 2.079, "
        "and so is the mean. Accumulating gradients averages easy exams; the gradient cache keeps the one of 64.",
        minutes=4,
        difficulty="medium",
    ),
    "a_leak": Exercise(
        "A model finds the answer to 60% of new questions, and to every question it was trained on. 20 of "
        "the 100 test questions "
        "were in its training data. Which share of the test questions does it answer?",
        0.68,
        wrong=[
            (0.6, "So it would without the leak. The 20 leaked questions are all answered."),
            (0.8, "That is 0.6 + 0.2; but of the leaked 20 it would have answered some anyway."),
            (0.72, "That is 0.6 + 0.2 · 0.6. The leaked 20 count in full, the other 80 with 60%."),
            (0.48, "Those are the answered ones among the other 80; the leaked 20 come on top."),
            (68, "As a share between 0 and 1, please."),
        ],
        right="0.2 · 1 + 0.8 · 0.6. Eight points better, and nothing learnt: more than many published differences.",
        solution="20 leaked questions are answered, and 60% of the other 80, which are 48: 68 of 100.",
        minutes=2,
        difficulty="easy",
    ),
}
