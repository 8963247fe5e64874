"""Embedding matching: pull the student's vector to the teacher's vector of the same text."""

import torch
import torch.nn.functional as F

from ._vectors import in_full_precision, rows

DISTANCES = ("l2", "squared_l2", "cosine")


@in_full_precision
def embedding_matching_loss(student, teacher, distance="l2"):
    """Mean over rows of the distance between student and teacher vectors; L_D = L_D^Q + L_D^P+ + L_D^P−.

    One call is one of the three parts: the paper matches queries, positives and hard negatives, each with the
    same weight (`RecipeLoss` adds them up).

    What the paper leaves open: it prints no formula for the distance. EmbedDistill, on which it builds,
    writes a norm, hence "l2" here; whether the published runs squared it is not known. Nor does it print the
    teacher's width; a Matryoshka teacher cut to the student's width and re-normalised is the obvious target.

    - "l2": ‖s − t‖, between 0 and 2 for unit rows. Its pull is as strong near the teacher as far away.
    - "squared_l2": ‖s − t‖², between 0 and 4; the pull fades as the student arrives.
    - "cosine": 1 − cos(s, t), half the squared distance of unit rows.

    Args:
        student: (B, d) tensor; teacher: (B, d) tensor, no gradient flows into it. Taken as they are: unit
            rows expected ("cosine" normalises them itself).

    Returns a scalar in float32 or better; 0 for student = teacher, where the gradient of "l2" is 0 as well.
    Raises ValueError for an unknown distance and for a teacher of another width.

    Source: EmbeddingGemma, arXiv 2509.20354, equation 5; EmbedDistill, arXiv 2301.12005.

    >>> embedding_matching_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), "squared_l2").item()
    2.0
    """
    check_distance(distance)
    student, teacher = rows(same_width=False, student=student, teacher=teacher)
    if student.shape[1] != teacher.shape[1]:
        raise ValueError(
            f"the student's vectors have width {student.shape[1]}, the teacher's {teacher.shape[1]}; cut a "
            f"wider teacher with teacher.cut({student.shape[1]}), or give the student the teacher's width"
        )
    teacher = teacher.detach()
    if distance == "cosine":
        return (1 - F.cosine_similarity(student, teacher, dim=1)).mean()
    difference = student - teacher  # (B, d)
    if distance == "squared_l2":
        return difference.square().sum(dim=1).mean()
    return torch.linalg.vector_norm(difference, dim=1).mean()


def check_distance(distance):
    if distance not in DISTANCES:
        raise ValueError(f"distance={distance!r} is not one of {', '.join(map(repr, DISTANCES))}")
