"""An index cut short or altered anywhere is refused by its file's name; no other answer is ever given."""

import json

import numpy as np
import pytest

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
