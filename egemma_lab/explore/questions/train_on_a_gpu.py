"""Exercises of notebook 09: bytes, bits, passes and shares, worked out before a GPU is paid for."""

from egemma_lab.explore.exercises import Exercise

WEIGHTS = 307_581_696  # of EmbeddingGemma, both Dense layers counted

QUESTIONS = {
    "bytes_of_a_training": Exercise(
        "EmbeddingGemma has 307,581,696 weights. In training each of them, in float32 (4 bytes), comes with its "
        "gradient and with AdamW's two running means, all of the same size. How many GB (10⁹ bytes) is that, "
        "before a single text has been read?",
        16 * WEIGHTS / 1e9,
        wrong=[
            (4 * WEIGHTS / 1e9, "That is the weights alone: enough to encode with, not to train."),
            (8 * WEIGHTS / 1e9, "Weights and gradients; AdamW's two running means are missing."),
            (12 * WEIGHTS / 1e9, "AdamW keeps two numbers a weight: the mean gradient and the mean square."),
            (16 * WEIGHTS / 2**30, "That is in GiB (2³⁰ bytes); the question is about GB (10⁹ bytes)."),
            (16 * WEIGHTS / 1e6, "That is in MB."),
            (16 * WEIGHTS, "That is in bytes; divide by 10⁹."),
        ],
        right="16 bytes a weight: the price of AdamW in float32, whatever the batch.",
        solution="Four numbers a weight (weight, gradient, two means) of four bytes each are 16 bytes; times "
        "307,581,696 that is 4.92 · 10⁹ bytes.",
        minutes=3,
        difficulty="easy",
        tolerance=2e-3,
    ),
    "a_lost_update": Exercise(
        "Between 1 and 2, bfloat16 has the numbers 1, 1.0078125, 1.015625 and so on, in steps of 1/128. A weight "
        "of 1.0 is itself kept in bfloat16, and a thousand updates of +0.001 each are added to it, one after the "
        "other, every sum rounded to the nearest bfloat16. What is the weight in the end?",
        1.0,
        wrong=[
            (2.0, "That is what exact numbers give. Each single sum is rounded before the next one."),
            (1.9921875, "Look at the very first sum: what is 1.001 rounded to a multiple of 1/128?"),
            (1.0078125, "For one step up the sum would have to be nearer to 1.0078125 than to 1."),
            (1.001, "1.001 is no bfloat16 number, and neither is anything else between 1 and 1.0078125."),
            (0, "Nothing is taken away: the weight is at least where it began."),
        ],
        right="Every update is rounded away: this is why weights and AdamW's means stay in float32.",
        solution="1 + 0.001 lies between 1 and 1.0078125, nearer to 1, so it is rounded to 1: nothing has "
        "happened. The same a thousand times. In float32 the sum is 2.0, but for the last digits.",
        minutes=4,
        difficulty="medium",
        tolerance=1e-5,
    ),
    "passes_of_cache_and_checkpointing": Exercise(
        "Say a forward pass costs 1 and a backward pass 2, so that a plain step costs 3. The gradient cache "
        "encodes everything once without a graph, before the step proper. Checkpointing repeats the forward pass "
        "during the backward pass. How many times as long as a plain step does a step with **both** take?",
        5 / 3,
        wrong=[
            (4 / 3, "That is one of the two. Each of them adds a forward pass of its own."),
            (5, "That is the cost. The question is how many times a plain step's, which is 3."),
            (2, "Each adds one forward pass of cost 1, not half a step."),
            (16 / 9, "The costs add up: the second does not repeat what the first one added."),
            (1, "Memory is saved by computing twice, so it does take longer."),
            (5 / 4, "That compares with a step that has one of them; compare with a plain step."),
        ],
        right="1 (without a graph) + 1 (with) + 1 (repeated) + 2 (backward), over 3.",
        solution="Plain: 1 + 2 = 3. Cache: 1 more for the vectors, 4. Checkpointing: 1 more within the backward "
        "pass. Both: 5, and 5/3 = 1.67.",
        minutes=4,
        difficulty="medium",
        tolerance=5e-3,
    ),
    "negatives_on_four_gpus": Exercise(
        "`Recipe(batch_size=256)` is started on four GPUs with `accelerate launch`. Each encodes its share, and the "
        "vectors are gathered before the loss. Among how many positives does a query look for its own?",
        256,
        wrong=[
            (
                64,
                "That is the share one process encodes. The vectors of all four are gathered before the loss.",
            ),
            (1024, "`batch_size` counts all processes together: nothing is multiplied."),
            (255, "Those are the wrong ones: its own positive is a choice as well."),
            (63, "Those are the other pairs of a share; the loss sees all four shares."),
            (4, "That is the number of processes."),
        ],
        right="The exam is as hard as on one GPU, whatever their number.",
        solution="4 · 64 = 256. Each process computes the loss of the whole batch, back-propagates into its own 64 "
        "pairs, and the four gradients add up to that of the whole.",
        minutes=2,
        difficulty="easy",
    ),
}
