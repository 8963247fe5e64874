import os

import pytest
from fake_teacher import FakeTeacher
from runs import At, assert_same, quick, run_it

from egemma_lab.model import new_model, preset_config
from egemma_lab.train import Callback, load_run, train
from egemma_lab.train.folder import RunFolder
from egemma_lab.train.machine import best_precision


@pytest.fixture
def pairs(tiny_pairs):
    return tiny_pairs[:64]


@pytest.fixture(scope="module")
def finished(make_micro, tiny_pairs, tmp_path_factory):
    """The folder of a finished run; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("finished")
    run_it(make_micro(), tiny_pairs[:64], folder, teacher=FakeTeacher(96), weights={}, steps=3)
    return folder


def stop(state):
    state.stop()


# taking up a run ------------------------------------------------------------------------------------------


def test_a_finished_run_is_returned_at_once(make_micro, pairs, finished):
    before = {
        path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.name not in (".lock", ".writer")
    }
    model = make_micro(seed=5)
    heard = []
    run = run_it(
        model, pairs, finished, teacher=FakeTeacher(96), weights={}, steps=3, callbacks=[At(1, heard.append)]
    )
    assert run.status == "finished"
    assert heard == []
    assert run.model is model
    assert (model.encode(["text"]) == load_run(finished).model.encode(["text"])).all()
    after = {
        path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.name not in (".lock", ".writer")
    }
    assert after == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"temperature": 0.1}, "temperature was 0.05 and is 0.1"),
        ({"steps": 4}, "steps was 3 and is 4"),
        ({"minutes": 1, "steps": None}, "minutes was None and is 1.0"),
        ({"weights": {"matching": 2}}, "weights was .*'matching': 1.0.* and is .*'matching': 2.0"),
    ],
)
def test_another_recipe_is_refused_by_field(make_micro, pairs, finished, changes, words):
    with pytest.raises(ValueError, match=words):
        run_it(
            make_micro(), pairs, finished, teacher=FakeTeacher(96), **{"weights": {}, "steps": 3, **changes}
        )


def test_how_often_to_save_may_change(make_micro, pairs, finished):
    changes = {"save_every": 1, "keep_checkpoints": 5}
    run_it(make_micro(), pairs, finished, teacher=FakeTeacher(96), weights={}, steps=3, **changes)


def test_other_data_are_refused(make_micro, pairs, finished):
    with pytest.raises(ValueError, match=r"data \(pairs were {'data': 64}, now {'data': 63}\)"):
        run_it(make_micro(), pairs[:63], finished, teacher=FakeTeacher(96), weights={}, steps=3)
    changed = [*pairs[:63], {**pairs[63], "positive": "something else"}]
    with pytest.raises(ValueError, match="data"):
        run_it(make_micro(), changed, finished, teacher=FakeTeacher(96), weights={}, steps=3)


def test_another_teacher_is_refused(make_micro, pairs, finished):
    with pytest.raises(ValueError, match=r"teacher \(was fake-96, now fake-72\)"):
        run_it(make_micro(), pairs, finished, teacher=FakeTeacher(72), weights={}, steps=3)


def test_another_model_is_refused(tiny_tokenizer, tiny_texts, make_micro, pairs, finished):
    from egemma_lab.model import train_tokenizer

    other = new_model("micro", train_tokenizer(tiny_texts, vocab_size=450))
    with pytest.raises(ValueError, match=r"model \(parameters\); model \(shape\); model \(tokenizer\)"):
        run_it(other, pairs, finished, teacher=FakeTeacher(96), weights={}, steps=3)
    with pytest.raises(ValueError, match=r"model \(name\)"):
        run_it("nano", pairs, finished, teacher=FakeTeacher(96), weights={}, steps=3)


def test_a_damaged_checkpoint_costs_steps_not_the_run(make_micro, pairs, tmp_path):
    whole = run_it(make_micro(), pairs, tmp_path / "whole")
    run_it(make_micro(), pairs, tmp_path / "part", callbacks=[At(5, stop)])
    (tmp_path / "part" / "checkpoints" / "step-000005" / "model.safetensors").write_bytes(b"x")
    with pytest.warns(
        UserWarning, match=r"step-000005 is damaged \(model.safetensors is not what was written\)"
    ):
        run = run_it(make_micro(), pairs, tmp_path / "part")
    assert_same(whole, run)


def test_a_damaged_history_is_refused(make_micro, pairs, tmp_path):
    run_it(make_micro(), pairs, tmp_path, callbacks=[At(4, stop)])
    lines = (tmp_path / "history.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "history.jsonl").write_text("".join(lines[1:]))
    with pytest.raises(ValueError, match="does not hold the 4 steps"):
        run_it(make_micro(), pairs, tmp_path)


def test_resume_false_moves_the_earlier_run_aside(make_micro, pairs, tmp_path):
    folder = tmp_path / "run"
    first = run_it(make_micro(), pairs, folder, steps=2)
    for temperature in (0.1, 0.2):
        again = run_it(make_micro(), pairs, folder, steps=2, temperature=temperature, resume=False)
    assert again.recipe.temperature == 0.2
    assert load_run(tmp_path / "run.previous").recipe.temperature == 0.1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run.previous"]
    assert first.folder == folder


def test_a_run_from_a_preset_takes_up_its_own_tokenizer(pairs, tmp_path):
    whole = run_it("micro", pairs, tmp_path / "whole", steps=4)
    run_it("micro", pairs, tmp_path / "part", steps=4, callbacks=[At(1, stop)])
    assert_same(whole, run_it("micro", pairs, tmp_path / "part", steps=4))


# the folder -----------------------------------------------------------------------------------------------


def test_a_second_process_is_refused(make_micro, pairs, tmp_path):
    files = RunFolder(tmp_path / "run")
    with files.lock(), pytest.raises(RuntimeError, match=f"process {os.getpid()}"):
        run_it(make_micro(), pairs, tmp_path / "run")
    run_it(make_micro(), pairs, tmp_path / "run", steps=1)  # the lock is free again


def test_other_peoples_files_are_left_alone(make_micro, pairs, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match=r"holds no run but other files \(thesis.tex\)"):
        run_it(make_micro(), pairs, tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        run_it(make_micro(), pairs, tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_set_up_that_was_killed_is_begun_again(make_micro, pairs, tmp_path):
    run_it(make_micro(seed=4), pairs, tmp_path, steps=1)
    (tmp_path / "run.json").unlink()  # written last: without it the set-up was not complete
    (tmp_path / ".unfinished-run.json").write_text("{")
    (tmp_path / ".start-abc").mkdir()
    run = run_it(make_micro(), pairs, tmp_path, steps=2)
    assert run.status == "finished"
    assert run.history["step"].tolist() == [1, 2]
    assert not (tmp_path / ".unfinished-run.json").exists()
    assert not (tmp_path / ".start-abc").exists()


def test_load_run_of_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run"):
        load_run(tmp_path)


# what cannot be trained -----------------------------------------------------------------------------------


def test_no_teacher_to_match(make_micro, pairs, tmp_path):
    with pytest.raises(ValueError, match=r"teacher=lab.load_teacher\(\)"):
        run_it(make_micro(), pairs, tmp_path, weights={})


def test_a_teacher_narrower_than_the_student(make_micro, pairs, fake_teacher, tmp_path):
    with pytest.raises(ValueError, match="48 wide and the student 64"):
        run_it(make_micro(), pairs, tmp_path, teacher=fake_teacher, weights={})


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"model": 3}, TypeError, "model is a int"),
        ({"teacher": 3}, TypeError, "teacher is a int without encode"),
        ({"callbacks": [Callback]}, TypeError, "is no object with any of the methods on_start"),
        ({"callbacks": [print]}, TypeError, "is no object"),
        ({"probe": []}, ValueError, "probe is empty"),
        ({"probe": ["a", 3]}, (TypeError, ValueError), "3|int"),
        ({"probe": [{"text": "a", "role": "other"}]}, ValueError, r"probe\[0\]"),
        ({"vocab_size": 500}, ValueError, "own tokenizer"),
        ({"recipe": quick(dims=[128, 64])}, ValueError, "beyond the model's width 64"),
        ({"recipe": quick(dim_weights=[1, 1])}, ValueError, "dim_weights=.* has 2 entries"),
        ({"recipe": quick(max_tokens=4000, token_budget=4000)}, ValueError, "at most 2048"),
        ({"recipe": quick(batch_size=65)}, ValueError, "batch_size=65"),
        ({"recipe": quick(warm_start=True)}, ValueError, "needs a preset's name"),
        ({"pairs": []}, ValueError, "pairs|rows"),
        ({"pairs": [("a", "b")]}, ValueError, "batch_size=8"),
    ],
)
def test_wrong_arguments(make_micro, pairs, tmp_path, wrong, error, words):
    arguments = {
        "model": make_micro(),
        "pairs": pairs,
        "recipe": quick(),
        "output": tmp_path / "run",
        **wrong,
    }
    with pytest.raises(error, match=words):
        train(**arguments)
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_model_that_is_not_there(pairs, tmp_path):
    with pytest.raises(FileNotFoundError):
        run_it(tmp_path / "no-model", pairs, tmp_path / "run")


# choices --------------------------------------------------------------------------------------------------


def test_vocab_size_of_a_preset(pairs, tmp_path):
    run = train(
        "micro",
        pairs,
        recipe=quick(steps=1),
        output=tmp_path,
        vocab_size=400,
        probe=["a"],
        show_progress_bar=False,
    )
    assert len(run.model.tokenizer) <= 400
    assert (
        run.model.config.text.vocab_size == len(run.model.tokenizer) < preset_config("micro").text.vocab_size
    )


def test_a_folder_as_model(make_micro, pairs, tmp_path):
    make_micro(seed=2).save_pretrained(tmp_path / "model")
    one = run_it(str(tmp_path / "model"), pairs, tmp_path / "1", steps=2)
    two = run_it(tmp_path / "model", pairs, tmp_path / "2", steps=2)
    three = run_it(make_micro(seed=2), pairs, tmp_path / "3", steps=2)
    assert_same(one, two)
    assert_same(one, three)


def test_a_warm_start(pairs, tmp_path):
    teacher = FakeTeacher(96)
    cold = run_it("micro", pairs, tmp_path / "cold", teacher=teacher, weights={}, steps=1)
    warm = run_it("micro", pairs, tmp_path / "warm", teacher=teacher, weights={}, steps=1, warm_start=True)
    rows = [run.start.text_model.embed_tokens.weight[1:].norm(dim=1) for run in (cold, warm)]
    assert rows[0].std() > 0.01
    assert rows[1].std() < 1e-5  # a teacher's unit vectors


def test_precision_auto():
    import torch

    assert best_precision("float32", torch.device("cpu")) == "float32"
    assert best_precision("auto", torch.device("cpu")) in ("float32", "bfloat16")
    assert best_precision("auto", torch.device("mps")) == "float32"


@pytest.mark.parametrize(
    ("tiles", "instructions", "maker", "expected"),
    [
        (True, True, "vendor_id: GenuineIntel", "bfloat16"),
        (False, True, "vendor_id: GenuineIntel", "float32"),
        (False, True, "vendor_id: AuthenticAMD", "bfloat16"),
        (False, False, "vendor_id: AuthenticAMD", "float32"),
    ],
)
def test_precision_auto_on_a_processor(monkeypatch, tiles, instructions, maker, expected):
    import torch

    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    monkeypatch.setattr("egemma_lab.train.machine._processor", lambda: maker)
    assert best_precision("auto", torch.device("cpu")) == expected
