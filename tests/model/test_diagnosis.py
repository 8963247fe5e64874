"""doctor: a healthy model passes, and each thing that can be broken is seen by its own row."""

import copy

import pytest
import torch
import torch.nn.functional as F
from transformers import Gemma3TextConfig, PreTrainedConfig

from egemma_lab.model import doctor, embedding_gemma, machine_report
from egemma_lab.model.model_checks import CHECKS


def failed(model):
    return {row.check for row in doctor(model).failed}


def test_healthy_model_passes_every_check(micro_model):
    report = doctor(micro_model)
    assert report.ok, str(report)
    assert [row.check for row in report.rows][-len(CHECKS) :] == list(CHECKS)
    found = {row.check: row.found for row in report.rows}
    assert found["sliding layers see their window"] == "256 tokens back, 256 ahead, of 297"
    assert found["the window survives saving"] == "512 -> 512 -> 512"


def test_bfloat16_model_passes_too(make_micro):
    report = doctor(make_micro().to(torch.bfloat16))
    assert report.ok, str(report)


def test_without_model_only_the_machine_is_described():
    report = doctor()
    names = [row.check for row in report.rows]
    assert report.ok
    assert names[:4] == ["egemma_lab", "python", "torch", "transformers"]
    assert {"sentence-transformers", "tokenizers", "CPU"} <= set(names)
    assert torch.__version__.split("+")[0] in str(report)
    assert "bfloat16" in next(row.found for row in report.rows if row.check == "CPU")


def test_library_that_is_too_old_is_a_failed_row(monkeypatch):
    installed = machine_report.version
    old = {"transformers": "4.56.0"}
    monkeypatch.setattr(machine_report, "version", lambda name: old.get(name) or installed(name))
    (row,) = doctor().failed
    assert (row.check, row.found) == ("transformers", "4.56.0")
    assert ">=5.17" in row.expected


def test_folders_are_opened_and_broken_ones_reported(saved, copy):
    assert doctor(saved).ok
    (copy / "2_Dense" / "model.safetensors").unlink()
    (row,) = doctor(str(copy)).failed
    assert row.check == "opens"
    assert "2_Dense/model.safetensors is missing" in row.found


def test_measuring_changes_nothing(make_micro):
    model = make_micro().train()
    weights = copy.deepcopy(model.state_dict())
    doctor(model)
    assert model.training
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.text_model.layers)


# One break each, and the rows that must see it.


def test_causal_attention(make_micro, make_causal):
    model = make_micro()
    make_causal(model)
    assert "attention is bidirectional" in failed(model)


def with_masks(monkeypatch, change):
    honest = embedding_gemma.attention_masks
    monkeypatch.setattr(
        embedding_gemma, "attention_masks", lambda mask, window, how: change(honest, mask, window, how)
    )


def test_doubled_window(make_micro, monkeypatch):
    with_masks(monkeypatch, lambda masks, mask, window, how: masks(mask, 2 * window, how))
    assert failed(make_micro()) == {"sliding layers see their window"}


def test_window_off_by_one(make_micro, monkeypatch):
    with_masks(monkeypatch, lambda masks, mask, window, how: masks(mask, window - 1, how))
    assert failed(make_micro()) == {"sliding layers see their window"}


def test_full_layers_behind_a_window(make_micro, monkeypatch):
    def change(masks, mask, window, how):
        both = masks(mask, window, how)
        return {**both, "full_attention": both["sliding_attention"]}

    with_masks(monkeypatch, change)
    assert failed(make_micro()) == {"full layers see everything"}


def test_window_halved_by_saving(make_micro, monkeypatch):
    """What transformers did before 5.16."""
    model = make_micro()
    monkeypatch.setattr(Gemma3TextConfig, "to_dict", PreTrainedConfig.to_dict)
    assert "the window survives saving" in failed(model)
    assert "257 -> 129 -> 65" in str(doctor(model))


def test_tokenizer_that_adds_no_eos(make_micro):
    model = make_micro()
    model.tokenizer = copy.deepcopy(model.tokenizer)
    bos = model.tokenizer.bos_token
    model.tokenizer.backend_tokenizer.post_processor = type(model.tokenizer.backend_tokenizer.post_processor)(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, 2)]
    )
    assert failed(model) == {"BOS and EOS are added"}


@pytest.mark.parametrize("role", ["query", "document"])
def test_prompt_left_out_or_swapped(make_micro, role):
    row = f"the {role} prompt is applied"
    empty = make_micro()
    empty.prompts = {}
    assert failed(empty) == {"the query prompt is applied", "the document prompt is applied"}
    ignoring = make_micro()
    setattr(ignoring, f"encode_{role}", lambda texts: ignoring.encode(texts))
    assert failed(ignoring) == {row}
    swapped = make_micro()
    setattr(swapped, f"encode_{role}", lambda texts: swapped.encode(texts, prompt_name="STS"))
    assert failed(swapped) == {row}


def test_dense_layers_left_out(make_micro, monkeypatch):
    def forward(self, input_ids, attention_mask):
        return F.normalize(
            embedding_gemma.mean_pool(self.token_states(input_ids, attention_mask), attention_mask)
        )

    monkeypatch.setattr(embedding_gemma.EmbeddingGemma, "forward", forward)
    assert failed(make_micro()) == {"both Dense layers are applied"}


def test_dense_layers_that_do_nothing(make_micro):
    model = make_micro()
    with torch.no_grad():
        model.dense_up.weight.copy_(torch.eye(256, 64))
        model.dense_down.weight.copy_(torch.eye(64, 256))
    assert failed(model) == {"both Dense layers are applied"}


@pytest.mark.parametrize("layer", [torch.nn.Linear(64, 256, bias=True), torch.nn.Linear(64, 128, bias=False)])
def test_dense_layer_of_another_kind(make_micro, layer):
    model = make_micro()
    model.dense_up = layer
    assert "both Dense layers are applied" in failed(model)


def test_dense_replaced_by_identity(make_micro):
    model = make_micro()
    model.dense_up = torch.nn.Identity()
    assert "both Dense layers are applied" in failed(model)
    assert "AttributeError" in str(doctor(model))


def test_normalisation_left_out(make_micro, monkeypatch):
    honest = embedding_gemma.EmbeddingGemma.forward
    monkeypatch.setattr(
        embedding_gemma.EmbeddingGemma, "forward", lambda self, *batch: 1.5 * honest(self, *batch)
    )
    assert "vectors have unit length" in failed(make_micro())


def test_padding_in_the_mean(make_micro, monkeypatch):
    monkeypatch.setattr(embedding_gemma, "mean_pool", lambda states, mask: states.float().mean(dim=1))
    assert "padding changes no vector" in failed(make_micro())


def test_padding_in_the_attention(make_micro, monkeypatch):
    with_masks(monkeypatch, lambda masks, mask, window, how: masks(torch.ones_like(mask), window, how))
    assert "padding changes no vector" in failed(make_micro())


def test_float16_weights(make_micro):
    report = doctor(make_micro().to(torch.float16))
    rows = {row.check: row for row in report.failed}
    assert "activations" in rows["the dtype is safe"].found


def test_nan_weights(make_micro):
    model = make_micro()
    with torch.no_grad():
        model.dense_up.weight[0, 0] = torch.nan
    assert {"the dtype is safe", "padding changes no vector", "vectors have unit length"} <= failed(model)


def test_float16_let_through(make_micro, monkeypatch):
    monkeypatch.setattr(embedding_gemma.EmbeddingGemma, "_refuse_float16", lambda self: None)
    assert failed(make_micro()) == {"float16 is refused"}


def test_model_without_tokenizer_is_told(make_micro):
    model = make_micro()
    model.tokenizer = None
    rows = {row.check: row.found for row in doctor(model).failed}
    assert "no tokenizer" in rows["BOS and EOS are added"]
    assert "attention is bidirectional" not in rows


def test_report_as_html_names_everything_and_escapes(micro_model):
    html = doctor(micro_model)._repr_html_()
    assert html.count("<tr>") == len(doctor(micro_model).rows) + 1
    assert "all" in html
    assert "checks passed" in html
    assert "&lt;6,&gt;=5.17" in html
