"""Exercises of notebook 10: a score by hand, how sure it is, what vectors weigh, what a server must be sent."""

import math

from egemma_lab.explore.exercises import Exercise

QUESTIONS = {
    "ndcg_of_a_third_place": Exercise(
        "A question has one right text, and the search finds it in third place. The gain of a place is "
        "1/log2(place + 1), and nDCG@10 divides what was gained by what the best order would gain. What is the "
        "nDCG@10 of this question?",
        0.5,
        wrong=[
            (1 / 3, "That is the reciprocal rank, MRR's part. nDCG discounts by the logarithm."),
            (1 / math.log2(3), "That is the gain of second place: log2(place + 1) with place 3 is log2 4."),
            (1 / math.log(4), "The logarithm is to base 2; this is the natural one."),
            (2, "log2 4 = 2 is what is divided by."),
            (1, "That is the best order's gain, a first place: 1/log2 2."),
            (0, "It is found among the first ten, so something was gained."),
        ],
        right="1/log2 4 = 1/2, divided by 1/log2 2 = 1.",
        solution="The third place gains 1/log2(3 + 1) = 1/2. The best order has the text first and gains 1/log2 2 = 1. "
        "The ratio is 0.5; MRR would give 1/3.",
        minutes=3,
        difficulty="easy",
    ),
    "questions_for_a_narrow_interval": Exercise(
        "40 questions give a mean score of 0.70 with a 95% interval from 0.58 to 0.82. The width of an interval "
        "shrinks with the square root of the number of questions. How many questions, of the same kind, would "
        "bring it down to 0.67 to 0.73?",
        640,
        wrong=[
            (160, "Four times narrower needs more than four times as many: the root of 4 is 2."),
            (80, "Twice as many questions make it narrower by the root of 2 only."),
            (2560, "From plus or minus 0.12 to plus or minus 0.03 is four times narrower, not eight times."),
            (600, "That is how many more are needed; 40 there are already."),
            (16, "That is the factor: 4 squared. Times the 40 questions there are."),
        ],
        right="Four times narrower, sixteen times as many.",
        solution="From ±0.12 to ±0.03 is a factor of 4. The width goes with 1/√n, so n must grow by 4² = 16: 16 · "
        "40 = 640.",
        minutes=4,
        difficulty="medium",
    ),
    "weight_of_ten_million": Exercise(
        "Ten million documents, vectors of width 256. They are found by their bits, and an int8 copy is kept "
        "beside these for a second look. How many GB (10⁹ bytes) are that?",
        2.88,
        wrong=[
            (0.32, "That is the bits alone: 32 bytes a vector. The copy is missing."),
            (2.56, "That is the int8 copy alone: 256 bytes a vector. The bits are missing."),
            (10.24, "That is float32: 1,024 bytes a vector."),
            (5.12, "int8 takes one byte a number, not two, and bits an eighth of a byte."),
            (288, "That is the bytes of one vector. Times ten million, in GB."),
            (2.68, "That is in GiB (2³⁰ bytes); the question is about GB (10⁹ bytes)."),
        ],
        right="32 + 256 = 288 bytes a vector, instead of 1,024.",
        solution="256 bits are 32 bytes, 256 numbers of one byte are 256 bytes: 288 a vector, times 10⁷ is 2.88 · "
        "10⁹ bytes.",
        minutes=3,
        difficulty="easy",
        tolerance=1e-3,
    ),
    "what_the_server_must_be_sent": Exercise(
        "A llama.cpp server runs EmbeddingGemma, exported as a GGUF file. It knows no prompts. Somebody searches for "
        "`how do plants drink?`; which text must the program send to the server to get the vector of this question?",
        "task: search result | query: how do plants drink?",
        wrong=[
            (
                "how do plants drink?",
                "That text gets a vector, but not the one that documents were compared with in training: its "
                "prompt is missing.",
            ),
            (
                "title: none | text: how do plants drink?",
                "That is the prompt of a document; this is a question.",
            ),
            (
                "query: how do plants drink?",
                "The prompt names the task as well: look at `nano.prompts['query']`.",
            ),
            (
                "task: search result | query:how do plants drink?",
                "Nearly: the blank behind the colon belongs to the prompt, and changes the tokens.",
            ),
            (
                "task: sentence similarity | query: how do plants drink?",
                "That prompt is for comparing two texts of the same kind; a search has its own.",
            ),
        ],
        right="The prompt is part of the text, and whoever sends it must put it there.",
        solution="`nano.prompts['query'] + question`. encode_query does that; a server does not.",
        minutes=2,
        difficulty="easy",
    ),
}
