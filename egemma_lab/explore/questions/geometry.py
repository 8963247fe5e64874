"""Exercises of notebook 01: cosines, alignment, the mean cosine, and how bad a map can be."""

import math

from egemma_lab.explore.exercises import Exercise


def _between(low, high):
    return lambda answer: low <= float(answer) <= high


QUESTIONS = {
    "cosine_by_hand": Exercise(
        "What is the cosine of `[1, 2, 2]` and `[2, 1, 2]`? Use paper, or Python's arithmetic.",
        8 / 9,
        wrong=[
            (8, "That is the dot product, 1·2 + 2·1 + 2·2. It still has to be divided by both lengths."),
            (8 / 3, "Divided by one length. Both vectors have a length, and both must go."),
            (8 / 81, "The lengths are square roots: √9 = 3 each, so divide by 3 · 3, not by 9 · 9."),
            (math.degrees(math.acos(8 / 9)), "That is the angle in degrees; the cosine of it was asked."),
            (1 / 9, "That is 1 − cosine, often called cosine distance."),
            (
                lambda answer: abs(float(answer)) > 1,
                "A cosine lies between −1 and 1: divide by both lengths.",
            ),
        ],
        right="(2 + 2 + 4) / (3 · 3).",
        solution="Dot product: 1·2 + 2·1 + 2·2 = 8. Lengths: √(1 + 4 + 4) = 3, both. Cosine: 8 / (3 · 3) = 8/9, "
        "about 0.889.",
        minutes=3,
        difficulty="easy",
    ),
    "alignment_at_a_right_angle": Exercise(
        "Every positive stands at a right angle to its anchor, all vectors have length 1. What is the alignment, the "
        "mean of ‖x − y‖²?",
        2.0,
        wrong=[
            (math.sqrt(2), "That is the distance ‖x − y‖; alignment takes its square."),
            (
                0,
                "0 would mean that every positive lies on its anchor. The cosine is 0 here, the distance is not.",
            ),
            (1, "Use ‖x − y‖² = 2 − 2 cos, and put in the cosine of a right angle."),
            (4, "That is the alignment of opposite vectors, cosine −1."),
            (90, "That is the angle. Alignment is a squared distance, between 0 and 4."),
        ],
        right="2 − 2 · 0. So an alignment near 2 means: the pairs are as far apart as unrelated texts.",
        solution="‖x − y‖² = 2 − 2 cos(x, y). At a right angle the cosine is 0, so every pair contributes 2.",
        minutes=3,
        difficulty="easy",
    ),
    "mean_cosine_by_hand": Exercise(
        "Four vectors: `[1, 0]`, `[-1, 0]`, `[0, 1]`, `[0, -1]`. What is the mean cosine over all pairs of different "
        "vectors?",
        -1 / 3,
        wrong=[
            (0, "That is the mean with each vector's cosine to itself counted in. Leave those out."),
            (-0.5, "There are 6 pairs, not 4: choose 2 of 4."),
            (1 / 3, "The two opposite pairs have cosine −1, so the mean is negative."),
            (-2, "That is the sum; there are 6 pairs to divide by."),
            (-1, "Only opposite vectors have −1; pairs at a right angle have 0 and count as well."),
        ],
        right="Two opposite pairs and four at a right angle: −2/6.",
        solution="2 pairs are opposite with cosine −1, 4 stand at a right angle with cosine 0: "
        "(2 · (−1) + 4 · 0) / 6 = −1/3. Lower is impossible for four vectors: the mean cosine of n vectors is never "
        "below −1/(n − 1), which is nearly 0 for many.",
        minutes=4,
        difficulty="medium",
    ),
    "a_map_by_chance": Exercise(
        "Somebody throws the 240 points onto a map entirely at random. Which share of each text's ten true nearest "
        "neighbours will be among its ten nearest on that map, on average?",
        10 / 239,
        tolerance=1e-3,
        wrong=[
            (0, "A few land there by accident. How likely is that for a single one?"),
            (_between(0.09, 0.11), "Ten of a hundred? There are 239 other texts."),
            (_between(9, 11), "That many places there are; asked is the share of the ten that is kept."),
            (_between(0.4, 0.43), "That is how many of the ten are kept; as a share it is a tenth of that."),
            (_between(4, 4.3), "As a share between 0 and 1, please: divide by 100."),
            (1 / 239, "That is the chance to hold one particular place; there are ten places."),
        ],
        right="10 / 239: each true neighbour is as likely as any other text to hold one of the ten places.",
        solution="On a random map the ten nearest are ten drawn from the 239 others, so a given true neighbour is "
        "among them with probability 10/239, about 4%. Subtract it in your mind from every such figure.",
        minutes=5,
        difficulty="hard",
    ),
}
