import sys
import types

import pytest
from runs import quick, run_it

from egemma_lab.train import TensorBoard, train


@pytest.fixture
def pairs(tiny_pairs):
    return tiny_pairs[:64]


def test_the_bar_shows_terms_speed_and_time_left(make_micro, pairs, tmp_path, capsys):
    train(make_micro(), pairs, recipe=quick(steps=2), output=tmp_path, probe=["a"])
    shown = capsys.readouterr().err.split("\r")[-1]
    for words in ("step 2/2", "100%", "loss", "contrastive", "spread_out", "tokens/s", "<"):
        assert words in shown


def test_no_bar(make_micro, pairs, tmp_path, capsys):
    run_it(make_micro(), pairs, tmp_path, steps=1)
    assert capsys.readouterr().err == ""


class FakeWriter:
    """Stands in for torch.utils.tensorboard.SummaryWriter, whose package is an extra of the user's own."""

    made = []  # noqa: RUF012 - of all of them

    def __init__(self, folder, purge_step):
        self.folder, self.purge_step, self.scalars, self.closed = folder, purge_step, [], False
        self.made.append(self)

    def add_scalar(self, name, value, step):
        self.scalars.append((name, value, step))

    def close(self):
        self.closed = True


def test_tensorboard_gets_every_column(make_micro, pairs, tmp_path, monkeypatch):
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = FakeWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    run = run_it(make_micro(), pairs, tmp_path, steps=2, callbacks=[TensorBoard()])
    (writer,) = FakeWriter.made
    assert writer.folder == str(tmp_path / "tensorboard")
    assert (writer.purge_step, writer.closed) == (1, True)
    names = {name for name, _, _ in writer.scalars}
    assert names == set(run.history.columns) - {"step", "source"}
    assert ("loss", run.history["loss"][1], 2) in writer.scalars


def test_tensorboard_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        TensorBoard()
