"""ONNX folders: run by onnxruntime, and by the code in their README, which knows nothing of torch."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from egemma_lab.model import load_model, pad_batch
from egemma_lab.quantize import export, exporting, onnx_file
from egemma_lab.quantize.onnx_file import ONNX_FILES, onnx_vectors

pytestmark = pytest.mark.slow  # torch's exporter thinks for seconds about every layer


@pytest.fixture(scope="module")
def model(exportable):
    model = exportable(seed=3)
    model.max_seq_length = 60
    return model


@pytest.fixture(scope="module")
def written(model, tmp_path_factory):
    """The model in f32: torch's exporter takes its time, so once for all tests."""
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    attention, random = model.text_model.config._attn_implementation, torch.get_rng_state()
    made = export(model, tmp_path_factory.mktemp("onnx") / "small", "onnx")
    assert model.training
    assert model.text_model.config._attn_implementation == attention
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    model.eval()
    return made


@pytest.fixture
def again(written, monkeypatch):
    """Further exports of the same model take the graph from there."""
    graph = written.path / "model.onnx"
    monkeypatch.setattr(onnx_file, "_write_graph", lambda model, path: shutil.copy(graph, path))


def test_any_batch_of_any_length_agrees_with_torch(model, written, nasty_texts):
    assert written.agreement.by == "onnxruntime"
    ids = model.tokenize(nasty_texts, max_length=300)
    assert max(map(len, ids)) > 5 * model.config.text.sliding_window
    for batch in (ids, ids[:1], ids[-1:], [ids[0], ids[-1]], [[2, 1]] * 3, [ids[-1]] * 2):
        with torch.inference_mode():
            expected = model(*pad_batch(batch)).numpy()
        found = onnx_vectors(written.path, batch)
        assert found.dtype == np.float32
        assert abs(found - expected).max() < 1e-5


def test_the_graph_is_open_in_batch_and_length(written):
    graph = onnx.load(written.path / "model.onnx").graph
    axes = {
        each.name: [axis.dim_param or axis.dim_value for axis in each.type.tensor_type.shape.dim]
        for each in graph.input
    }
    assert axes == {"input_ids": ["batch", "length"], "attention_mask": ["batch", "length"]}
    assert [each.name for each in graph.output] == ["vectors"]


def test_the_code_in_the_readme_gives_the_models_vectors(model, written, nasty_texts, tmp_path):
    code = re.search(r"```python\n(.*)```", (written.path / "README.md").read_text("utf-8"), re.DOTALL)[1]
    (tmp_path / "texts.json").write_text(json.dumps(nasty_texts))
    code += f"""
import sys
texts = json.load(open({str(tmp_path / "texts.json")!r}))
np.save({str(tmp_path / "plain.npy")!r}, encode(texts))
np.save({str(tmp_path / "narrow.npy")!r}, encode(texts, "query", 16))
assert not {{"torch", "transformers", "egemma_lab"}} & sys.modules.keys()
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=written.path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("[[")
    with pytest.warns(
        UserWarning, match="longer than 60 tokens"
    ):  # cut by the tokenizer's file as by the model
        expected = model.encode(nasty_texts), model.encode_query(nasty_texts, truncate_dim=16)
    for name, vectors in zip(("plain", "narrow"), expected):
        assert abs(np.load(tmp_path / f"{name}.npy") - vectors).max() < 1e-5


def test_what_lies_in_the_folder(model, written):
    assert {path.name for path in written.path.iterdir()} == set(ONNX_FILES)
    assert written.size == sum(path.stat().st_size for path in written.path.iterdir())
    settings = json.loads((written.path / "egemma_lab.json").read_text("utf-8"))
    assert settings["prompts"] == model.prompts
    assert settings["widths"] == [64, 16]
    assert "cut to: 64, 16" in (written.path / "README.md").read_text("utf-8")


def test_int8_is_smaller_and_near(model, written, again, nasty_texts, tmp_path):
    small = export(model, tmp_path / "int8", "onnx", "int8")
    assert 1e-6 < small.agreement.found < 0.02
    assert {path.name for path in small.path.iterdir()} == set(ONNX_FILES)
    sizes = [(folder / "model.onnx").stat().st_size for folder in (small.path, written.path)]
    kept = model.dense_up.weight.numel() * 4  # bytes of the first Dense layer, which stays as it is
    assert sizes[0] - kept < 0.6 * sizes[1]  # of the nano it is 0.29; here the graph itself weighs 300 kB
    kinds = {node.op_type for node in onnx.load(small.path / "model.onnx").graph.node}
    assert "MatMulInteger" in kinds
    session = onnxruntime.InferenceSession(small.path / "model.onnx", providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["input_ids", "attention_mask"]


def test_a_folder_that_disagrees_is_not_written(model, written, again, tmp_path, monkeypatch):
    folder = shutil.copytree(written.path, tmp_path / "small")
    (folder / "README.md").write_text("an earlier export")
    monkeypatch.setattr(exporting, "onnx_vectors", lambda folder, ids: onnx_vectors(folder, ids)[::-1])
    with pytest.raises(
        RuntimeError, match=r"small was not written, because it disagrees .* onnxruntime: .* [0-9.]+ \("
    ):
        export(model, folder, "onnx")
    assert (folder / "README.md").read_text() == "an earlier export"
    monkeypatch.setattr(exporting, "onnx_vectors", onnx_vectors)
    export(model, folder, "onnx")
    assert "an earlier export" not in (folder / "README.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_every_pooling_goes_into_a_graph(exportable, tmp_path):
    """The mean is in all the others; tracing whole models for these would take a minute."""
    models = [exportable(pooling=pooling) for pooling in ("first", "last", "attention")]
    torch.nn.init.normal_(models[2].attention_pooling.query)

    class Poolings(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.models = torch.nn.ModuleList(models)

        def forward(self, states, mask):
            return torch.stack([model.pool(states, mask) for model in self.models])

    states, mask = torch.randn(2, 5, 64), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    with onnx_file._quiet():
        program = torch.onnx.export(
            Poolings().eval(), (states, mask), dynamo=True, verbose=False, dynamic_shapes=(axes, axes)
        )
    program.save(tmp_path / "poolings.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "poolings.onnx", providers=["CPUExecutionProvider"])
    states, mask = torch.randn(3, 4, 64), torch.tensor([[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]])
    names = [each.name for each in session.get_inputs()]
    found = session.run(None, dict(zip(names, (states.numpy(), mask.numpy()))))[0]
    assert abs(found - Poolings()(states, mask).detach().numpy()).max() < 1e-5


def test_the_bundled_nano_in_int8(tmp_path):
    """A trained model's activations have outliers that no fresh one's have."""
    written = export(load_model("nano"), tmp_path / "int8", "onnx", "int8")
    assert written.agreement.found < 0.01
