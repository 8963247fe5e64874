import json
import time

import numpy as np
import pytest
from films import make_film

from egemma_lab.explore import replay_page
from egemma_lab.explore.replay_figure import NEIGHBOURS, headline, make_scene, moving, replay_figure
from egemma_lab.explore.replay_maps import plane_maps


@pytest.fixture(scope="module")
def scene():
    film = make_film()
    return make_scene(film, plane_maps(film.vectors)[0])


def test_every_text_stands_where_its_map_says_as_large_as_it_is_true(scene):
    changes = moving(scene, 3, chosen=0)
    assert [rows.tolist() for rows in scene.groups] == [list(range(i, 24, 3)) for i in range(3)]
    for rows, change in zip(scene.groups, changes):
        assert np.array_equal(change["x"], scene.maps[3, rows, 0])
        assert np.array_equal(change["y"], scene.maps[3, rows, 1])
        assert change["marker.size"] == pytest.approx(4 + 10 * scene.kept[3, rows], abs=0.06)


def test_the_chosen_text_is_tied_to_its_true_neighbours(scene):
    lines, star = moving(scene, 2, chosen=7)[3:5]
    assert (star["x"][0], star["y"][0]) == tuple(scene.maps[2, 7])
    vectors = scene.film.vectors[2]
    near = sorted((i for i in range(24) if i != 7), key=lambda i: -float(vectors[i] @ vectors[7]))[
        :NEIGHBOURS
    ]
    ends = np.stack([lines["x"], lines["y"]], axis=1).reshape(NEIGHBOURS, 3, 2)
    assert np.array_equal(ends[:, 0], np.tile(scene.maps[2, 7], (NEIGHBOURS, 1)))
    assert np.array_equal(ends[:, 1], scene.maps[2, near])
    assert np.isnan(ends[:, 2]).all()


def test_sparklines_carry_their_value_and_nothing_where_there_is_none(scene):
    contrastive, matching = moving(scene, 1, chosen=0)[5:7]
    assert contrastive == {"x": [1, 6], "y": [None, None], "text": ["", ""]}
    assert matching["y"] == [scene.film.moments["matching"][1]] * 2
    assert matching["text"] == ["", "1.625"]


def test_the_figure_is_what_moves_on_what_stands(scene):
    figure = replay_figure(scene, 4, chosen=2)
    changes = moving(scene, 4, chosen=2)
    assert len(figure.data) == 7 + len(changes)  # seven sparklines: two losses, four metrics, the map's
    for trace, change in zip(figure.data[7:], changes, strict=True):
        assert np.array_equal(np.asarray(trace.x, float), np.asarray(change["x"], float), equal_nan=True)
    assert figure.data[6].y == pytest.approx(scene.kept.mean(axis=1))
    assert "second, step 10, fixed plane" in figure.layout.title.text
    assert f"keeps {scene.kept[4].mean():.0%} of the true neighbours" in figure.layout.title.text
    assert "smaller a point" in headline(scene, 4)[1]


def test_twenty_thousand_points_stay_fluid():
    film = make_film(moments=3, texts=20_000)
    scene = make_scene(film, plane_maps(film.vectors)[0])
    assert {trace.type for trace in scene.traces} == {"scattergl"}
    began = time.process_time()
    for moment in (0, 1, 2):
        moving(scene, moment, chosen=5)
    assert time.process_time() - began < 3 * 0.1


def test_more_than_eight_labels_leave_nobody_out():
    film = make_film(texts=40)
    film.labels[:] = [f"label {i % 10}" for i in range(40)]
    scene = make_scene(film, plane_maps(film.vectors)[0])
    assert sorted(np.concatenate(scene.groups).tolist()) == list(range(40))
    assert scene.traces[0].name == "other (3)"
    assert [film.labels[i] for i in scene.groups[0]] == [f"label {i % 10}" for i in range(40) if i % 10 > 6]


def test_the_page_holds_every_moment():
    film = make_film(moments=6, stages=("one", "two", "three"))
    page = replay_page(film, text="text 3 ")
    scene = make_scene(film, plane_maps(film.vectors)[0])
    assert len(page.frames) == len(page.layout.sliders[0].steps) == 6
    assert page.layout.sliders[0].steps[3].label == "two, step 10"
    for moment in (0, 4):
        frame = page.frames[moment]
        assert page.layout.sliders[0].steps[moment].args[0] == (frame.name,)
        for trace, place, change in zip(frame.data, frame.traces, moving(scene, moment, 3), strict=True):
            assert np.asarray(trace.x, float) == pytest.approx(
                np.asarray(change["x"], float), abs=6e-4, nan_ok=True
            )
            assert len(page.data[place].x) == len(trace.x)
    json.loads(page.to_json())  # no NaN in it


def test_the_page_of_the_bundled_training_is_small_enough():
    page = replay_page(text="dish")
    assert len(page.frames) == 60
    assert len(page.to_json().encode()) < 1_200_000
