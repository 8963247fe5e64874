import numpy as np
import pandas as pd
import pytest
from films import make_film

from egemma_lab.explore import compare_runs
from egemma_lab.explore.compare_runs_curves import comparison_curves
from egemma_lab.explore.compare_runs_fresh import describe_changes, free_folder, fresh_recipe
from egemma_lab.losses import register_term
from egemma_lab.train import Recipe


def assert_drawn(panel, figure):
    for trace, pure in zip(panel.curves.data, figure.data, strict=True):
        assert np.array_equal(np.asarray(trace.x, float), np.asarray(pure.x, float))
        assert np.array_equal(np.asarray(trace.y, float), np.asarray(pure.y, float))
        assert (trace.name, trace.xaxis) == (pure.name, pure.xaxis)
    assert panel.curves.layout.title.text == figure.layout.title.text
    assert panel.curves.layout.annotations == figure.layout.annotations


def history(**columns):
    return pd.DataFrame({"step": [1, 2, 3], "loss": [3.0, 2.0, 1.0], **columns})


def test_controls_draw_what_the_pure_function_says():
    panel = compare_runs({"a": history(**{"contrastive/64": [1.0, 2.0, 3.0]}), "b": make_film()})
    assert_drawn(panel, comparison_curves(panel.runs))
    panel.part.value = "64"
    assert_drawn(panel, comparison_curves(panel.runs, part="64"))
    panel.smooth.value = 4
    panel.along.value = "share"
    assert_drawn(panel, comparison_curves(panel.runs, part="64", along="share", smooth=4))


def test_a_run_can_be_added():
    panel = compare_runs({"a": make_film()})
    panel.add({"b": make_film(seed=1)}, {"c": history(**{"contrastive/32": [1.0, 2.0, 3.0]})})
    assert [run.name for run in panel.runs] == ["a", "b", "c"]
    assert panel.part.options[-1] == ("width 32", "32")
    assert_drawn(panel, comparison_curves(panel.runs))
    assert ("b, end", ("b", "end")) in panel.maps.right.options
    with pytest.raises(ValueError, match="two runs are called 'a'"):
        panel.add({"a": make_film()})
    assert len(panel.runs) == 3


def test_a_run_can_be_added_while_one_width_is_looked_at():
    wide = {
        f"{term}/{width}": [1.0, 2.0, 3.0] for term in ("contrastive", "spread_out") for width in (64, 32)
    }
    panel = compare_runs({"a": history(**wide)})
    panel.part.value = "32"
    panel.add({"b": history(**wide)})
    assert panel.error is None
    assert panel.part.value == "32"
    assert_drawn(panel, comparison_curves(panel.runs, part="32"))


@pytest.fixture
def panel(tiny_pairs, fake_teacher, tmp_path):
    fake_teacher = type(fake_teacher)(width=64)
    film = make_film()
    film.texts[:] = [row["anchor"] for row in tiny_pairs[:12]] + [row["positive"] for row in tiny_pairs[:12]]
    found = compare_runs({"before": film}, pairs=tiny_pairs, teacher=fake_teacher, output=tmp_path)
    found.fresh.start.value, found.fresh.minutes.min = "micro", 0.001
    found.fresh.minutes.value = 0.03
    return found


def test_a_fresh_run_joins_the_comparison(panel, tmp_path):
    form = panel.fresh
    form.weights["spread_out"].value, form.temperature.value, form.hardness.value = 0.0, 0.1, 2.0
    form.train.click()
    assert form.train.disabled
    assert not form.stop.disabled
    form.run.join()
    assert panel.error is None, panel.message.value
    assert [run.name for run in panel.runs] == ["before", "fresh-1 (spread-out 0, τ 0.1, α 2)"]
    recipe = Recipe.from_yaml(tmp_path / "fresh-1" / "recipe.yaml")
    assert (recipe.weights["spread_out"], recipe.temperature, recipe.hardness) == (0, 0.1, 2)
    assert recipe.minutes == pytest.approx(0.03)
    assert form.bar.value == 1
    assert "finished" in form.words.value
    assert not form.train.disabled
    # it was probed with the first run's texts, so that its map can be linked
    panel.maps.right.value = (panel.runs[1].name, "end")
    assert len(panel.maps.texts) == 24
    assert_drawn(panel, comparison_curves(panel.runs))


def test_stop_ends_a_run_early_and_it_still_counts(panel):
    panel.fresh.minutes.value = 20
    panel.fresh.train.click()
    panel.fresh.stop.click()
    panel.fresh.run.join()
    assert panel.error is None, panel.message.value
    assert "interrupted" in panel.fresh.words.value
    assert len(panel.runs) == 2


def test_one_run_at_a_time(panel):
    panel.fresh.minutes.value = 20
    panel.fresh.train.click()
    panel.fresh.train.click()  # ipywidgets logs what a button raises
    assert "RuntimeError</b>: a run is under way" in panel.message.value
    panel.fresh.run.stop()
    panel.fresh.run.join()


def test_an_error_shows_and_is_raised():
    panel = compare_runs(make_film())
    panel.runs.append("no run")
    with pytest.raises(AttributeError):
        panel.smooth.value = 3
    assert "AttributeError" in panel.message.value


def test_an_error_of_the_run_shows(tmp_path, fake_teacher):
    panel = compare_runs(make_film(), pairs=[("one", "two")], teacher=fake_teacher, output=tmp_path)
    panel.fresh.start.value = "micro"
    panel.fresh.train.click()
    panel.fresh.run.join()
    assert "ValueError" in panel.message.value
    assert "ended with an error" in panel.fresh.words.value
    assert not panel.fresh.train.disabled


def test_a_run_that_fails_before_start_returns_can_be_begun_anew(panel, monkeypatch):
    def start_and_fail(*_, **__):
        panel.fresh._failed(ValueError("at once"))

    monkeypatch.setattr(panel.fresh.run, "start", start_and_fail)
    panel.fresh.train.click()
    assert (panel.fresh.train.disabled, panel.fresh.stop.disabled) == (False, True)


def test_settings_that_cannot_be_trained_show_at_once(panel):
    for slider in panel.fresh.weights.values():
        slider.value = 0
    panel.fresh.train.click()
    assert "ValueError</b>: weights=" in panel.message.value
    assert not panel.fresh.train.disabled


def test_recipes_of_fresh_runs():
    recipe = fresh_recipe("nano", 2)
    assert (recipe.minutes, recipe.warm_start) == (2, True)
    assert describe_changes(recipe) == ""
    assert not fresh_recipe("bundled", 2).warm_start
    changed = fresh_recipe("nano", 2, weights={"matching": 0.0}, temperature=0.02, hardness=0.0)
    assert describe_changes(changed) == "matching 0, τ 0.02, α 0"


def test_a_term_of_ones_own_has_a_slider_and_a_panel(tiny_pairs, fake_teacher, tmp_path, no_own_terms):
    @register_term()
    def away(vectors):
        return vectors.query.mean()

    teacher = type(fake_teacher)(width=64)
    panel = compare_runs(make_film(), pairs=tiny_pairs, teacher=teacher, output=tmp_path)
    form = panel.fresh
    assert form.own_terms["away"].value == 0
    form.start.value, form.minutes.min, form.minutes.value = "micro", 0.001, 0.03
    form.own_terms["away"].value = 0.5
    form.train.click()
    form.run.join()
    assert panel.error is None, panel.message.value
    run = panel.runs[1]
    assert run.name == "fresh-1 (away 0.5)"
    assert len(panel.curves.data) == 18  # two runs, nine panels
    assert panel.curves.layout.annotations[8].text == "away"
    assert list(panel.curves.data[17].y) == run.history["away"].tolist()
    assert len(panel.curves.data[8].y) == 0  # the film knows nothing of it
    assert_drawn(panel, comparison_curves(panel.runs))


def test_folders_are_never_used_twice(tmp_path):
    (tmp_path / "fresh-1").mkdir()
    assert free_folder(tmp_path) == tmp_path / "fresh-2"
    assert free_folder(tmp_path / "new") == tmp_path / "new" / "fresh-1"
