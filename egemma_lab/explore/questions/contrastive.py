"""Exercises of notebook 03: temperature, the size of the exam, hard negatives, duplicates."""

import math

from egemma_lab.explore.exercises import Exercise

QUESTIONS = {
    "odds_at_a_temperature": Exercise(
        "A question has the cosine 0.7 with its own function and 0.6 with another. The temperature is 0.05. How many "
        "times as probable as the other does the softmax make the right one?",
        math.exp(2),
        wrong=[
            (2, "That is the difference of the two logits, 0.1 / 0.05. The odds are e to that."),
            (
                0.7 / 0.6,
                "Those are the odds of the cosines themselves. The softmax takes e to the cosine / temperature.",
            ),
            (math.exp(0.1), "That is a temperature of 1: divide the difference by 0.05 first."),
            (math.exp(0.005), "Multiplied by the temperature. It divides."),
            (math.exp(14), "That is the right one's own term, e^(0.7 / 0.05); divide by the other's."),
            (math.exp(-2), "The other way round: the right one has the larger cosine."),
        ],
        right="e^((0.7 − 0.6) / 0.05) = e². Only differences of cosines count, in units of the temperature.",
        solution="The softmax gives each a probability proportional to e^(cosine / τ). The ratio of two is "
        "e^((0.7 − 0.6) / 0.05) = e², about 7.4. At τ = 0.01 the same difference gives e¹⁰, about 22,000.",
        minutes=3,
        difficulty="easy",
    ),
    "choices_under_accumulation": Exercise(
        "Somebody wants batches of 512 and has memory for 32 pairs. They run 16 forward and backward passes of 32 "
        "pairs, let the gradients add up, and then take one step: gradient accumulation, without a gradient cache. "
        "There are no hard negatives. Among how many functions does each question choose?",
        32,
        wrong=[
            (
                512,
                "So many pairs contribute to the step, but each pass has its own loss, over its own pairs.",
            ),
            (16, "That is the number of passes."),
            (31, "Those are the wrong ones; the right one is a choice as well."),
            (511, "That would be the wrong ones of a true batch of 512. Each pass has a loss of its own."),
            (1, "With one choice the loss would be 0 and nothing would be learnt."),
        ],
        right="Adding up gradients averages 16 small exams. It does not make one large one; the gradient cache does.",
        solution="The loss of a pass sees that pass's 32 pairs and no others, so each question chooses among 32. "
        "Accumulation averages the gradients of 16 such exams. To have one exam among 512, all vectors must be there "
        "when the loss is computed, which is what the gradient cache sees to.",
        minutes=3,
        difficulty="medium",
    ),
    "weight_of_a_hard_negative": Exercise(
        "With the paper's hardness α = 5, a hard negative has the cosine 0.8 with the question. As how many ordinary "
        "in-batch negatives of the same cosine does it count?",
        math.exp(4),
        wrong=[
            (4, "That is 5 · 0.8, the exponent. The weight is e to that."),
            (5, "α is not the weight itself: the weight is e^(α · cosine)."),
            (math.exp(5), "That would be the weight at a cosine of 1."),
            (math.exp(0.8), "α is missing: e^(5 · 0.8)."),
            (math.exp(4 / 0.05), "The weight's exponent is not divided by the temperature."),
            (0.8, "That is the cosine; the weight is e^(5 · 0.8)."),
        ],
        right="e^(5 · 0.8) = e⁴, about 55. At a cosine of 0 it would be 1, an ordinary negative.",
        solution="w = e^(α · cosine) = e^(5 · 0.8) = e⁴, about 54.6. The exponent is not divided by the temperature, "
        "and no gradient goes through it.",
        minutes=2,
        difficulty="easy",
    ),
    "highest_score_of_a_negative": Exercise(
        "A miner finds that an anchor has the cosine 0.60 with its own positive. With `relative_margin=0.95`, up to "
        "which cosine may another text be taken as its hard negative?",
        0.57,
        wrong=[
            (0.95, "That is the share. It is taken of the positive's score: 95% of 0.60."),
            (0.55, "That is 0.05 below the positive, the other kind of margin (`absolute_margin=0.05`)."),
            (0.03, "That is the gap that is left, 5% of 0.60; the limit lies that far below 0.60."),
            (0.6, "So near a text is probably an answer as well; the margin keeps 5% away."),
            (0.6 / 0.95, "Divided: that would allow negatives nearer than the positive itself."),
        ],
        right="95% of 0.60. What lies between 0.57 and 0.60, or above, is probably another right answer.",
        solution="0.95 · 0.60 = 0.57. The limit follows the positive: an anchor whose own positive is far away gets "
        "negatives that are farther still.",
        minutes=2,
        difficulty="easy",
    ),
    "floor_with_copies": Exercise(
        "In a batch of 64 the same text stands as the positive of 4 rows, with 4 different questions. Nothing is "
        "masked. What is the lowest value that the contrastive loss of one of these 4 rows can have?",
        math.log(4),
        wrong=[
            (
                0,
                "Three of its negatives are its positive's own text: no model can rank the one above the others.",
            ),
            (math.log(3), "The right one and three copies: four choices that no model can tell apart."),
            (4, "That is the number of equal choices; the loss is a logarithm."),
            (math.log(64), "That is a model that tells none of the 64 apart. It need not be that bad."),
            (math.log(61), "61 others can be told apart from the four and pushed away as far as one likes."),
            (0.25, "That is the best probability of the right one; the loss is minus its logarithm."),
            (2, "In bits. The loss takes the natural logarithm."),
        ],
        right="−log(1/4): a perfect model gives each of the four copies a quarter. The mask takes the floor to 0.",
        solution="Equal texts have equal vectors, so the four share the probability: at best a quarter each, and the "
        "loss is −log(1/4) = log 4, about 1.39. With `positive_ids` the three copies leave the denominator.",
        minutes=4,
        difficulty="medium",
    ),
}
