"""An index cut short or altered anywhere is refused by its file's name; no other answer is ever given."""

import hashlib
import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load, save

from egemma_lab.quantize import index_files
from egemma_lab.quantize.index import Index


@pytest.fixture
def folder(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((9, 16)).astype(np.float32)
    return Index.build(None, vectors, precision="int8", rescore_precision="float32").save(tmp_path / "index")


def test_one_bit_anywhere(folder):
    """Every byte of the description, and bytes all over the arrays: each with one bit flipped."""
    rng = np.random.default_rng(0)
    for path in folder.iterdir():
        whole = path.read_bytes()
        places = range(len(whole)) if path.suffix == ".json" else rng.integers(len(whole), size=60)
        for place in places:
            changed = bytearray(whole)
            changed[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(changed)
            try:
                same = Index.load(folder).about == json.loads(whole)
            except (ValueError, FileNotFoundError) as refusal:
                assert str(folder) in str(refusal)  # noqa: PT017 - nearly all are refused
            else:  # a blank became another one: the description says the same
                assert path.suffix == ".json"
                assert json.loads(path.read_text()) == json.loads(whole), (place, same)
        path.write_bytes(whole)
    assert len(Index.load(folder)) == 9


@pytest.mark.parametrize("file", ["index.json", "vectors-*.safetensors"])
@pytest.mark.parametrize("keep", [0, 1, 100, -5])
def test_cut_short(folder, file, keep):
    (path,) = folder.glob(file)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=f"{path.name} .*build the index anew"):
        Index.load(folder)


@pytest.mark.parametrize("name", [7, None, [], {}, "", "../../etc/passwd", "/etc/passwd", "\0"])
def test_a_description_that_points_elsewhere(folder, name):
    path = folder / "index.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps({**about, "vectors": name}))
    with pytest.raises(ValueError, match=r"index\.json is damaged"):
        Index.load(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, "null", "[]", "\ufeff{}", '{"format": []}'])
def test_a_description_that_is_none(folder, text):
    (folder / "index.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"index\.json"):
        Index.load(folder)


def rewritten(folder, content, **changes):
    """An index made up on purpose: every checksum fits."""
    about = {**json.loads((folder / "index.json").read_text()), **changes}
    about["vectors"] = f"vectors-{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    (folder / about["vectors"]).write_bytes(content)
    del about["checksum"]
    about["checksum"] = index_files._checksum(about)
    (folder / "index.json").write_text(json.dumps(about))


CODES, FINER = np.zeros((9, 16), np.int8), np.ones((9, 16), np.float32)
RANGES = np.stack([-FINER[0], FINER[0]])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 2**60) + b"{}",
        save({"codes": CODES})[:-9],
        save({}),
        save({"codes": CODES, "finer": FINER}),
        save({"codes": CODES, "ranges": RANGES}),
        save({"codes": CODES[:, :9], "finer": FINER, "ranges": RANGES}),
        save({"codes": CODES, "finer": FINER[:3], "ranges": RANGES}),
        save({"codes": CODES, "finer": FINER[:, :8], "ranges": RANGES}),
        save({"codes": CODES[0], "finer": FINER, "ranges": RANGES}),
        save({"codes": CODES, "finer": FINER * np.nan, "ranges": RANGES}),
        save({"codes": CODES, "finer": FINER, "ranges": RANGES * np.nan}),
        save({"codes": CODES, "finer": FINER, "ranges": RANGES[:, :3]}),
    ],
)
def test_arrays_that_are_no_index(folder, content):
    rewritten(folder, content)
    with pytest.raises(ValueError, match=rf"{folder}.*build the index anew"):
        Index.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        *({"width": width} for width in (0, -1, 15, 10**12, "16", None, 16.5)),
        *({"count": count} for count in (0, -1, 8, 10**12, None)),
        *({"precision": precision} for precision in ("int3", "float32", "ubinary", None, [])),
        *({name: 7} for name in ("model", "fingerprint", "prompt", "query_prompt", "query_prompt_name")),
        {"rescore_precision": "int3"},
    ],
)
def test_descriptions_that_do_not_fit_the_arrays(folder, changes):
    (path,) = folder.glob("vectors-*")
    rewritten(folder, path.read_bytes(), **changes)
    with pytest.raises(ValueError, match=rf"{folder}.*build the index anew"):
        Index.load(folder)


def test_what_fits_is_read(folder):
    (path,) = folder.glob("vectors-*")
    rewritten(folder, save(load(path.read_bytes())), prompt=None)
    assert len(Index.load(folder)) == 9
