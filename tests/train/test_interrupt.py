import os
import signal

import pytest
from runs import At, assert_same, run_it

from egemma_lab.train import load_run
from egemma_lab.train.interrupt import InterruptFlag


def press(state=None):
    os.kill(os.getpid(), signal.SIGINT)


def press_twice(state):
    press()
    press()


@pytest.fixture
def pairs(tiny_pairs):
    return tiny_pairs[:64]


def test_ctrl_c_saves_and_returns_a_usable_run(make_micro, pairs, tmp_path, capsys):
    whole = run_it(make_micro(), pairs, tmp_path / "whole")
    handler = signal.getsignal(signal.SIGINT)
    run = run_it(make_micro(), pairs, tmp_path / "part", callbacks=[At(3, press)])
    assert signal.getsignal(signal.SIGINT) is handler
    assert (run.status, run.step) == ("interrupted", 3)
    assert not run.model.training
    assert run.model.encode_query(["still here"]).shape == (1, 64)
    assert (tmp_path / "part" / "checkpoints" / "step-000003").is_dir()
    assert load_run(tmp_path / "part").model.encode(["from disk"]).shape == (1, 64)
    assert_same(whole, run_it(make_micro(), pairs, tmp_path / "part"))


def test_a_second_ctrl_c_stops_at_once_and_the_run_can_still_go_on(make_micro, pairs, tmp_path):
    whole = run_it(make_micro(), pairs, tmp_path / "whole")
    model = make_micro()
    with pytest.raises(KeyboardInterrupt):
        run_it(model, pairs, tmp_path / "part", callbacks=[At(5, press_twice)])
    assert not model.training
    assert_same(whole, run_it(make_micro(), pairs, tmp_path / "part"))


def test_the_message_says_where_and_how_to_go_on(make_micro, pairs, tmp_path, capsys):
    from runs import quick

    from egemma_lab.train import train

    train(make_micro(), pairs, recipe=quick(), output=tmp_path, callbacks=[At(2, press)], probe=["a"])
    shown = capsys.readouterr().err
    assert "Stopped after step 2" in shown
    assert str(tmp_path) in shown
    assert "tokens/s" in shown


def test_outside_the_main_thread_it_leaves_signals_alone():
    from concurrent.futures import ThreadPoolExecutor

    def enter():
        with InterruptFlag() as flag:
            return flag.pressed

    with ThreadPoolExecutor() as pool:
        assert pool.submit(enter).result() is False
