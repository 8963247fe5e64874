import torch

from egemma_lab.train import Recipe
from egemma_lab.train.teacher_choice import open_teacher

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def test_a_teacher_by_name_reads_no_further_than_the_student():
    short = open_teacher(MINILM, Recipe(max_tokens=32, precision="float32"), torch.device("cpu"))
    whole = open_teacher(MINILM, Recipe(max_tokens=512, precision="float32"), torch.device("cpu"))
    assert (short.max_seq_length, whole.max_seq_length) == (32, 256)


def test_a_teacher_by_name_computes_in_the_runs_precision():
    opened = {
        precision: open_teacher(MINILM, Recipe(precision=precision), torch.device("cpu"))
        for precision in ("float32", "bfloat16")
    }
    assert opened["float32"].fingerprint != opened["bfloat16"].fingerprint


def test_an_open_teacher_is_taken_as_it_is(fake_teacher):
    assert open_teacher(fake_teacher, Recipe(max_tokens=16), torch.device("cpu")) is fake_teacher
