"""Model folders made to do harm, or simply broken: a clear refusal that names the file, quickly, and nothing else."""

import json
import os
import struct
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egemma_lab.model import load_model
from egemma_lab.model.layout import read_layout

JSON_FILES = [
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "egemma_lab.json",
    "1_Pooling/config.json",
    "2_Dense/config.json",
    "tokenizer_config.json",
]
NESTED = "[" * 200_000
ENDLESS = "9" * 100_000

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=6,
)
ODD = [
    None,
    True,
    -1,
    0,
    1.5,
    10**12,
    "",
    "x",
    "\0",
    "../..",
    "/etc",
    [],
    [[]],
    {},
    {"a": 1},
    [None],
    float("nan"),
]


def refused(folder):
    """The refusal with which loading ends; anything but an exception made for it fails the test."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        load_model(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    "content", [NESTED, ENDLESS, '{"a":' * 100_000, "\ufeff{}", "{}{}", "null", "\0", "NaN"]
)
@pytest.mark.parametrize("file", JSON_FILES)
def test_json_that_is_none_is_named(copy, file, content):
    (copy / file).write_text(content, encoding="utf-8")
    assert file in refused(copy)


@pytest.mark.parametrize("file", JSON_FILES[:-1])
def test_any_value_anywhere_is_refused_or_harmless(copy, file):
    path = copy / file
    whole = json.loads(path.read_text())
    for key in whole if isinstance(whole, dict) else []:
        for odd in ODD:
            path.write_text(json.dumps({**whole, key: odd}))
            began = time.monotonic()
            try:
                read_layout(copy)
            except (ValueError, FileNotFoundError) as refusal:
                assert str(copy) in str(refusal), (key, odd, refusal)  # noqa: PT017 - most are refused
            assert time.monotonic() - began < 5, (key, odd)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=ANYTHING, file=st.sampled_from(JSON_FILES[:-1]))
def test_any_json_for_a_file_is_refused_by_name(copy, value, file):
    path = copy / file
    kept = path.read_bytes()
    try:
        path.write_text(json.dumps(value))
        read_layout(copy)
    except (ValueError, FileNotFoundError) as refusal:
        assert str(copy) in str(refusal)  # noqa: PT017 - most are refused
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "vocab_size", "head_dim"])
def test_sizes_that_would_take_hours_or_all_memory_are_refused_at_once(copy, edit, key):
    edit(copy / "config.json", **{key: 10**12})
    began = time.monotonic()
    assert f"{key}=1000000000000, expected a whole number from 1 to" in refused(copy)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "place", ["../elsewhere", "/etc", "1_Pooling/../../elsewhere", 7, None, ["1_Pooling"], "a\0b"]
)
def test_modules_outside_the_folder_are_refused(copy, place):
    path = copy / "modules.json"
    entries = json.loads(path.read_text())
    entries[1]["path"] = place
    path.write_text(json.dumps(entries))
    assert "modules.json" in refused(copy)


def test_a_module_folder_that_is_a_link_to_elsewhere_is_refused(copy, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    os.rename(copy / "2_Dense", elsewhere)
    (copy / "2_Dense").symlink_to(elsewhere, target_is_directory=True)
    assert "points outside its folder" in refused(copy)


@pytest.mark.parametrize(
    "name", ["../stolen.safetensors", "/etc/passwd", "a/../../stolen.safetensors", 7, None, ["x"]]
)
def test_shards_outside_the_folder_are_not_opened(copy, tmp_path, name):
    os.rename(copy / "model.safetensors", tmp_path / "stolen.safetensors")
    index = copy / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"norm.weight": name}}))
    assert index.name in refused(copy)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**63) + b"{}",  # a header of eight exabytes
        struct.pack("<Q", 2**27) + b"{" * 100,
        struct.pack("<Q", 100_000) + b"[" * 100_000,
        struct.pack("<Q", 2) + b"{}" + b"x" * 9,
        b"PK\x03\x04" + bytes(100),
    ],
)
def test_headers_that_lie_are_refused(copy, content):
    (copy / "model.safetensors").write_bytes(content)
    assert "model.safetensors" in refused(copy)


def test_tensors_that_claim_more_than_there_is_are_refused(copy):
    header = {"norm.weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    text = json.dumps(header).encode()
    (copy / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    assert "model.safetensors is damaged" in refused(copy)


@pytest.mark.parametrize(
    "packing", [{"tokenizer": []}, {"tokenizer": {"a": 1}}, {"tensors": {"norm.weight": [1]}}]
)
def test_packings_that_make_no_sense_are_refused(copy, packing):
    (copy / "packing.json").write_text(json.dumps({"format": "x", "tensors": {}, **packing}))
    assert str(copy) in refused(copy)


def test_a_tokenizer_that_gives_no_tokens_is_refused(copy, edit):
    vanish = {"type": "Replace", "pattern": {"Regex": "."}, "content": ""}
    edit(copy / "tokenizer.json", normalizer=vanish, post_processor=None)
    edit(copy / "tokenizer_config.json", add_bos_token=False, add_eos_token=False)
    assert "tokenizer" in refused(copy)


def test_saving_writes_through_no_link(make_micro, saved, tmp_path):
    """Nothing outside the target is written, not even where the target holds links to it."""
    outside = tmp_path / "outside.json"
    outside.write_text("mine")
    target = make_micro().save_pretrained(tmp_path / "model")
    (target / "config.json").unlink()
    (target / "config.json").symlink_to(outside)
    make_micro().save_pretrained(target)
    assert outside.read_text() == "mine"
    assert not (target / "config.json").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "outside.json"]
