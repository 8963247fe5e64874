"""Exercises of notebook 00: the contrastive loss as an exam, and how a search is scored."""

import math

from egemma_lab.explore.exercises import Exercise

QUESTIONS = {
    "surprise_of_knowing_nothing": Exercise(
        "A batch holds 64 pairs. Suppose all cosines are 0, so that nothing speaks for any of the 64 functions. "
        "What is the contrastive loss then? It is minus the natural logarithm of the right one's probability; "
        "`np.log` is at hand.",
        math.log(64),
        wrong=[
            (math.log(63), "Nearly: the right function is a choice as well, beside the 63 wrong ones."),
            (
                -math.log(64),
                "The sign: a probability below 1 has a negative logarithm, and the loss is minus that.",
            ),
            (1 / 64, "That is the probability of the right one; the loss is minus its logarithm."),
            (6, "That is in bits, log2 of 64. The loss takes the natural logarithm: its unit is the nat."),
            (math.log10(64), "That is the logarithm to base 10; the loss takes the natural one, `np.log`."),
            (64, "That is the number of choices; the loss is a logarithm."),
            (0, "0 is the loss of a model that is certain and right; this one only guesses."),
        ],
        right="-log(1/64) = log 64. Remember it when you look at the first value of the curve.",
        solution="With equal cosines every choice has the probability 1/64, whatever the temperature. "
        "-log(1/64) = log 64, about 4.16 nats.",
        minutes=4,
        difficulty="medium",
    ),
    "size_of_the_exam": Exercise(
        "Each of the 64 pairs of a batch gets a hard negative. In EmbeddingGemma's contrastive loss a sentence is "
        "compared with the functions of all 64 pairs, and with its own hard negative only, not with those of the "
        "other pairs. "
        "Among how many functions, the right one included, must it find its own?",
        65,
        wrong=[
            (
                64,
                "That counts the 64 functions of the batch, and leaves out the sentence's own hard negative.",
            ),
            (
                128,
                "That counts every hard negative. Here a sentence meets its own only (recipes differ in this).",
            ),
            (63, "Those are the other pairs' functions: the right one and the hard negative are missing."),
            (
                2,
                "Its own function and its hard negative are two; the other pairs' functions are choices as well.",
            ),
        ],
        right="64 functions of the batch and one hard negative.",
        solution="Each of the 64 positives is a choice (63 wrong, 1 right), and so is the sentence's own hard "
        "negative: 64 + 1 = 65.",
        minutes=2,
        difficulty="easy",
    ),
    "mrr_by_hand": Exercise(
        "For one question the right function is found first, for another fourth. What is the MRR@10 over the two?",
        0.625,
        wrong=[
            (2.5, "That is the mean rank. MRR averages the reciprocals, 1/rank."),
            (0.4, "That is one over the mean rank. Take each rank's reciprocal first, then the mean."),
            (1.25, "That is the sum of the reciprocals; divide by the number of questions."),
            (0.5, "Each question counts by its own rank: 1/1 for the first, 1/4 for the second."),
            (0.25, "That is the second question alone."),
        ],
        right="(1/1 + 1/4) / 2.",
        solution="The reciprocal ranks are 1/1 and 1/4; their mean is 1.25 / 2 = 0.625.",
        minutes=2,
        difficulty="easy",
    ),
}
