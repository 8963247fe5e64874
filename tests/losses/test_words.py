"""L_W against plain loops, by hand, and its gradient."""

import pytest
import torch

from egemma_lab.losses import word_matching_loss, word_means

generator = torch.Generator().manual_seed(0)
student = torch.randn(7, 4, generator=generator, dtype=torch.float64)
teacher = torch.randn(6, 4, generator=generator, dtype=torch.float64)
student_words = torch.tensor([-1, 0, 0, 1, 2, 2, 2])
teacher_words = torch.tensor([0, 1, 1, 2, -1, -1])


def oracle(distance):
    total = 0.0
    for word in range(3):
        means = []
        for states, words in ((student, student_words), (teacher, teacher_words)):
            chosen = [state for state, number in zip(states, words) if number == word]
            mean = sum(chosen) / len(chosen)
            means.append(mean / sum(x**2 for x in mean) ** 0.5)
        s, t = means
        squared = sum((a - b) ** 2 for a, b in zip(s, t))
        total += {"l2": squared**0.5, "squared_l2": squared, "cosine": squared / 2}[distance]
    return float(total / 3)


@pytest.mark.parametrize("distance", ["l2", "squared_l2", "cosine"])
def test_agrees_with_plain_loops(distance):
    loss = word_matching_loss(student, student_words, teacher, teacher_words, 3, distance)
    assert loss.item() == pytest.approx(oracle(distance), abs=1e-12)


def test_by_hand():
    # one word, cut in two by the student: the mean of (1, 0) and (0, 1) is at 45 degrees to the teacher's (1, 0)
    loss = word_matching_loss(
        torch.eye(2), torch.tensor([0, 0]), torch.eye(2)[:1], torch.tensor([0]), 1, "cosine"
    )
    assert loss.item() == pytest.approx(1 - 2**-0.5)


def test_gradient_in_float64_and_none_into_the_teacher():
    s, t = student.clone().requires_grad_(), teacher.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: word_matching_loss(x, student_words, teacher, teacher_words, 3), [s]
    )
    word_matching_loss(s, student_words, t, teacher_words, 3).backward()
    assert t.grad is None
    assert s.grad[0].eq(0).all()  # outside all words
    assert s.grad[1:].ne(0).any(dim=1).all()


def test_no_words_is_zero_with_a_gradient_of_zero():
    s = student.clone().requires_grad_()
    none = torch.full((7,), -1)
    word_matching_loss(s, none, teacher, torch.full((6,), -1), 0).backward()
    assert s.grad.eq(0).all()


def test_a_mean_weighs_its_tokens_alike():
    means = word_means(student, student_words, 3)
    assert torch.allclose(means[2], student[4:].mean(dim=0))
    assert torch.equal(means[1], student[3])
