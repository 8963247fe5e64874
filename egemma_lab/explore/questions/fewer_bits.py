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
        "Ten million vectors of width 256 are held as bits, with an int8 copy beside them for the second look. How "
        "many gigabytes (10⁹ bytes) is that?",
        2.88,
        wrong=[
            (0.32, "Those are the bits alone: 32 bytes a vector. The copy has a byte a dimension."),
            (2.56, "That is the copy alone. The bits take 32 bytes a vector more."),
            (10.24, "That is float32, four bytes a dimension."),
            (10.56, "The copy is in int8, a byte a dimension, not in float32."),
            (5.12, "A bit is an eighth of a byte: 256 bits are 32 bytes."),
            (lambda answer: 2.6 < float(answer) < 2.7, "A gigabyte has 10⁹ bytes here, not 2³⁰."),
        ],
        right="32 + 256 = 288 bytes a vector, less than a third of float32.",
        solution="Bits: 256 / 8 = 32 bytes. int8: 256 bytes. Together 288 bytes, times ten million: 2.88 GB.",
        minutes=3,
        difficulty="easy",
    ),
    "weight_in_a_block": Exercise(
        "In a block of Q4_0 the weight of largest magnitude is −4.0. As which number is the weight 1.3 read back? The "
        "scale is the largest weight, sign and all, divided by −8; codes are the nearest whole numbers from −8 to 7.",
        1.5,
        wrong=[
            (3, "That is its code. Times the scale, please."),
            (1.0, "1.3 / 0.5 = 2.6 is nearer to 3 than to 2."),
            (1.3, "Only whole multiples of the scale can be read back."),
            (-1.5, "The scale is −4 / −8, which is positive."),
            (0.5, "That is the scale, the distance between two neighbours."),
            (8 / 7, "The scale divides by 8: it is chosen so that the largest weight gets −8 exactly."),
        ],
        right="Scale 0.5, code 3. The largest weight gets −8 and is kept exactly. Others are off by up to half a "
        "scale, and by up to a whole one near the end where the code 8 is missing.",
        solution="Scale: −4.0 / −8 = 0.5. 1.3 / 0.5 = 2.6, rounded 3. Read back: 3 · 0.5 = 1.5.",
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
        "A weight w = 1.2 is rounded to a whole number before use, and the loss is (round(w) − 1.6)². Which gradient "
        "does w get with the straight-through estimator?",
        -1.2,
        wrong=[
            (
                0,
                "That is the true derivative: round is flat almost everywhere. The estimator does as if it were not.",
            ),
            (-0.8, "The loss is computed with the rounded weight: 2 (1 − 1.6), not 2 (1.2 − 1.6)."),
            (1.2, "Mind the sign: the rounded weight lies below 1.6."),
            (-0.6, "The derivative of a square has a factor of 2."),
            (0.36, "That is the loss itself."),
        ],
        right="2 (1 − 1.6), the rounded weight's gradient, handed on unchanged. Descent raises w until it rounds to 2.",
        solution="Forward: round(1.2) = 1, loss (1 − 1.6)² = 0.36. The gradient with respect to the rounded weight is "
        "2 (1 − 1.6) = −1.2. Straight through: w gets the same, as if the rounding were the identity.",
        minutes=5,
        difficulty="hard",
    ),
}
