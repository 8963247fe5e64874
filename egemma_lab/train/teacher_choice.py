"""The teacher of a run: cut to the student's width, and its vectors kept on disk."""

import torch
from safetensors.torch import load_file, save

from egemma_lab.train.machine import best_precision
from egemma_lab.train.samples import some_texts
from egemma_lab.train.storage import new_file

ROTATION_TEXTS = 4096  # training texts a rotation is learnt from: ten and more a dimension


def open_teacher(given, recipe, device):
    """The teacher as it is, full width; None where none is given and none is needed.

    One given by name computes in the run's precision and reads no further than the student does
    (`recipe.max_tokens`): on a CPU its vectors would otherwise take longer than the training itself. A teacher
    that was opened by the caller is taken as it is.
    """
    if given is None:
        if recipe.weights["matching"] > 0:
            raise ValueError(
                f"weights['matching']={recipe.weights['matching']:g} needs a teacher to match: give "
                "teacher=lab.load_teacher(), or train without with Recipe(weights={'matching': 0})"
            )
        return None
    if isinstance(given, str):
        return _open(given, recipe.max_tokens, best_precision(recipe.precision, device))
    missing = [name for name in ("encode", "cut", "width", "fingerprint") if not hasattr(given, name)]
    if missing:
        raise TypeError(
            f"teacher is a {type(given).__name__} without {', '.join(missing)}; give lab.load_teacher(...), "
            "or the name of a model"
        )
    return given


def _open(name, max_tokens, dtype):
    from egemma_lab.model import load_teacher

    teacher = load_teacher(name, dtype=dtype)
    if teacher.max_seq_length is None or teacher.max_seq_length <= max_tokens:
        return teacher
    return load_teacher(name, dtype=dtype, max_seq_length=max_tokens)


def fit_teacher(teacher, width, rotation=None):
    """The teacher as a student of this width sees it: rotated where asked, cut, re-normalised."""
    if teacher.width < width:
        raise ValueError(
            f"teacher {teacher.name!r} is {teacher.width} wide and the student {width}; a teacher must be at "
            "least as wide as its student: take a wider one, a narrower student, or no teacher and "
            "weights={'matching': 0}"
        )
    if rotation is None and teacher.width == width:
        return teacher
    return teacher.cut(width, rotation)


def learn_rotation(teacher, recipe, mixture, files, accelerator):
    """(D, D) rotation onto the teacher's principal axes over training texts, stored with the run.

    None where the recipe asks for none.
    """
    from egemma_lab.model import pca_rotation

    if teacher is None or recipe.teacher_rotation is None:
        return None
    if accelerator.is_main_process and not (files.holds_a_run and files.rotation.exists()):
        texts = some_texts(mixture, recipe.seed, ROTATION_TEXTS)
        rotation = pca_rotation(teacher.encode(texts, role="document"))
        with new_file(files.rotation) as file:
            file.write(save({"rotation": torch.as_tensor(rotation).contiguous()}))
    accelerator.wait_for_everyone()
    return load_file(files.rotation)["rotation"].numpy()
