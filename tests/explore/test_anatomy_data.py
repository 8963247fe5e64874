import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from egemma_lab.explore.anatomy_data import Anatomy, dissect, matched_shares, prompt_effect
from egemma_lab.model import pad_batch
from egemma_lab.train.decoder import CausalDecoder

TEXT = "Saturn orbits the distant sun."


def long_text(tiny_texts):
    return " ".join(tiny_texts[:90])


@pytest.mark.parametrize("prompt_name", [None, "query", "document"])
def test_the_parts_add_up_to_what_encode_gives(micro_model, prompt_name):
    found = dissect(micro_model, TEXT, prompt_name)
    encoded = micro_model.encode(TEXT, prompt_name=prompt_name)
    np.testing.assert_allclose(found.vector, encoded, atol=1e-6)
    np.testing.assert_allclose(found.two_steps, encoded, atol=1e-6)
    assert found.shares.sum() == pytest.approx(1)
    assert sum(map(found.share_of, ("text", "prompt", "ends"))) == pytest.approx(1)


def test_the_model_s_own_window_in_a_long_text(micro_model, tiny_texts):
    text = long_text(tiny_texts)
    found = dissect(micro_model, text)
    assert len(found.tokens) > 2 * 257
    np.testing.assert_allclose(found.vector, micro_model.encode(text), atol=1e-6)
    assert found.allowed[0, 257].sum() == 256 + 1 + 256
    assert found.allowed[5].all()


def test_shares_against_plain_loops(micro_model):
    ids, mask = pad_batch(micro_model.tokenize([TEXT]))
    with torch.inference_mode():
        states = micro_model.token_states(ids, mask)[0].double()
        up, down = micro_model.dense_up.weight.double(), micro_model.dense_down.weight.double()
    parts = [(down @ (up @ state)) / len(states) for state in states]
    whole = sum(parts)
    expected = [sum(float(a) * float(b) for a, b in zip(part, whole)) for part in parts]
    expected = [share / sum(float(a) ** 2 for a in whole) for share in expected]
    np.testing.assert_allclose(dissect(micro_model, TEXT).shares, expected, atol=1e-5)


def test_attention_of_the_first_layer_against_plain_loops(micro_model):
    layer, config = micro_model.text_model.layers[0], micro_model.text_model.config
    [ids] = micro_model.tokenize([TEXT])
    size = config.head_dim

    def norm(vector, weight):
        return vector / torch.sqrt((vector**2).mean() + config.rms_norm_eps) * (1 + weight)

    def turned(vector, place):
        out = vector.clone()
        for i in range(size // 2):
            angle = place * 10_000 ** (-2 * i / size)
            a, b = vector[i], vector[i + size // 2]
            out[i] = a * math.cos(angle) - b * math.sin(angle)
            out[i + size // 2] = b * math.cos(angle) + a * math.sin(angle)
        return out

    with torch.inference_mode():
        rows = micro_model.text_model.embed_tokens.weight[ids] * config.hidden_size**0.5
        rows = [norm(row, layer.input_layernorm.weight) for row in rows]
        attention = layer.self_attn
        found = dissect(micro_model, TEXT, causal=True, reach=3)
        for head in range(config.num_attention_heads):
            part = slice(head * size, (head + 1) * size)
            queries = [norm(attention.q_proj.weight[part] @ row, attention.q_norm.weight) for row in rows]
            keys = [norm(attention.k_proj.weight @ row, attention.k_norm.weight) for row in rows]
            for q, query in enumerate(queries):
                seen = range(max(0, q - 3), q + 1)
                scores = [turned(query, q) @ turned(keys[k], k) / math.sqrt(size) for k in seen]
                weights = np.exp(scores) / np.exp(scores).sum()
                np.testing.assert_allclose(found.attention[0, head, q, list(seen)], weights, atol=1e-5)


@pytest.mark.parametrize("length", ["short", "long"])
def test_causal_is_the_decoder_that_the_model_is_made_from(micro_model, tiny_texts, length):
    text = TEXT if length == "short" else long_text(tiny_texts)  # there the window of 512 hides something
    ids, _ = pad_batch(micro_model.tokenize([text]))
    with torch.inference_mode():
        states = CausalDecoder(micro_model).eval().text_model(input_ids=ids).last_hidden_state[0]
        expected = F.normalize(micro_model.merged_dense() @ states.mean(dim=0), dim=0)
    np.testing.assert_allclose(dissect(micro_model, text, causal=True).vector, expected, atol=1e-5)


def test_masks(micro_model):
    found = dissect(micro_model, TEXT, reach=1)
    length = len(found.tokens)
    band = [[abs(q - k) <= 1 for k in range(length)] for q in range(length)]
    np.testing.assert_array_equal(found.allowed[0], band)
    assert found.allowed[5].all()  # the full layer
    np.testing.assert_allclose(found.attention.sum(axis=-1), 1, atol=1e-6)
    assert (found.attention.transpose(1, 0, 2, 3)[:, ~found.allowed] == 0).all()
    both = dissect(micro_model, TEXT, causal=True, reach=1)
    assert [row.nonzero()[0].tolist() for row in both.allowed[0][:3]] == [[0], [0, 1], [1, 2]]
    assert dissect(micro_model, TEXT, reach=0).distance(1) == 0


def test_head_mean_and_distance():
    weights = np.array([[[[1.0, 0], [0, 1]], [[0.0, 1], [0.5, 0.5]]]])
    found = Anatomy(["a", "b"], ["text"] * 2, [1, 2], ["full_attention"], weights[0] >= 0, weights, np.eye(2))
    assert found.head(1).tolist() == [[0.5, 0.5], [0.25, 0.75]]
    assert found.distance(1, 1) == 0
    assert found.distance(1, 2) == 0.75


def test_the_model_is_left_as_it_was(make_micro, monkeypatch):
    model = make_micro()
    model.train()
    before, config = copy.deepcopy(model.state_dict()), model.text_model.config.to_dict()
    dissect(model, TEXT)
    assert model.training
    assert model.text_model.config._attn_implementation == "sdpa"
    assert model.text_model.config.to_dict() == config
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    monkeypatch.setattr(model.text_model, "forward", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        dissect(model, TEXT)
    assert model.text_model.config._attn_implementation == "sdpa"


def test_kinds_of_tokens(micro_model):
    found = dissect(micro_model, "Mars", "query")
    written = "".join(token for token, kind in zip(found.tokens, found.kinds) if kind == "prompt")
    assert found.tokens[-2] == "▁Mars"  # the prompt's last space went into the first token of the text
    assert written.replace("▁", " ") == micro_model.prompts["query"].rstrip()
    assert [found.kinds[0], found.kinds[-1]] == ["ends", "ends"]
    assert all(place <= 0 for place, kind in zip(found.places, found.kinds) if kind == "prompt")
    assert dissect(micro_model, "").kinds == ["ends", "ends"]
    assert set(dissect(micro_model, "<bos>").kinds[1:-1]) == {"text"}  # written by a user, it is text
    odd = dissect(micro_model, "é\ud800 ☃", "STS")
    np.testing.assert_allclose(odd.vector, micro_model.encode("é\ud800 ☃", prompt_name="STS"), atol=1e-6)


def test_a_cut_text_keeps_its_end(micro_model):
    found = dissect(micro_model, TEXT, max_tokens=5)
    assert len(found.tokens) == 5
    assert (found.tokens[-1], found.kinds[-1]) == ("<eos>", "ends")


def test_what_a_prompt_adds():
    def anatomy(kinds, places, parts):
        return Anatomy(kinds, kinds, places, [], None, None, np.array(parts, dtype=float))

    without = anatomy(["ends", "text"], [0, 3], [[0, 0], [2, 0]])
    behind = anatomy(["ends", "prompt", "text"], [0, -1, 3], [[0, 0], [0, 1], [1, 0]])
    effect = prompt_effect(without, behind)
    assert effect == pytest.approx({"cosine": math.sqrt(0.5), "share": 0.5, "cosine of the text's part": 1.0})
    np.testing.assert_allclose(matched_shares(behind, without), [0, np.nan, 1])


def test_the_bytes_of_a_character_are_matched_one_by_one(micro_model):
    plain, behind = dissect(micro_model, "a ☃ b"), dissect(micro_model, "a ☃ b", "query")
    matched = matched_shares(behind, plain)
    found = {i: share for i, share in enumerate(matched) if not np.isnan(share)}
    assert len(found) == len(plain.tokens)
    assert sorted(found.values()) == pytest.approx(sorted(plain.shares))


def test_refusals(micro_model, make_micro):
    with pytest.raises(TypeError, match="text is list, expected one string"):
        dissect(micro_model, ["a"])
    with pytest.raises(ValueError, match=r"prompt_name='querry' is not one of .*query.*, or None"):
        dissect(micro_model, TEXT, "querry")
    with pytest.raises(ValueError, match="reach=-1 is below 0"):
        dissect(micro_model, TEXT, reach=-1)
    with pytest.raises(ValueError, match="layer=7 is not one of 1 to 6"):
        dissect(micro_model, TEXT).head(7)
    with pytest.raises(ValueError, match="head=0 is not one of 1 to 2"):
        dissect(micro_model, TEXT).head(1, 0)
    other = make_micro()
    other.config.pooling = "last"
    with pytest.raises(ValueError, match="pooling is 'last': only a mean"):
        dissect(other, TEXT)
