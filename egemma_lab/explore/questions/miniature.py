"""Exercises of notebook 11: what a comparison over seeds and questions may say."""

from egemma_lab.explore.exercises import Exercise

QUESTIONS = {
    "why_pairs": Exercise(
        "Three seeds give arm A the scores 60, 64, 68 and arm B, on the same seeds, 59, 63, 67. What is the standard "
        "deviation of the difference A − B over the seeds?",
        0.0,
        tolerance=1e-9,
        wrong=[
            (4, "That is how far A's own scores spread. Take A − B of each seed first: 1, 1 and 1."),
            (
                32**0.5,
                "√(4² + 4²) would hold for seeds that have nothing to do with each other. These are the same.",
            ),
            (1, "1 is the difference itself, on every seed; asked is how much it varies."),
        ],
        right="Seeds move both arms together, and the difference does not notice: so compare on equal seeds, always.",
        solution="The differences are 60 − 59, 64 − 63, 68 − 67: 1, 1, 1. They do not vary. Compared without pairing, "
        "the same six numbers would show nothing: their spread is four times the difference.",
        minutes=3,
        difficulty="easy",
    ),
    "false_alarms": Exercise(
        "Twenty arms that differ from the baseline in nothing at all are each compared with it, and called different "
        "where p < 0.05. How many are called different, on average?",
        1.0,
        tolerance=1e-6,
        wrong=[
            (0, "p < 0.05 happens by chance alone, once in twenty times. And there are twenty."),
            (0.05, "That is the share; of twenty arms it is 20 · 0.05."),
            (1 - 0.95**20, "That is the chance of at least one false alarm; asked is their mean number."),
            (20, "Then every test would be a false alarm; p < 0.05 is one for one in twenty."),
        ],
        right="And with it the finest story of the paper, if nobody corrects for the other nineteen.",
        solution="Each has a chance of 0.05, and means add up: 20 · 0.05 = 1. The chance of at least one is "
        "1 − 0.95²⁰ = 64%. Holm's correction keeps that chance at 5% for all of them together.",
        minutes=3,
        difficulty="easy",
    ),
    "holm_by_hand": Exercise(
        "Three comparisons have p = 0.01, 0.04 and 0.03. What is Holm's corrected p of the one with 0.04?",
        0.06,
        tolerance=1e-6,
        wrong=[
            (
                0.04,
                "That would hold if it stood alone. And a corrected p may not be below that of a smaller one.",
            ),
            (
                0.12,
                "3 · 0.04 is Bonferroni's. Holm multiplies the smallest by 3, the next by 2, the largest by 1.",
            ),
            (0.08, "0.04 is the largest: it is multiplied by 1. Which one comes before it?"),
            (0.03, "That is the corrected p of the smallest, 3 · 0.01."),
        ],
        right="1 · 0.04 would be less than what 0.03 became, and order is kept: 2 · 0.03.",
        solution="In order: 3 · 0.01 = 0.03, then 2 · 0.03 = 0.06, then 1 · 0.04 = 0.04, raised to the 0.06 before it, "
        "since a larger p must not end up smaller. `holm([0.01, 0.04, 0.03])` gives [0.03, 0.06, 0.06].",
        minutes=5,
        difficulty="medium",
    ),
    "more_seeds": Exercise(
        "With three seeds an experiment could have seen a difference of 2.4 points with a chance of 80%, and nothing "
        "but the seeds made its mean uncertain. How many seeds does it need for 0.8 points?",
        27,
        tolerance=1e-6,
        wrong=[
            (9, "Three times the seeds shrink the uncertainty by √3 only."),
            (
                3,
                "With three it is 2.4. The uncertainty of a mean falls with the square root of their number.",
            ),
            (81, "One factor of three too many: 2.4 / 0.8 = 3, squared is 9, times the three seeds."),
        ],
        right="Nine times the seeds for a third of the uncertainty. Small effects are dear.",
        solution="The uncertainty of a mean of n seeds falls like 1/√n. For a third of it: 3² = 9 times the seeds, "
        "27. This is why a laptop that sees nothing has not shown that there is nothing.",
        minutes=4,
        difficulty="medium",
    ),
}
