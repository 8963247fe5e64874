"""Pairs mined from the Python that is installed here: what a docstring says, and the function it is about."""

import json
import os
import platform
import shutil
import time
import uuid
from collections import Counter

from egemma_lab.data._mining import mine, row_order
from egemma_lab.data._source_files import find_packages, sources_fingerprint
from egemma_lab.settings import cache_dir

SPLITS = ("train", "validation", "test")
COLUMNS = ("anchor", "positive", "negative", "package", "module", "name")
MAX_PER_PACKAGE = 3000  # keeps the largest three or four packages from being most of the corpus
_MINER = 1  # raise it whenever other rows come out of the same files: it makes caches of before stale


def load_python_docs(
    split="train",
    *,
    limit=None,
    max_per_package=MAX_PER_PACKAGE,
    paths=None,
    refresh=False,
    show_progress_bar=None,
):
    """Code search pairs from the installed packages, as a `datasets.Dataset`.

    One row a function or method, in columns of strings:

    - `anchor`: the first sentence of its docstring, without markup;
    - `positive`: signature and body without the docstring, at most 1,500 characters, methods under a line
      `class Name:`;
    - `negative`: the most similar other function of the same module (else package) by TF-IDF over words of
      identifiers, unless it is so similar that it may be right as well;
    - `package`, `module`, `name` (`"Class.method"`).

    Files are read and parsed, never imported or run. Tests, vendored copies, generated files, boilerplate
    sentences and functions without a body are left out; every anchor and every positive occurs once in all
    splits together.

    `split`: "train", "validation", "test" (about 80, 8 and 12 of a hundred *packages*: what is tested comes
    from packages never trained on) or "all". `limit` takes the first rows of an order that is the same
    everywhere and mixes the packages, so it is a fair sample. `max_per_package` (3,000) keeps large packages
    from dominating. `paths`: folders, packages or modules to read instead of this environment.
    `show_progress_bar`: None shows one when there is much to read.

    The first call reads everything (under a minute on two cores) and keeps the result in the cache folder
    under a fingerprint of what is installed; later calls take it from there. `refresh=True` reads again:
    files edited in place do not change the fingerprint of the environment.

    Raises ValueError for an unknown split or limit, or where nothing is found; FileNotFoundError for
    a path that is not there.

    >>> from pathlib import Path; from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "shapes.py").write_text(
    ...         'def area(side):\\n    "Area of a square of the given side."\\n    return side * side\\n'
    ...         'def edge(side):\\n    "Length around a square of the given side."\\n    return 4 * side\\n')
    ...     pairs = load_python_docs("all", paths=[folder])
    >>> sorted(pairs["anchor"])[0]
    'Area of a square of the given side.'
    """
    if split not in (*SPLITS, "all"):
        raise ValueError(f"split={split!r} is not one of {', '.join(SPLITS)}, all")
    if limit is not None and limit < 0:
        raise ValueError(f"limit={limit} must be a number of rows, or None for all")
    if max_per_package < 1:
        raise ValueError(f"max_per_package={max_per_package} must be at least 1")
    folder = _mined(max_per_package, paths, refresh, show_progress_bar)
    from datasets import Dataset, concatenate_datasets

    parts = [
        Dataset.from_file(str(folder / f"{part}.arrow")) for part in (SPLITS if split == "all" else [split])
    ]
    rows = parts[0]
    if len(parts) > 1:
        rows = concatenate_datasets(parts)
        order = [row_order(module, name) for module, name in zip(rows["module"], rows["name"])]
        rows = rows.select(sorted(range(len(order)), key=order.__getitem__))
    return rows if limit is None else rows.select(range(min(limit, len(rows))))


def _mined(max_per_package, paths, refresh, show_progress_bar):
    """Folder with one Arrow file a split, mined now if it is not there yet."""
    asked = f"{sources_fingerprint(paths)}-{max_per_package}-{_MINER}"
    home = cache_dir("python-docs", asked)
    manifest = home / "manifest.json"
    if manifest.exists() and not refresh:
        return home / json.loads(manifest.read_text(encoding="utf-8"))["folder"]

    started = time.monotonic()
    packages = find_packages(paths)
    rows = mine(packages, max_per_package, show_progress_bar)
    if not rows:
        places = "the installed packages" if paths is None else f"paths={paths}"
        raise ValueError(
            f"no documented function found in {places} ({len(packages)} packages); give other `paths`"
        )
    # A folder of its own, named last: a killed run leaves no half corpus, and two at once do not mix theirs.
    name = f"pairs-{uuid.uuid4().hex[:8]}"
    (home / name).mkdir()
    for split in SPLITS:
        _write([row for row in rows if row["split"] == split], home / name / f"{split}.arrow")
    written = home / f"{name}.json"
    written.write_text(
        json.dumps(_described(rows, name, time.monotonic() - started), indent=1), encoding="utf-8"
    )
    before = json.loads(manifest.read_text(encoding="utf-8"))["folder"] if manifest.exists() else None
    os.replace(written, manifest)
    if before:
        shutil.rmtree(home / before, ignore_errors=True)  # Windows keeps files that somebody still reads
    return home / name


def _write(rows, path):
    import pyarrow

    table = pyarrow.table(
        {column: pyarrow.array([row[column] for row in rows], pyarrow.string()) for column in COLUMNS}
    )
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=1000)


def _described(rows, folder, seconds):
    return {
        "folder": folder,
        "python": platform.python_version(),
        "seconds": round(seconds, 1),
        "rows": Counter(row["split"] for row in rows),
        "packages": {
            split: Counter(row["package"] for row in rows if row["split"] == split) for split in SPLITS
        },
    }
