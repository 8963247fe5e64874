"""An index in a folder: a description in JSON, its arrays in safetensors, the old or the new one at any moment."""

import hashlib
import json
import os
from pathlib import Path

from egemma_lab.model.folder_beside import folder_beside

FORMAT = "egemma_lab index 1"
ABOUT = "index.json"
_TEXTS = (
    "model",
    "fingerprint",
    "prompt_name",
    "prompt",
    "query_prompt_name",
    "query_prompt",
    "rescore_precision",
)
_KINDS = {**dict.fromkeys(_TEXTS, (str, type(None))), "precision": str, "width": int, "count": int}


def write_index(folder, about, tensors):
    """Write `about` (plain values) and `tensors` {name: array}; returns the folder as a Path.

    The arrays get a file named after their content; the description, written after it and moved into its place in one
    step, names that file; then files of an index that was there before are removed. A kill at any moment leaves the
    old index or the new one.
    """
    from safetensors.numpy import save

    folder = Path(folder).expanduser()
    content = save({name: array.copy(order="C") for name, array in tensors.items()})
    name = f"vectors-{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    about = {"format": FORMAT, "vectors": name, **about}
    text = json.dumps({**about, "checksum": _checksum(about)}, indent=2, ensure_ascii=False) + "\n"
    with folder_beside(folder / ABOUT) as beside:
        for file, written in ((name, content), (ABOUT, text.encode("utf-8"))):
            _write(folder / file, beside / file, written)
    for old in folder.glob("vectors-????????????????.safetensors"):
        if old.name != name:
            old.unlink()
    return folder


def read_index(folder):
    """(about, tensors) of what `write_index` wrote.

    FileNotFoundError where there is no index; ValueError where it is of another format, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(folder).expanduser() / ABOUT
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: {folder} holds no index that Index.save wrote")
    try:
        about = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): build the index anew") from error
    if (
        not isinstance(about, dict)
        or about.get("format") != FORMAT
        or not about.keys() >= _KINDS.keys() | {"vectors"}
    ):
        raise ValueError(f"{path} does not describe an index in the format {FORMAT!r}: build the index anew")
    if about.pop("checksum", None) != _checksum(about):
        raise ValueError(f"{path} is damaged, its checksum is not that of what it says: build the index anew")
    odd = [f"{name}={about[name]!r}" for name, kind in _KINDS.items() if not isinstance(about[name], kind)]
    if odd:
        raise ValueError(f"{path} describes no index ({', '.join(odd)}): build the index anew")
    del about["format"]
    vectors = path.parent / Path(str(about.pop("vectors"))).name
    if not vectors.is_file():
        raise FileNotFoundError(f"{vectors} is missing, which {path.name} names: build the index anew")
    content = vectors.read_bytes()
    if hashlib.sha256(content).hexdigest()[:16] not in vectors.name:
        raise ValueError(f"{vectors} is damaged, its content is not what its name says: build the index anew")
    try:
        return about, load(content)
    except SafetensorError as error:
        raise ValueError(f"{vectors} is damaged ({error}): build the index anew") from error


def _checksum(about):
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def _write(path, draft, content):
    """The whole file or none: written beside its place, on the disk before it is moved there."""
    with open(draft, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
