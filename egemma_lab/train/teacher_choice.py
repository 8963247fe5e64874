"""The teacher of a run: cut to the student's width, and its vectors kept on disk."""

import torch
from safetensors.torch import load_file, save

from egemma_lab.train.model_choice import some_texts
from egemma_lab.train.storage import new_file

ROTATION_TEXTS = 4096  # training texts a rotation is learnt from: ten and more a dimension


def choose_teacher(given, recipe, model, mixture, files, accelerator):
    """A `TeacherCache` of the teacher as the student sees it, or None."""
    from egemma_lab.data.teacher_cache import TeacherCache

    if given is None:
        if recipe.weights["matching"] > 0:
            raise ValueError(
                f"weights['matching']={recipe.weights['matching']:g} needs a teacher to match: give "
                "teacher=lab.load_teacher(), or train without with Recipe(weights={'matching': 0})"
            )
        return None
    teacher = _load(given)
    width = model.config.output_width
    if teacher.width < width:
        raise ValueError(
            f"teacher {teacher.name!r} is {teacher.width} wide and the student {width}; a teacher must be at "
            "least as wide as its student: take a wider one, a narrower student, or weights={'matching': 0} "
            "and no teacher"
        )
    if recipe.teacher_rotation == "pca":
        teacher = teacher.cut(width, _rotation(teacher, recipe, mixture, files, accelerator))
    elif teacher.width > width:
        teacher = teacher.cut(width)
    return TeacherCache(teacher)


def _load(given):
    if not isinstance(given, str):
        missing = [name for name in ("encode", "cut", "width", "fingerprint") if not hasattr(given, name)]
        if missing:
            raise TypeError(
                f"teacher is a {type(given).__name__} without {', '.join(missing)}; give "
                "lab.load_teacher(...) or a name"
            )
        return given
    from egemma_lab.model import load_teacher

    return load_teacher(given)


def _rotation(teacher, recipe, mixture, files, accelerator):
    """The rotation onto the teacher's principal axes over training texts, stored with the run."""
    from egemma_lab.model import pca_rotation

    if accelerator.is_main_process and not files.rotation.exists():
        texts = some_texts(mixture, recipe.seed, ROTATION_TEXTS)
        rotation = pca_rotation(teacher.encode(texts, role="document"))
        with new_file(files.rotation) as file:
            file.write(save({"rotation": torch.as_tensor(rotation).contiguous()}))
    accelerator.wait_for_everyone()
    return load_file(files.rotation)["rotation"].numpy()
