"""Safetensors into a model: every tensor, in its shape, finite, or none at all."""

import json
from contextlib import ExitStack
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

INDEX = "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_FLOATS = ("F64", "F32", "BF16", "F16")


def parse_dtype(dtype):
    """torch.float32 or torch.bfloat16 from its name or itself; float16 is refused with the reason.

    >>> parse_dtype("bfloat16")
    torch.bfloat16
    """
    from egemma_lab.model.embedding_gemma import FLOAT16_REFUSED

    allowed = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    name = str(dtype).removeprefix("torch.")
    if name in ("float16", "half", "fp16"):
        raise ValueError(f"dtype={dtype!r}: {FLOAT16_REFUSED}")
    if name not in allowed:
        raise ValueError(f"dtype={dtype!r} is not one of {', '.join(map(repr, allowed))}")
    return allowed[name]


def parse_storage(dtype):
    """What weights may be stored in: float32, bfloat16, and float16, which holds weights but not activations.

    >>> parse_storage("float16")
    torch.float16
    """
    allowed = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    name = str(dtype).removeprefix("torch.")
    if name not in allowed:
        raise ValueError(f"storage={dtype!r} is not one of {', '.join(map(repr, allowed))}")
    return allowed[name]


def read_tensors(folder, expected, dtype):
    """The tensors in a folder's safetensors file, or files where an index names several.

    `expected` is {name: shape}. Returns {name: tensor} in `dtype`, on the CPU. FileNotFoundError where there
    is no such file; ValueError where one is damaged, where a tensor is missing, has another shape, is none of
    the expected, or holds NaN or infinity.
    """
    with ExitStack() as stack:
        files = {}  # name of a tensor -> the open file that has it
        for path in _weight_files(folder):
            opened = open_tensors(stack, path)
            files.update(dict.fromkeys(opened.keys(), opened))
        problems = [f"{name} is missing" for name in expected if name not in files]
        problems += [f"{name} is not part of this model" for name in files if name not in expected]
        for name, shape in expected.items():
            if name in files:
                problems += _check_header(files[name].get_slice(name), name, shape)
        refuse(folder, problems)
        # A copy: a tensor that stays mapped into the file would change, or crash, with the file.
        tensors = {name: files[name].get_tensor(name).to(dtype, copy=True) for name in expected}
    refuse(folder, [f"{name} holds NaN or infinity" for name, t in tensors.items() if not t.isfinite().all()])
    return tensors


def _weight_files(folder):
    single, index = folder / "model.safetensors", folder / INDEX
    if single.is_file():
        return [single]
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"{index} is damaged: {error!r}") from error
        foreign = [name for name in names if not isinstance(name, str) or name != Path(name).name]
        if foreign:
            raise ValueError(f"{index} points outside its folder: {foreign[0]!r}")
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}, which {index.name} lists")
        return [folder / name for name in names]
    refuse_pickles(folder)
    raise FileNotFoundError(f"{folder / 'model.safetensors'} is missing: the folder is incomplete")


def refuse_pickles(folder):
    """ValueError where a folder, or a module's folder in it, has its weights in nothing but pickles."""
    modules = folder / "modules.json"
    entries = json.loads(modules.read_text(encoding="utf-8")) if modules.is_file() else []
    for inside in [folder, *(folder / entry["path"] for entry in entries)]:
        pickles = sorted(path.name for pattern in _PICKLES for path in inside.glob(pattern))
        if pickles and not any(inside.glob("*.safetensors")):
            raise ValueError(
                f"{inside} has its weights only in {', '.join(pickles)}: loading a pickle may run code, so "
                "only safetensors are read. Save the model with a current sentence-transformers"
            )


def open_tensors(stack, path):
    """A safetensors file, open until the ExitStack `stack` closes; ValueError where it is damaged."""
    try:
        return stack.enter_context(safe_open(path, framework="pt", device="cpu"))
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged ({error}): copy or download it again") from error


def _check_header(header, name, shape):
    if tuple(header.get_shape()) != tuple(shape):
        yield f"{name} has shape {tuple(header.get_shape())}, expected {tuple(shape)}"
    elif header.get_dtype() not in _FLOATS:
        yield f"{name} is of type {header.get_dtype()}, expected a float"


def refuse(folder, problems):
    """ValueError with the first of the problems found in a folder's weights; nothing where there is none."""
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise ValueError(f"the weights in {folder} do not fit: {'; '.join(problems[:3])}{more}")
