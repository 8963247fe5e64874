"""The exercises of notebook 02: their answers are what the package computes."""

import numpy as np
import pytest
import torch

from egemma_lab.explore.questions import QUESTIONS
from egemma_lab.model import preset_config
from egemma_lab.model.attention_masks import attention_masks
from egemma_lab.model.pooling import mean_pool
from egemma_lab.train.denoising import corrupt, restore


def answer(name):
    return QUESTIONS[f"the_model/{name}"].answer


def test_the_norm_is_that_of_the_library():
    from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm

    norm = Gemma3RMSNorm(2)
    norm.weight.data = torch.tensor([0.0, 1.0])
    assert norm(torch.tensor([1.0, 7.0])).tolist() == pytest.approx(answer("rms_norm_by_hand"), abs=1e-5)


def test_the_window_is_that_of_the_masks():
    window = preset_config("300m").text.sliding_window
    mask = attention_masks(torch.ones(1, 2000), window)["sliding_attention"]
    assert mask[0, 0, 1000].sum() == answer("window_of_a_middle_token")


def test_the_mean_leaves_padding_out():
    states = torch.tensor([[[2.0, 0.0], [4.0, 6.0], [9.0, 9.0]]])
    assert tuple(mean_pool(states, torch.tensor([[1, 1, 0]]))[0].tolist()) == answer("a_mean_with_padding")


def test_the_weights_of_the_dense_layers():
    config = preset_config("300m")
    hidden, wide, out = config.text.hidden_size, config.dense_width, config.output_width
    assert (hidden * wide + wide * out) / (hidden * out) == answer("one_matrix_for_two")


def test_the_target_is_what_corrupt_makes():
    words = dict(enumerate(["<eos>", "<mode>", *"abcdef", "<0>", "<1>"]))
    tokens = np.arange(2, 8)
    inputs, targets = corrupt(tokens, [0, 1, 1, 0, 0, 1], [8, 9], mode=1, eos=0)
    assert " ".join(words[i] for i in inputs[1:]) == "a <0> d e <1>"
    assert " ".join(words[i] for i in targets) == answer("what_the_decoder_must_say")
    assert restore(inputs, targets, [8, 9]).tolist() == tokens.tolist()


@pytest.mark.parametrize("given", ["b c f", "<0> b c <1> f <EOS> ", ["<0>", "b"]])
def test_other_strings_get_an_answer(given):
    verdict = QUESTIONS["the_model/what_the_decoder_must_say"].check(given)
    assert verdict.right is (given == "<0> b c <1> f <EOS> ")  # capitals and outer spaces do not matter
