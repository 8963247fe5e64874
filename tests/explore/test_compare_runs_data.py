import numpy as np
import pandas as pd
import pytest
from films import make_film, unit

from egemma_lab.explore.compare_runs_data import as_compared, texts_in_common, togetherness
from egemma_lab.explore.replay_numbers import film_numbers
from egemma_lab.train import Recipe, train


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_pairs, make_micro):
    recipe = Recipe(steps=3, batch_size=4, weights={"matching": 0}, snapshot_every=1, max_tokens=16)
    folder = tmp_path_factory.mktemp("run") / "small"
    return train(make_micro(), tiny_pairs[:16], recipe=recipe, output=folder, show_progress_bar=False)


def test_runs_films_and_histories_side_by_side(run):
    film = make_film()
    history = pd.DataFrame({"step": [1, 2], "loss": [2.0, 1.0]})
    of_run, of_film, of_history, again = as_compared(run, {"a film": film}, history, {"again": run.folder})
    assert [each.name for each in (of_run, of_film, of_history, again)] == [
        "small",
        "a film",
        "run 3",
        "again",
    ]
    assert of_run.history["loss"].tolist() == run.history["loss"].tolist() == again.history["loss"].tolist()
    assert of_run.history["minutes"].tolist() == pytest.approx((run.history["seconds"] / 60).tolist())
    assert of_run.geometry["step"].tolist() == [0, 1, 2, 3]
    assert of_film.history["step"].tolist() == of_film.geometry["step"].tolist() == [0, 10, 20, 20, 30]
    assert of_film.history["loss"].tolist() == film.moments["loss"].tolist()
    assert of_film.geometry["uniformity"].tolist() == film_numbers(film)["uniformity"].tolist()
    assert of_history.film is None
    assert of_history.geometry is None


def test_the_bundled_training():
    [bundled] = as_compared(None)
    assert bundled.name == "nano"
    assert len(bundled.film.texts) == 500
    assert (np.diff(bundled.history["step"]) >= 0).all()


def test_what_cannot_be_compared_is_named(tmp_path):
    film = make_film()
    with pytest.raises(ValueError, match="two runs are called 'a'"):
        as_compared({"a": film}, {"a": film})
    with pytest.raises(ValueError, match="'run 1' has no column step, only loss"):
        as_compared(pd.DataFrame({"loss": [1.0]}))
    with pytest.raises(TypeError, match="cannot make a film of 7"):
        as_compared(7)
    with pytest.raises(FileNotFoundError):
        as_compared(tmp_path / "nothing")


def test_texts_in_common_come_in_the_first_films_order():
    one, other = make_film(texts=6), make_film(texts=6)
    one.texts[:] = ["a", "b", "c", "b", "d", "e"]
    other.texts[:] = ["e", "x", "b", "y", "b", "a"]
    rows = texts_in_common(one, other)
    assert [one.texts[i] for i in rows[0]] == [other.texts[i] for i in rows[1]] == ["a", "b", "e"]
    assert rows[1].tolist() == [5, 2, 0]
    other.texts[:] = list("uvwxyz")
    assert [len(each) for each in texts_in_common(one, other)] == [0, 0]


def test_togetherness_in_plain_loops():
    vectors = unit(np.random.default_rng(0).standard_normal((40, 5)))
    chosen = [1, 4, 9, 16, 25, 36]
    hits = []
    for i in chosen:
        others = sorted((j for j in range(40) if j != i), key=lambda j: -float(vectors[i] @ vectors[j]))
        hits += [j in chosen for j in others[:3]]
    assert togetherness(vectors, chosen, k=3) == pytest.approx(np.mean(hits))
    assert togetherness(vectors, range(40)) == 1
    assert 0 < togetherness(np.tile(vectors, (500, 1)), range(5000)) < 1  # of 20,000 texts, a sample is asked
