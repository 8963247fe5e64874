"""Several processes compute the gradient of the whole batch: that of one process, negatives of all shares included."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from gathered import gradient

HERE = Path(__file__).parent


@pytest.mark.parametrize("processes", [2, 4])
def test_the_gradient_is_that_of_one_process(processes, tmp_path):
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    paths = os.pathsep.join([str(HERE), str(HERE.parent)])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        [sys.executable, *launch, str(HERE / "gathered.py"), str(tmp_path / "found.pt")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    one = SimpleNamespace(num_processes=1)
    for cache in (False, True):
        expected, terms = gradient(one, cache)
        several, their_terms = found[cache]
        assert expected.norm() > 1e-3
        assert torch.allclose(several, expected, rtol=0, atol=1e-6 * expected.abs().max())
        assert their_terms == pytest.approx(terms, rel=1e-6)
