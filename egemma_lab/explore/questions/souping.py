"""Exercises of notebook 08: what an average of weights does, greedy soups, drawn mixtures, the luck of the best."""

from egemma_lab.explore.exercises import Exercise

QUESTIONS = {
    "soup_in_a_bowl": Exercise(
        "A model has one weight θ and the loss θ². Two finetunings of it ended at θ = 2 and θ = −1. What is the loss "
        "of their plain soup?",
        0.25,
        wrong=[
            (
                2.5,
                "That is the mean of the two losses, 4 and 1. A soup averages the weights, then takes the loss.",
            ),
            (0.5, "That is the soup's weight, (2 − 1) / 2. Its loss is that weight squared."),
            (1, "That is the better of the two models. The soup lies between them, nearer to the bottom."),
            (
                0,
                "That is the bottom of the bowl, at θ = 0. The average of 2 and −1 does not quite reach it.",
            ),
            (
                2.25,
                "That is the gain, the mean of the losses less the soup's. Asked is the soup's own loss.",
            ),
        ],
        right="θ = 0.5, and 0.5² = 0.25: below both ingredients, since they lie on opposite sides of the bottom.",
        solution="The soup's weight is (2 + (−1)) / 2 = 0.5, its loss 0.5² = 0.25. The mean of the two losses is 2.5. "
        "In a bowl the soup is always below that mean; below the better one only where the two err in different "
        "directions.",
        minutes=2,
        difficulty="easy",
    ),
    "four_in_a_soup": Exercise(
        "Four finetunings of one model ended around the bottom of the same bowl-shaped valley, in directions that have "
        "nothing to do with each other, each with a loss 0.12 above the bottom. How far above the bottom do you expect "
        "their plain soup?",
        0.03,
        wrong=[
            (
                0.12,
                "So far above lies each of them. Their errors point in different directions and partly cancel.",
            ),
            (
                0.06,
                "Divided by √4: the distance from the bottom halves. In a bowl the loss is the distance squared.",
            ),
            (
                0.0075,
                "Divided by 16. The distance shrinks by √4, and its square, which is the loss, by 4.",
            ),
            (0.48, "That is the sum. An average of errors that point anywhere is smaller than each."),
            (0, "They cancel only in part: that would take four errors whose sum is exactly 0."),
        ],
        right="The mean of k independent errors has a k-th of their mean square, and in a bowl that is the loss: "
        "0.12 / 4.",
        solution="Write each model as bottom + error. The soup's error is the mean of the four; as they are at right "
        "angles to each other on average, its squared length is a quarter of theirs, and the loss above the bottom is "
        "proportional to it: 0.12 / 4 = 0.03. What the errors have in common, one training set for instance, no soup "
        "takes away.",
        minutes=4,
        difficulty="medium",
    ),
    "greedy_by_hand": Exercise(
        "Three models have the development scores A 0.70, B 0.68 and C 0.66. Their averages score: A and B 0.69, A "
        "and C 0.71, B and C 0.72, all three 0.70. Which models are in the greedy soup? Answer with a set of letters, "
        "such "
        'as {"A", "B"}.',
        frozenset("AC"),
        wrong=[
            (
                frozenset("A"),
                "B is turned down, and rightly. The recipe then goes on and tries C with what it has.",
            ),
            (frozenset("AB"), "With B the score would fall from 0.70 to 0.69, so B does not join."),
            (
                frozenset("ABC"),
                "That is the plain soup. Greedy keeps only what does not make the average worse.",
            ),
            (
                frozenset("BC"),
                "That would be the best pair. Greedy begins with the best single model, A, and never lets it go.",
            ),
            (frozenset("C"), "The first ingredient is the model with the best score of its own."),
        ],
        right="A begins; B would lower 0.70 to 0.69 and stays out; C lifts it to 0.71. The best pair, B and C, is "
        "missed.",
        solution="Sorted by their own scores: A, B, C. A is in. A and B: 0.69 < 0.70, so B is out. A and C: 0.71 ≥ "
        "0.70, so C is in. Greedy looks at k averages instead of all 2^k − 1, and so misses B and C with 0.72.",
        minutes=3,
        difficulty="easy",
    ),
    "share_above_a_floor": Exercise(
        "A search over four sources keeps every source at a share of at least 0.05. The Dirichlet distribution has "
        "drawn 0.5 for the first one. The draw is squeezed so that all shares stay above the floor and still sum to "
        "1. Which share does the first source get?",
        0.45,
        wrong=[
            (0.5, "That is the draw itself. Lifting the other sources off 0 must take something from it."),
            (0.55, "The floor alone is added; then the four shares would sum to 1.2."),
            (
                0.525,
                "What is left to distribute is 1 less *four* floors, not one: every source gets its own first.",
            ),
            (0.4, "That is the drawn part of what is left, 0.5 · 0.8. The source's floor comes on top."),
            (
                0.3,
                "0.05 less for each of four floors; its own floor it keeps, and the draw takes half of the rest.",
            ),
        ],
        right="0.05 for being there, and half of the 1 − 4 · 0.05 that are left: 0.05 + 0.5 · 0.8.",
        solution="Each of the four sources gets its 0.05, together 0.2. The remaining 0.8 are shared out as drawn, "
        "half of them to the first: 0.05 + 0.5 · 0.8 = 0.45.",
        minutes=3,
        difficulty="easy",
    ),
    "luck_of_the_best": Exercise(
        "Ten mixtures are exactly equally good. Each is measured on the development set with an error of its own whose "
        "standard deviation is 0.01. You take the one that measured best. By how much does its measured score "
        "overstate the truth, on average? Answer to within 0.001; three lines of numpy are allowed.",
        0.0154,
        wrong=[
            (
                0,
                "Each single score is right on average. The largest of ten is not: it was chosen for its luck.",
            ),
            (0.01, "So far off is a typical one of the ten. The largest of them lies further out."),
            (
                0.01 / 10**0.5,
                "That is the error of their mean, which shrinks with their number. The largest grows with it.",
            ),
            (0.1, "Ten times the deviation would be their sum if all erred alike. You take one."),
            (0.02, "Two deviations is where one in forty lies. The largest of ten is not quite so far out."),
        ],
        right="The largest of ten errors is 1.54 deviations above 0 on average. So one set chooses and another one "
        "judges.",
        solution="`np.random.default_rng(0).normal(0, 0.01, (100_000, 10)).max(axis=1).mean()` gives 0.0154. The more "
        "mixtures are tried on one development set, the more the best of them owes to luck.",
        minutes=4,
        difficulty="medium",
    ),
}
