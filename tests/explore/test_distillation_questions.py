"""The exercises of notebook 04: their answers are what the package computes."""

import numpy as np
import pytest
import torch
from fake_teacher import FakeTeacher

from egemma_lab.explore.questions import QUESTIONS
from egemma_lab.losses import RecipeLoss, embedding_matching_loss
from egemma_lab.model.teacher import Teacher


def answer(name):
    return QUESTIONS[f"distillation/{name}"].answer


def test_the_distance_is_that_of_the_loss():
    student, teacher = torch.tensor([[0.8, 0.6]]), torch.tensor([[0.0, 1.0]])
    assert answer("distance_by_hand") == pytest.approx(float(embedding_matching_loss(student, teacher)))


def test_the_ignorant_student_pays_what_the_recipe_says():
    eye = torch.eye(12)
    sides, targets = eye[:6].split(2), eye[6:].split(2)
    names = ("query", "positive", "negative")
    given = {f"teacher_{name}": target for name, target in zip(names, targets)}
    _, terms = RecipeLoss(dims=(12,))(*sides, **given)
    assert answer("loss_of_an_ignorant_student") == pytest.approx(float(terms["matching"]))


def test_a_distance_gives_its_cosine_back():
    cosine = answer("cosine_behind_a_distance")
    student = torch.tensor([[cosine, np.sqrt(1 - cosine**2)]])
    assert float(embedding_matching_loss(student, torch.tensor([[1.0, 0.0]]))) == pytest.approx(0.6, abs=1e-6)


def test_the_cut_is_the_teachers():
    class Fixed(FakeTeacher):
        prompts_differ = False

        def encode(self, texts, *_, **__):
            return np.array([[2.0, 1, 2]]) / 3

    cut = Teacher.cut(Fixed(width=3), 2)
    assert cut.encode(["any"])[0].tolist() == pytest.approx(answer("a_cut_teacher"))


def test_the_cache_holds_two_bytes_a_number(tmp_path):
    from egemma_lab.data import TeacherCache

    with TeacherCache(FakeTeacher(width=768), tmp_path) as cache:
        cache.fill([f"text {i}" for i in range(300)], "document")
    on_disk = sum(file.stat().st_size for file in cache.folder.rglob("*") if file.is_file())
    vectors = answer("size_of_a_cache") * 1e9 / 3e6 * 300
    assert vectors == 300 * 768 * 2
    assert vectors <= on_disk < 1.05 * vectors


@pytest.mark.parametrize("given", ["None", " NONE ", "neither"])
def test_words_are_compared_without_capitals(given):
    assert QUESTIONS["distillation/which_index_again"].check(given).right is (given != "neither")
