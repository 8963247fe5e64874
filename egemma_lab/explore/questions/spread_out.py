"""Exercises of notebook 05: second moments by hand, what random gives, the Welch bound, what bits keep of a cone."""

from egemma_lab.explore.exercises import Exercise

QUESTIONS = {
    "second_moment_by_hand": Exercise(
        "Three queries have the vectors `[1, 0]`, `[0, 1]`, `[0.6, 0.8]`. What is their side of the spread-out "
        "loss, the mean squared dot product of two different rows?",
        1 / 3,
        wrong=[
            (1, "That is the sum over the three pairs; take their mean."),
            (1.4 / 3, "The dot products are squared before the mean is taken."),
            (2 / 9, "Rows are not compared with themselves, so divide by 6 and not by 9."),
            (2, "The sum over i ≠ j, each pair twice. Divide by B (B − 1) = 6."),
            (1 / 6, "Each pair stands in the sum twice, as i, j and as j, i: 2 / 6."),
            (
                5 / 9,
                "The diagonal is in it: three ones. Leave them out of the sum and of the number to divide by.",
            ),
        ],
        right="(0² + 0.6² + 0.8²) / 3.",
        solution="Dot products of the three pairs: 0, 0.6 and 0.8. Their squares: 0, 0.36 and 0.64, with the mean 1/3.",
        minutes=3,
        difficulty="easy",
    ),
    "two_opposite_vectors": Exercise(
        "All texts lie at one of two opposite points of the sphere, half of them at each. What is a side of the "
        "spread-out loss, for very many texts?",
        1,
        wrong=[
            (0, "That is the mean cosine: halves cancel there. Squares do not cancel."),
            (-1, "A mean of squares is never negative."),
            (0.5, "Half of the cosines are 1, half are −1. What are their squares?"),
            (2, "That would be both sides together; one was asked."),
        ],
        right="(−1)² = 1² = 1: to this loss opposite is as bad as equal.",
        solution="Every cosine is 1 or −1, every square 1. The mean cosine of the same cloud is 0: it does not "
        "see this illness, the second moment does.",
        minutes=2,
        difficulty="easy",
    ),
    "what_random_gives": Exercise(
        "The nano's spread-out loss is summed over the widths 256, 128, 64 and 32, and over queries and "
        "positives. Which value has it for independent random directions?",
        2 * (1 / 256 + 1 / 128 + 1 / 64 + 1 / 32),
        wrong=[
            (1 / 256 + 1 / 128 + 1 / 64 + 1 / 32, "That is one side; queries and positives add up."),
            (
                2 / 256,
                "That is the full width alone. Each prefix has a term of its own, and narrow ones weigh most.",
            ),
            (1 / 256, "That is one side at one width."),
            (8, "That is what it is when all texts have one direction."),
        ],
        right="1/d at each width and side.",
        solution="The mean squared cosine of random directions is 1/d. 1/256 + 1/128 + 1/64 + 1/32 = 15/256, twice: "
        "0.117. More than half of it comes from the width 32.",
        minutes=3,
        difficulty="medium",
    ),
    "welch_bound": Exercise(
        "A batch of 1,024 vectors of width 128. Below which value can a side of the spread-out loss not fall, however "
        "well the vectors are spread?",
        896 / (128 * 1023),
        wrong=[
            (
                1 / 128,
                "That is what random directions have. A little less is possible; the bound says how much.",
            ),
            (0, "0 needs all vectors at right angles, and only 128 of them can be, in 128 dimensions."),
            (1 / 1024, "That would be one over the number of vectors."),
            (896 / 1023, "The width is missing below: (B − d) / (d (B − 1))."),
            (2 * 896 / (128 * 1023), "That is both sides together; one was asked."),
        ],
        right="(B − d) / (d (B − 1)).",
        solution="(1024 − 128) / (128 · 1023) = 0.00684, where random directions have 1/128 = 0.00781. The larger the "
        "batch, the nearer the two: for very many vectors the bound is 1/d itself.",
        minutes=3,
        difficulty="easy",
        tolerance=1e-5,
    ),
    "bits_of_a_cone": Exercise(
        "Every vector of a space has a first number of 0.9; the other numbers are small and have random signs. The "
        "vectors are kept as one bit a number, the sign. How many of the 256 bits tell two texts apart, on "
        "average? Answer with a whole number, rounded down.",
        127,
        wrong=[
            (255, "255 numbers have random signs, but two random signs agree half of the time."),
            (
                128,
                "Nearly: the first number has the same sign in all, so its bit never differs. Round 127.5 down.",
            ),
            (256, "The first bit is the same in all texts, and random bits agree half of the time."),
            (1, "The first number, though the largest, has one sign everywhere: its bit tells nothing."),
            (0, "The small numbers have signs too."),
        ],
        right="255 bits with random signs, of which half differ.",
        solution="The first bit is 1 everywhere. The other 255 differ with probability one half: 127.5 on "
        "average. What was "
        "most of the length is one useless bit; had the common part been spread over many numbers, it would have fixed "
        "as many signs, and that is what hurts.",
        minutes=4,
        difficulty="medium",
    ),
}
