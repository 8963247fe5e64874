"""Exercises of notebook 07: codes of a vector and of a block of weights, bytes, and the gradient past a rounding."""

from egemma_lab.explore.exercises import Exercise

QUESTIONS = {
    "code_of_a_number": Exercise(
        "One dimension of the stored vectors ranges from −0.4 to 0.6. Which `int8` code does the value 0.3 get? The "
        "range is divided into 255 buckets, a code is the number of the bucket, rounded down, less 128.",
        50,
        tolerance=1e-6,
        wrong=[
            (178, "That is the bucket's number, the code of uint8. For int8 subtract 128."),
            (51, "Codes are rounded down: 178.5 is in bucket 178."),
            (50.5, "A code is a whole number: round the bucket's number down first."),
            (-52, "Buckets are counted from the smallest value of the range, −0.4, not from 0."),
            (0.7, "That is how far 0.3 lies along the range. Which of the 255 buckets is that?"),
        ],
        right="(0.3 + 0.4) · 255 = 178.5, so bucket 178, and 178 − 128 = 50. It will be read as the middle of its "
        "bucket.",
        solution="The range is 1 wide, a bucket 1/255. From −0.4 to 0.3 it is 0.7, which is 178.5 buckets: bucket "
        "number 178. As int8: 178 − 128 = 50.",
        minutes=3,
        difficulty="easy",
    ),
    "bytes_of_an_index": Exercise(
        "EmbeddingGemma's vectors have 768 numbers and may be cut to 512, 256 or 128. Twenty million of them are to be "
        "found by their bits and ordered anew against an `int8` copy, both of the same width, in at most 6 GB "
        "(10⁹ bytes). Which is the widest width that fits?",
        256,
        tolerance=1e-6,
        wrong=[
            (
                768,
                "The bits alone would fit, in 1.9 GB. The copy takes eight times as much: a byte a number.",
            ),
            (512, "512 bits are 64 bytes, the copy is 512 more: times twenty million that is 11.5 GB."),
            (128, "It fits, in 2.9 GB. The next wider one fits as well."),
            (
                lambda answer: 260 < float(answer) < 270,
                "So many numbers would fill the budget. The widths it was trained for are 768, 512, 256 and 128.",
            ),
        ],
        right="32 + 256 = 288 bytes a vector, 5.76 GB. In float32 the same vectors would take 20 GB.",
        solution="At width m the bits are m / 8 bytes and the copy is m: 9/8 · m. 6 · 10⁹ / (2 · 10⁷) = 300 bytes a "
        "vector allow m up to 266, so 256.",
        minutes=4,
        difficulty="easy",
    ),
    "weight_in_a_block": Exercise(
        "In a block of Q4_0 the weight of largest magnitude is 6.0. As which number is the weight −5.8 read back? The "
        "scale is the largest weight, sign and all, divided by −8; codes are the nearest whole numbers from −8 to 7.",
        -5.25,
        tolerance=1e-6,
        wrong=[
            (7, "That is its code. Times the scale, please."),
            (-6, "With a scale of 6 / −8 it would need the code 8, and the largest is 7."),
            (5.25, "The scale is 6.0 / −8, which is negative."),
            (-5.8, "Only whole multiples of the scale can be read back."),
            (-0.75, "That is the scale, the distance between two neighbours."),
            (0.75, "That is the scale, but for its sign: the distance between two neighbours."),
        ],
        right="Scale −0.75, and 7.73 would round to 8, which four bits do not have: code 7, read back as −5.25. The "
        "largest weight is kept exactly; one nearly as large on the other side is off by up to a whole scale.",
        solution="Scale: 6 / −8 = −0.75. −5.8 / −0.75 = 7.73, rounded 8, clipped to 7. Read back: 7 · (−0.75) = −5.25.",
        minutes=4,
        difficulty="medium",
    ),
    "size_of_a_model": Exercise(
        "Q4_0 stores blocks of 32 weights: 4 bits each, and one scale of 16 bits. How many megabytes (10⁶ bytes) do "
        "308 million weights take?",
        308 * 4.5 / 8,
        wrong=[
            (154, "The scales are missing: 16 bits for every 32 weights."),
            (308 * 20 / 8, "The 16 bits of a scale are shared by the 32 weights of its block."),
            (308 * 4.5, "Those are megabits; a byte has eight."),
            (308 * 8.5 / 8, "That is Q8_0, with 8 bits a weight."),
            (1232, "That is float32, four bytes a weight."),
        ],
        right="4.5 bits a weight: 173 MB, where bfloat16 takes 616.",
        solution="A block takes 32 · 4 + 16 = 144 bits, 4.5 bits a weight. 308 million · 4.5 / 8 = 173 million bytes.",
        minutes=4,
        difficulty="easy",
    ),
    "gradient_past_a_rounding": Exercise(
        "A weight w = 1.2 is rounded to a whole number before use, and the loss is (3 · round(w) − 5)². Which gradient "
        "does w get with the straight-through estimator?",
        -12,
        tolerance=1e-6,
        wrong=[
            (
                0,
                "That is the true derivative: round is flat almost everywhere. The estimator does as if it were not.",
            ),
            (-8.4, "The loss is computed with the rounded weight: 3 · 1 − 5, not 3 · 1.2 − 5."),
            (-4, "The chain rule has one more factor: 3, from 3 · round(w)."),
            (12, "Mind the sign: 3 · 1 lies below 5."),
            (-6, "The derivative of a square has a factor of 2."),
            (4, "That is the loss itself."),
        ],
        right="2 · (3 − 5) · 3, the rounded weight's gradient, handed on unchanged. Descent raises w until it "
        "rounds to 2.",
        solution="Forward: round(1.2) = 1, loss (3 − 5)² = 4. The gradient with respect to the rounded weight is "
        "2 · (3 − 5) · 3 = −12. Straight through: w gets the same, as if the rounding were the identity.",
        minutes=5,
        difficulty="hard",
    ),
}
