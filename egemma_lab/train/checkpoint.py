"""Checkpoints: everything a run needs to go on as if it had never stopped. Safetensors and JSON, no pickle.

`checkpoints/step-000200/` holds `model.safetensors` (of a run with adapters, without the weights that do not change:
those are in `start/`), `optimizer.safetensors` (AdamW's two moments and step
count of every parameter, by its name) and `state.json` with the step, the training seconds so far and the
SHA-256 of both files. No state of a random generator is kept: the loop seeds every step from (seed, step), so
there is none to lose.
"""

import hashlib
import json
import shutil
import warnings
from pathlib import Path

from safetensors.torch import load_file, save_file

from egemma_lab.train.storage import new_folder, sha256, write_json

_FILES = ("model.safetensors", "optimizer.safetensors")
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def checkpoint_folder(checkpoints, step):
    """Where the checkpoint of a step lives."""
    return Path(checkpoints) / f"step-{step:06d}"


def save_checkpoint(checkpoints, step, model, optimizer, *, elapsed, keep):
    """Write the checkpoint of `step` whole or not at all, delete all but the newest `keep`; returns its path."""
    target = checkpoint_folder(checkpoints, step)
    with new_folder(target) as folder:
        kept = _frozen(model)
        weights = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in model.state_dict().items()
            if name not in kept
        }
        save_file(weights, folder / "model.safetensors")
        save_file(_optimizer_tensors(model, optimizer), folder / "optimizer.safetensors")
        state = {"step": step, "elapsed": elapsed, "sha256": {name: sha256(folder / name) for name in _FILES}}
        write_json(folder / "state.json", {**state, "checksum": _checksum(state)})
    for old in _newest_first(checkpoints)[keep:]:
        shutil.rmtree(old)
    return target


def newest_checkpoint(checkpoints):
    """(path, state) of the newest checkpoint that is undamaged, or None.

    A damaged one (a file missing, cut short, or with another checksum than was written) is named in a warning
    and the one before it is taken.
    """
    for path in _newest_first(checkpoints):
        damage = _damage(path)
        if damage is None:
            return path, json.loads((path / "state.json").read_text(encoding="utf-8"))
        warnings.warn(f"checkpoint {path} is damaged ({damage}); an earlier one is used", stacklevel=2)
    return None


def load_checkpoint(path, model, optimizer=None):
    """Copy a checkpoint's weights into `model` and its moments into `optimizer`; returns its state."""
    path = Path(path)
    # load_state_dict copies into the tensors that exist: a run that goes on computes in memory that is laid
    # out as in the run that never stopped, so its sums come out bit for bit the same
    saved, known = load_file(path / "model.safetensors"), set(model.state_dict())
    wrong = (set(saved) - known) | (known - set(saved) - _frozen(model))
    if wrong:
        raise ValueError(f"{path} is of another model: {min(wrong)} is in one of them alone")
    model.load_state_dict(saved, strict=False)
    if optimizer is not None:
        _load_optimizer_tensors(model, optimizer, load_file(path / "optimizer.safetensors"))
    return json.loads((path / "state.json").read_text(encoding="utf-8"))


def _frozen(model):
    """Names of the parameters that no step changes."""
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def _newest_first(checkpoints):
    return sorted(Path(checkpoints).glob("step-*"), key=lambda path: int(path.name[5:]), reverse=True)


def _damage(path):
    """What is wrong with a checkpoint, or None."""
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        if state.pop("checksum") != _checksum(state):
            return "state.json is not what was written"
    except (OSError, ValueError, KeyError, AttributeError) as error:
        return f"state.json: {type(error).__name__}: {error}"
    for name, expected in state["sha256"].items():
        if not (path / name).is_file():
            return f"{name} is missing"
        if sha256(path / name) != expected:
            return f"{name} is not what was written"
    return None


def _checksum(state):
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _names(model, optimizer):
    """Parameter names in the order in which the optimizer counts parameters."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]


def _optimizer_tensors(model, optimizer):
    state = optimizer.state_dict()["state"]
    return {
        f"{moment}/{name}": state[index][moment].detach().cpu().contiguous()
        for index, name in enumerate(_names(model, optimizer))
        if index in state
        for moment in _MOMENTS
    }


def _load_optimizer_tensors(model, optimizer, tensors):
    names = _names(model, optimizer)
    expected = {f"{moment}/{name}" for name in names for moment in _MOMENTS}
    if set(tensors) - expected:
        raise ValueError(
            "the checkpoint's optimizer knows parameters this model has not: "
            f"{sorted(set(tensors) - expected)[:3]}; resume with the model the run was started with"
        )
    state = {
        index: {moment: tensors[f"{moment}/{name}"].clone() for moment in _MOMENTS}
        for index, name in enumerate(names)
        if f"step/{name}" in tensors
    }
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
