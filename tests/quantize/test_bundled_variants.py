"""The nano's variants with rounded weights, as many of them as the package brings."""

import numpy as np

import egemma_lab as lab
from egemma_lab.model.folder import bundled_models
from egemma_lab.model.packed_weights import is_packed

# The mean cosine to the nano's vectors that each keeps: one scale a channel costs more than blocks do.
NEAR = {"nano-int8": 0.98, "nano-mixed": 0.96, "nano-int4": 0.98}


def test_they_are_small_and_give_the_nanos_vectors():
    variants = {name: folder for name, folder in bundled_models().items() if is_packed(folder)}
    assert set(variants) <= set(NEAR)
    files = [path for folder in variants.values() for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 20_000_000
    nano, texts = lab.load_model("nano"), lab.explore.probe_texts()["text"].tolist()[::10]
    queries, documents = nano.encode_query(texts), nano.encode_document(texts)
    for name in variants:
        model = lab.load_model(name)
        assert model.name == name
        assert model.prompts == nano.prompts
        for mine, theirs in ((model.encode_query(texts), queries), (model.encode_document(texts), documents)):
            assert np.mean((mine * theirs).sum(axis=1)) > NEAR[name], name
