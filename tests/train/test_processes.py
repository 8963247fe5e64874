"""`accelerate launch`: each process takes its share of a batch, all end with the same weights."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from runs import launch, quick

from egemma_lab.data import BatchPlan
from egemma_lab.train import load_run
from egemma_lab.train.processes import agree, share_of_batch, shared_mean, shared_sum


@pytest.mark.parametrize("adapters", [False, True])
def test_two_processes(make_micro, tmp_path, adapters):
    what = ["micro"]
    if adapters:
        make_micro().save_pretrained(tmp_path / "model")
        what = [tmp_path / "model", 4]
    done = launch(2, "launched.py", tmp_path / "run", *what, ACCELERATE_MIXED_PRECISION="fp16")
    assert done.returncode == 0, done.stderr
    first, second = ((tmp_path / f"run-{rank}.txt").read_text() for rank in range(2))
    assert [line.split()[0] for line in first.splitlines()] == ["interrupted", "finished"]
    assert first == second  # the processes agree, before and after resuming
    run = load_run(tmp_path / "run")
    assert run.info["machine"]["processes"] == 2
    assert run.info["precision"] == "float32"  # the launcher's fp16 is not ours
    assert run.history["step"].tolist() == [1, 2, 3, 4, 5]
    assert run.status == "finished"


class Two:
    """Accelerator of the second of two processes, as far as `share_of_batch` looks."""

    num_processes = 2
    process_index = 1


def test_shares_make_up_the_batch(tiny_pairs):
    batch = BatchPlan(tiny_pairs, 8).batch(3)
    share = share_of_batch(Two, batch)
    assert share.anchors == batch.anchors[4:]
    assert share.negatives == batch.negatives[4:]
    assert np.array_equal(share.query_ids, batch.query_ids[4:])
    assert share.source is batch.source


def test_one_process_is_left_as_it_is(tiny_pairs):
    one = SimpleNamespace(num_processes=1)
    batch = BatchPlan(tiny_pairs, 8).batch(0)
    assert share_of_batch(one, batch) is batch
    assert shared_mean(one, {"loss": torch.tensor(0.1)}) == {"loss": pytest.approx(0.1)}
    assert shared_sum(one, 7) == 7
    assert agree(one, 1.5, False) == (1.5, False)


def test_a_batch_that_cannot_be_shared(make_micro, tiny_pairs, tmp_path, monkeypatch):
    from egemma_lab.train import train

    monkeypatch.setattr("accelerate.Accelerator", lambda **_: SimpleNamespace(num_processes=3))
    with pytest.raises(ValueError, match="batch_size=8 cannot be shared by 3 processes"):
        train(make_micro(), tiny_pairs, recipe=quick(), output=tmp_path)
