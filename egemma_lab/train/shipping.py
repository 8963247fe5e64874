"""A model made ready to be given away: small on disk, proved to be the same model, with its card."""

import dataclasses
import json
from importlib import resources
from pathlib import Path

import numpy as np

from egemma_lab.train.storage import write_text

SIZE_LIMIT = 20_000_000  # bytes: what a package may weigh that opens at once
LEAST_COSINE = 0.9999  # between a text's vector before and after: below what changes a neighbour


@dataclasses.dataclass(frozen=True)
class Shipment:
    """What was shipped. `folder`; `storage`, of the weights; `parameters`, how many; `bytes`, of all files
    but the card; `cosine`, the smallest between a text's vector before and after; `texts`, how many were
    compared."""

    folder: Path
    storage: str
    parameters: int
    bytes: int
    cosine: float
    texts: int


def ship(model, folder, dtype="float16", card=None, *, texts=None, limit=SIZE_LIMIT, least=LEAST_COSINE):
    """Save a model in two bytes a weight, and only if what is then loaded gives the same vectors.

    Parameters: `model`, an EmbeddingGemma in float32; `folder`, where to (an older model there is replaced);
    `dtype`, what the weights are stored in: "float16" (default: its ten bits of fraction keep cosines above
    0.999999), "bfloat16" (seven bits: about 0.9999, as large on disk) or "float32". Whatever it is, config.json
    says float32 and readers compute in that: float16 holds the weights, not the activations.
    `card`, the text of README.md, or a function of the `Shipment` that gives it (default: what stands there
    already stays); `texts`, what is compared (default: the 500 bundled probe texts), each as a document and
    as a query; `limit`, bytes of the folder; `least`, the smallest cosine allowed.

    Returns a `Shipment`. ValueError, and nothing is written, where the folder would be too large or a vector
    moves too far; FileExistsError where `folder` holds anything but a model.

    >>> import tempfile
    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> model = new_model("micro", train_tokenizer(["a text", "another text"], vocab_size=400))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     shipment = ship(model, Path(folder) / "micro", texts=["a text"], card="# micro")
    >>> shipment.storage, shipment.cosine > 0.9999, shipment.bytes < 4 * shipment.parameters
    ('float16', True, True)
    """
    from egemma_lab.model.folder_beside import folder_beside
    from egemma_lab.model.saving import save_model

    folder = Path(folder).expanduser().absolute()
    texts = [row["text"] for row in bundled_probe()] if texts is None else list(texts)
    with folder_beside(folder) as beside:
        trial = save_model(model, beside / folder.name, dtype="float32", storage=dtype)
        cosine = _least_cosine(model, trial, texts)
        if not cosine >= least:  # a NaN is refused too
            raise ValueError(
                f"stored as {dtype}, a text's vector has cosine {cosine:.6f} to the one before, at least "
                f"{least} is asked for: {_finer(dtype)}"
            )
        shipment = Shipment(
            folder=folder,
            storage=str(dtype).removeprefix("torch."),
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            bytes=_bytes(trial),
            cosine=cosine,
            texts=len(texts),
        )
        readme = card(shipment) if callable(card) else card
        total = shipment.bytes + len((readme or "").encode("utf-8"))
        if total > limit:
            raise ValueError(
                f"{folder.name} would take {total:,} bytes, at most {limit:,} are allowed; its largest files: "
                f"{_largest(trial)}. Fewer pieces in the tokenizer, narrower or fewer layers make it smaller"
            )
    save_model(model, folder, dtype="float32", storage=dtype)
    if readme is not None:
        write_text(folder / "README.md", readme)
    return shipment


def bundled_probe():
    """The 500 bundled probe texts as rows for `lab.train(..., probe=...)`: "text", "label" and "role".

    >>> len(bundled_probe()), sorted(bundled_probe()[0])
    (500, ['label', 'role', 'text'])
    """
    file = resources.files("egemma_lab").joinpath("assets", "probe.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _least_cosine(model, folder, texts):
    from egemma_lab.model import load_model

    loaded = load_model(folder, device=model.device)
    cosines = []
    for encode in ("encode_document", "encode_query"):
        before, after = (getattr(m, encode)(texts).astype(np.float64) for m in (model, loaded))  # (n, d)
        lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
        cosines.append((before * after).sum(axis=1) / lengths)
    return float(np.min(cosines))


def _finer(dtype):
    if str(dtype).endswith("bfloat16"):
        return "dtype='float16' is as small and rounds an eighth as coarsely"
    return "dtype='float32' keeps every weight as it is, in twice the space"


def _bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _largest(folder, count=3):
    files = sorted(
        (path for path in folder.rglob("*") if path.is_file()), key=lambda path: -path.stat().st_size
    )
    return ", ".join(
        f"{path.relative_to(folder).as_posix()} {path.stat().st_size:,}" for path in files[:count]
    )
