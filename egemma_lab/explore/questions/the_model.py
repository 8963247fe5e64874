"""Exercises of notebook 02: a norm by hand, the window, the mean, the Dense layers, masked spans."""

from egemma_lab.explore.exercises import Exercise

QUESTIONS = {
    "rms_norm_by_hand": Exercise(
        "Gemma's RMSNorm of the vector `[1, 7]`, with the stored weight `[0, 1]`? Answer with a list of two numbers; "
        "the tiny eps may be left out.",
        (0.2, 2.8),
        wrong=[
            ((0, 1.4), "The stored weight w is not the factor: Gemma multiplies by 1 + w."),
            ((0.2, 1.4), "The division is right; now each number still takes its factor 1 + w."),
            ((-1, 2), "That takes the mean away first, as LayerNorm does. RMSNorm does not."),
            (
                (0.1414, 1.9799),
                "That divides by the length √50. RMSNorm divides by the root of the mean square, √25.",
            ),
            ((1, 14), "The factors 1 + w are right; the division by the root mean square is missing."),
            ((0.04, 0.56), "That divides by the mean square, 25; take its root."),
        ],
        right="√((1 + 49) / 2) = 5, so [1/5, 7/5], times the factors [1, 2].",
        solution="Mean square: (1² + 7²) / 2 = 25, its root is 5. Divided: [0.2, 1.4]. Factors 1 + w: [1, 2]. "
        "Result: [0.2, 2.8].",
        minutes=4,
        difficulty="easy",
    ),
    "window_of_a_middle_token": Exercise(
        "The configuration file says `sliding_window: 512`, and attention is bidirectional. A text has 2,000 tokens. "
        "How many of them can a token in its middle look at in a sliding layer, itself included?",
        513,
        wrong=[
            (512, "256 to the left and 256 to the right make 512; the token sees itself as well."),
            (257, "That is the exclusive bound that transformers keeps, and it holds to each side."),
            (256, "That is one side. There are two, and the token itself."),
            (1023, "512 to each side is what some ports make of the number; it is halved first."),
            (1025, "512 to each side is what some ports make of the number; it is halved first."),
            (511, "Half of 512 to each side, and the token itself: count again."),
            (2000, "That is what it sees in a full layer."),
        ],
        right="256 before it, itself, 256 after it.",
        solution="The stored 512 is split into halves: 256 to each side (transformers keeps 512 // 2 + 1 = 257 and "
        "asks for a distance below it). 256 + 1 + 256 = 513.",
        minutes=3,
        difficulty="medium",
    ),
    "a_mean_with_padding": Exercise(
        "Three tokens have the states `[2, 0]`, `[4, 6]` and `[9, 9]`. The third is padding: its mask is 0. What does "
        "mean pooling give? Answer with a list of two numbers.",
        (3, 3),
        wrong=[
            ((5, 5), "Padding took part in the mean. It must not: it is not in the text."),
            ((2, 2), "The sum is right, but it is divided by 3; only two tokens are real."),
            ((6, 6), "That is the sum of the real tokens; divide it by how many there are."),
            ((9, 9), "That is the padding itself, the one token that does not count."),
            ((2, 0), "That is the first token alone; other models pool so, this one takes the mean."),
        ],
        right="([2, 0] + [4, 6]) / 2.",
        solution="Only the real tokens count, in the sum and in the number to divide by: [(2 + 4) / 2, (0 + 6) / 2] = "
        "[3, 3]. A model that forgets this gives a text another vector in every batch.",
        minutes=2,
        difficulty="easy",
    ),
    "one_matrix_for_two": Exercise(
        "In EmbeddingGemma the two Dense layers go from 768 to 3,072 numbers and back to 768. How many times fewer "
        "weights has the one matrix that does the same?",
        8,
        wrong=[
            (4, "That compares with one of the two layers. Both together go into the one matrix."),
            (1 / 8, "The other way round: how many times fewer has the one matrix?"),
            (2, "Not the number of matrices is asked but the weights in them."),
            (589_824, "That is how many the one matrix has, 768 · 768. How many times more have the two?"),
            (4_718_592, "That is how many the two layers have together; divide by 768 · 768."),
            (16, "3,072 is four times 768, and that factor stands in each of the two layers once: 4 + 4."),
        ],
        right="2 · 768 · 3,072 weights against 768 · 768.",
        solution="768 · 3,072 + 3,072 · 768 = 4,718,592 weights in two layers, 768 · 768 = 589,824 in their product: a "
        "factor of 8.",
        minutes=3,
        difficulty="easy",
    ),
    "what_the_decoder_must_say": Exercise(
        "The text `a b c d e f` loses the spans `b c` and `f`. With sentinels written `<0>` and `<1>`, the encoder "
        "reads `a <0> d e <1>`. What must the decoder say? Answer with one string, everything separated by single "
        "spaces, `<eos>` last.",
        "<0> b c <1> f <eos>",
        wrong=[
            ("b c f <eos>", "Without its sentinel nobody knows which gap a span belongs into."),
            ("<0> b c <1> f", "Nearly: the decoder also has to say that it is done, with `<eos>`."),
            ("a b c d e f <eos>", "What the encoder reads need not be said again; only what is missing."),
            ("a <0> d e <1>", "That is what the encoder reads; the decoder says what is missing there."),
            ("b c <0> f <1> <eos>", "The sentinel goes first: it announces which gap is filled next."),
            ("<0> b <0> c <1> f <eos>", "One sentinel stands for a whole span, not for each of its tokens."),
        ],
        right="Each sentinel announces its gap, then come the tokens that stood there.",
        solution="First gap: `<0> b c`. Second gap: `<1> f`. Then the end: `<0> b c <1> f <eos>`. Putting each span "
        "into its gap gives the text back, which `restore` in `egemma_lab.train.denoising` does.",
        minutes=4,
        difficulty="medium",
    ),
}
