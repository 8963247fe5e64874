import numpy as np
import pytest
from films import make_film

from egemma_lab.explore import load_replay, probe_pairs
from egemma_lab.explore.replay_film import as_film, belonging_pairs, find_text, moment_names, steps_in_all
from egemma_lab.train import Recipe, train


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_pairs, make_micro):
    recipe = Recipe(steps=4, batch_size=4, weights={"matching": 0}, snapshot_every=1, max_tokens=16)
    folder = tmp_path_factory.mktemp("run") / "small"
    return train(make_micro(), tiny_pairs[:16], recipe=recipe, output=folder, show_progress_bar=False)


def test_nothing_given_is_the_bundled_training():
    film = as_film()
    assert (len(film), len(film.texts)) == (60, 500)
    assert film.texts == load_replay().texts
    assert as_film(film) is film


def test_a_run_is_a_film_with_all_its_axes(run):
    film = as_film(run)
    assert film.vectors.shape == run.snapshots.embeddings.shape == (5, 32, 64)
    assert film.moments["step"].tolist() == [0, 1, 2, 3, 4]
    snapshots = run.snapshots.embeddings.astype(np.float32)
    cosines = np.einsum("tnd,tmd->tnm", snapshots, snapshots)
    # float16 was rounded twice: by the snapshot, and turned onto the film's axes
    assert np.abs(np.einsum("tnd,tmd->tnm", film.vectors, film.vectors) - cosines).max() < 5e-3
    assert moment_names(film) == [f"step {i}" for i in range(5)]
    assert np.array_equal(belonging_pairs(film), [[i, i + 16] for i in range(16)])


def test_a_folder_and_several_runs(run):
    assert np.array_equal(as_film(str(run.folder)).vectors, as_film(run).vectors)
    film = as_film({"one": run, "two": run.folder})
    assert film.moments["stage"].unique().tolist() == ["one", "two"]
    # the second begins anew, with the same start: it is another moment there
    assert steps_in_all(film.moments).tolist() == sorted(steps_in_all(film.moments))


def test_what_is_no_film_is_named(run, tmp_path):
    with pytest.raises(TypeError, match="cannot make a film of 3: give a Run, its folder"):
        as_film(3)
    with pytest.raises(TypeError, match=r"cannot make a film of \[\]"):
        as_film([])
    with pytest.raises(FileNotFoundError, match="holds no run"):
        as_film(tmp_path)
    with pytest.raises(ValueError, match="10 probe texts are too few for a map"):
        as_film(make_film(texts=10))
    for file in (run.folder / "snapshots").glob("step-00000[1-4].npy"):
        file.rename(file.with_suffix(".aside"))
    try:
        with pytest.raises(ValueError, match="has 1 snapshots, a film needs two"):
            as_film(run.folder)
    finally:
        for file in (run.folder / "snapshots").glob("*.aside"):
            file.rename(file.with_suffix(".npy"))


def test_moments_have_names_and_steps():
    film = make_film(moments=5)
    assert moment_names(film) == [
        "first, step 0",
        "first, step 10",
        "first, step 20",
        "second, step 0",
        "second, step 10",
    ]
    assert steps_in_all(film.moments).tolist() == [0, 10, 20, 20, 30]


def test_which_texts_belong_together():
    assert np.array_equal(belonging_pairs(as_film()), probe_pairs()[["first", "second"]])
    assert belonging_pairs(make_film(texts=6)).tolist() == [[0, 3], [1, 4], [2, 5]]
    film = make_film(texts=6)
    film.roles[0] = "document"
    assert belonging_pairs(film) is None


def test_a_text_is_found_by_a_part_of_it():
    film = make_film()
    assert find_text(film) == 0
    assert find_text(film, "text 7 about b") == 7
    assert find_text(film, "TEXT 1") == 1
    with pytest.raises(ValueError, match="none of the 24 texts contains 'zebra'"):
        find_text(film, "zebra")
    film.roles[:] = ["document"] * 23 + ["query"]
    assert find_text(film) == 23
