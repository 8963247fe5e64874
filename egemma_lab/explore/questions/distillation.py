"""Exercises of notebook 04: distances by hand, a cut teacher, the size of a cache, whose index it is."""

import math

from egemma_lab.explore.exercises import Exercise

QUESTIONS = {
    "distance_by_hand": Exercise(
        "The student gives a text the vector `[0.8, 0.6]`, the teacher `[0, 1]`. What is its part of the matching loss "
        'with `distance="l2"`?',
        math.sqrt(0.8),
        wrong=[
            (0.8, 'That is the squared distance, 0.64 + 0.16; "l2" takes its root.'),
            (0.4, 'That is 1 − cos, the distance "cosine".'),
            (0.6, "That is the cosine of the two; a distance was asked."),
            (1.2, "That adds up the differences without squaring them, the L1 distance."),
            (math.sqrt(2), "That is the distance at a right angle; these two have the cosine 0.6."),
        ],
        right="√(0.8² + 0.4²).",
        solution="The difference is [0.8, −0.4], its squared length 0.64 + 0.16 = 0.8, its length √0.8, about 0.894. "
        "Or with the cosine 0.6: √(2 − 2 · 0.6).",
        minutes=2,
        difficulty="easy",
    ),
    "loss_of_an_ignorant_student": Exercise(
        'All three sides are matched with `distance="l2"`: query, positive, hard negative. The student\'s vectors have '
        "nothing to do with the teacher's, all cosines between them are 0. What is L_D?",
        3 * math.sqrt(2),
        wrong=[
            (math.sqrt(2), "That is one side. The three parts are added up, not averaged."),
            (6, 'That is the squared distance, 2 a side; "l2" takes the root of each before the sum.'),
            (
                3,
                "That would be 1 a side: 1 − cos. The distance of two unit vectors at a right angle is larger.",
            ),
            (2 * math.sqrt(2), "Two sides; the paper matches the hard negative as well."),
            (0, "0 would be a student that says what the teacher says."),
            (math.sqrt(6), "The parts are added after the roots, not before."),
        ],
        right="√2 a side, and three sides.",
        solution="Unit vectors at a right angle have the distance √(1 + 1) = 1.414. L_D adds the mean distances of the "
        "three sides with equal weight: 3 · 1.414 = 4.243.",
        minutes=3,
        difficulty="easy",
    ),
    "cosine_behind_a_distance": Exercise(
        "A student ends with the distance 0.6 to its teacher, for every text. What is the cosine between its vectors "
        "and the teacher's?",
        0.82,
        wrong=[
            (0.4, "1 − 0.6 takes the distance for 1 − cos. Square it first."),
            (0.64, "1 − 0.36: the squared distance is 2 − 2 cos, so half of 0.36 is taken from 1."),
            (0.8, "That is √(1 − 0.36), the other side of a right triangle. The angle is not in such a one."),
            (0.7, "1 − 0.6 / 2: the distance has to be squared."),
            (0.36, "That is the squared distance; it equals 2 − 2 cos."),
            (0.6, "A distance of 0.6 is no cosine of 0.6: near the teacher distances fall slowly."),
        ],
        right="0.6² = 2 − 2 cos.",
        solution="For unit vectors ‖s − t‖² = 2 − 2 cos, so cos = 1 − 0.36 / 2 = 0.82. A cosine of 0.99 is still a "
        "distance of 0.14.",
        minutes=3,
        difficulty="medium",
    ),
    "a_cut_teacher": Exercise(
        "A teacher's vector is `[2, 1, 2] / 3`. The student has two numbers. What is the target, cut plainly? Answer "
        "with a list of two numbers.",
        (2 / math.sqrt(5), 1 / math.sqrt(5)),
        wrong=[
            (
                (2 / 3, 1 / 3),
                "That has the length √5 / 3. A unit vector can never reach it: divide by its length.",
            ),
            ((2, 1), "That is the direction; a target has length 1, as the student's vectors have."),
            ((2 / 3, 2 / 3), "A plain cut keeps the first two numbers, not the largest two."),
            (
                (1 / math.sqrt(2), 1 / math.sqrt(2)),
                "A plain cut keeps the first two numbers, not the largest two.",
            ),
            ((2 / 5, 1 / 5), "Divided by the squared length; take the length, √5."),
        ],
        right="The first two numbers, divided by their length √5.",
        solution="Kept are [2, 1] / 3; their length is √5 / 3. Divided by it: [2, 1] / √5, about [0.894, 0.447]. "
        "`teacher.cut(2)` does both steps.",
        minutes=3,
        difficulty="easy",
    ),
    "size_of_a_cache": Exercise(
        "A million training rows, each with query, positive and hard negative, all texts different. The teacher's "
        "vectors have 768 numbers, kept in float16. How many gigabytes (10⁹ bytes) of vectors is that?",
        4.608,
        wrong=[
            (9.216, "That is float32, four bytes a number; float16 has two."),
            (1.536, "That is one text a row; there are three."),
            (3.072, "That is two texts a row; the hard negative is matched as well."),
            (2.304, "A byte a number; float16 has two."),
            (4_608_000_000, "Right in bytes; gigabytes were asked."),
            (36.864, "16 is the number of bits; there are 8 in a byte."),
        ],
        right="3 million texts, 768 numbers each, 2 bytes a number.",
        solution="3 · 10⁶ · 768 · 2 bytes = 4.608 · 10⁹ bytes. The cache keeps another 16 bytes a text, by which it "
        "knows it: 0.05 GB.",
        minutes=3,
        difficulty="easy",
    ),
    "which_index_again": Exercise(
        "An asymmetric search: the teacher made the index of the documents, the student turns the questions into "
        "vectors. You train the student further, on more questions, with the same targets. Which index has to be made "
        'anew? Answer "none", "documents", "questions" or "both".',
        "none",
        wrong=[
            ("documents", "The documents' vectors are the teacher's, and the teacher has not changed."),
            ("questions", "Questions are not kept: each gets its vector when it is asked."),
            ("both", "Who made the vectors in the index? That one has not changed."),
        ],
        right="The index belongs to the teacher. That is the second reason to search so, beside the better documents.",
        solution="none. The documents' vectors are the teacher's and stay; questions are encoded when they are asked. "
        "In a symmetric search every new student needs all documents again.",
        minutes=2,
        difficulty="medium",
    ),
}
