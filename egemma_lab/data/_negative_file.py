"""What was mined, as a small Parquet file of row and candidate numbers: whole, or not there."""

import os
import warnings
from pathlib import Path

import numpy as np

from egemma_lab.model.folder_beside import folder_beside

# One line a mined negative: the pair's row, the candidate's number (-1: the row's own negative), the two cosines,
# and the negative's rank among the candidates (0: was given).
COLUMNS = {
    "row": np.int64,
    "candidate": np.int64,
    "positive_score": np.float32,
    "negative_score": np.float32,
    "negative_rank": np.int32,
}


def write_mined(path, mined):
    """Writes the columns, checksums with them; a killed call leaves nothing under this name."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    with folder_beside(path) as beside:
        draft = beside / "mined.parquet"
        parquet.write_table(pa.table(mined), draft, write_page_checksum=True)
        os.replace(draft, path)


def read_mined(path, rows, candidates):
    """The columns as numpy arrays, or None where there is no such file, or a damaged one (with a warning)."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    if not Path(path).is_file():
        return None
    try:
        table = parquet.read_table(path, page_checksum_verification=True)
        mined = {name: table[name].to_numpy().astype(kind) for name, kind in COLUMNS.items()}
        _check(mined, rows, candidates)
    except (OSError, KeyError, ValueError, pa.ArrowException) as damage:
        warnings.warn(
            f"{path} is damaged ({str(damage).splitlines()[0] if str(damage) else type(damage).__name__}); "
            "the negatives are mined anew",
            stacklevel=3,
        )
        return None
    return mined


def _check(mined, rows, candidates):
    row, candidate = mined["row"], mined["candidate"]
    if len(row) and not (row.min() >= 0 and row.max() < rows and (np.diff(row) >= 0).all()):
        raise ValueError(f"row numbers that are not those of {rows} rows in order")
    if len(row) and not (candidate.min() >= -1 and candidate.max() < candidates):
        raise ValueError(f"numbers of candidates that are not below {candidates}")
