"""Several processes compute the gradient of the whole batch: that of one process, negatives of all shares included."""

from types import SimpleNamespace

import pytest
import torch
from gathered import CASES, gradient
from runs import launch


@pytest.mark.parametrize("processes", [2, 4])
def test_the_gradient_is_that_of_one_process(processes, tmp_path):
    done = launch(processes, "gathered.py", tmp_path / "found.pt")
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    one = SimpleNamespace(num_processes=1)
    for case in CASES:  # with and without the gradient cache, with and without adapters
        expected, terms = gradient(one, *case)
        several, their_terms = found[case]
        assert expected.norm() > 1e-3
        assert torch.allclose(several, expected, rtol=0, atol=1e-6 * expected.abs().max())
        assert their_terms == pytest.approx(terms, rel=1e-6)
