import numpy as np
import pytest
from films import kept_by, make_film

from egemma_lab.explore import replay, training_replay
from egemma_lab.explore.replay import motion
from egemma_lab.explore.replay_figure import headline, make_scene, moving
from egemma_lab.explore.replay_maps import turned, way_on_the_map
from egemma_lab.explore.style import heading


def drawn(explorer):
    """Properties of the moving traces as they are on the screen, in the form of `moving`."""
    count = len(moving(explorer.scene, explorer.moment.value, explorer.chosen))
    return explorer.live.data[-count:]


def assert_drawn(explorer, scene, moment, chosen):
    for trace, change in zip(drawn(explorer), moving(scene, moment, chosen), strict=True):
        for axis in "xy":
            assert np.asarray(trace[axis], float) == pytest.approx(
                np.asarray(change[axis], float), nan_ok=True
            )
        if "marker.size" in change:
            assert np.array_equal(trace.marker.size, change["marker.size"])
    assert explorer.live.layout.title.text == heading(*headline(scene, moment))


@pytest.fixture
def explorer():
    return training_replay(make_film())


def test_the_slider_draws_what_the_pure_function_says(explorer):
    for moment in (0, 3, 4):
        explorer.moment.value = moment
        assert_drawn(explorer, explorer.scene, moment, 0)
        assert motion(explorer.scene, moment) in explorer.message.value.replace("&#x27;", "'")
    assert explorer.play.max == explorer.moment.max == 4


def test_a_text_is_chosen_by_a_part_of_it_and_by_a_click(explorer):
    explorer.text.value = "TEXT 5 "
    assert explorer.text.value == "text 5 about c"
    assert_drawn(explorer, explorer.scene, 4, 5)
    assert "Nearest to “text 5 about c”" in explorer.table.value
    second_group = drawn(explorer)[1]
    from plotly.callbacks import Points

    second_group._dispatch_on_click(Points(point_inds=[2]), None)
    assert explorer.text.value == "text 7 about b"
    assert explorer.chosen == 7


def test_a_wrong_text_is_said_and_raised(explorer):
    with pytest.raises(ValueError, match="none of the 24 texts contains 'zebra'"):
        explorer.text.value = "zebra"
    assert "ValueError</b>: none of the 24 texts" in explorer.message.value
    explorer.moment.value = 1
    assert "ValueError" not in explorer.message.value


def test_another_map_comes_from_a_thread_and_is_kept(explorer, monkeypatch):
    made = []

    def upside_down(film, kind):
        made.append(kind)
        return -np.stack([each[:, :2] for each in film.vectors])

    monkeypatch.setattr(replay, "umap_maps", upside_down)
    explorer.moment.value = 2
    explorer.kind.value = "anew"
    explorer.job.join()
    scene = make_scene(explorer.film, upside_down(explorer.film, "again"), "anew")
    assert_drawn(explorer, scene, 2, 0)
    assert explorer.live.layout.xaxis.title.text == "first axis of UMAP (no unit)"
    assert "need not have moved" in explorer.message.value
    explorer.moment.value = 0  # nothing earlier to compare with, and the warning stays
    assert "need not have moved" in explorer.message.value
    explorer.moment.value = 2
    assert not explorer.kind.disabled
    explorer.kind.value = "plane"
    assert "first principal direction" in explorer.live.layout.xaxis.title.text
    explorer.kind.value = "anew"
    assert made == ["anew", "again"]


def test_an_error_shows_is_raised_and_goes_with_the_next_good_move(explorer):
    with pytest.raises(ValueError, match="contains 'no such words'"):
        explorer.text.value = "no such words"
    assert "contains &#x27;no such words&#x27;" in explorer.message.value
    explorer.text.value = explorer.film.texts[3]
    assert explorer.error is None
    assert "ValueError" not in explorer.message.value


def test_an_error_in_the_thread_shows_and_the_old_map_stays(explorer, monkeypatch):
    def broken(film, kind):
        raise MemoryError("no room for a map")

    monkeypatch.setattr(replay, "umap_maps", broken)
    explorer.kind.value = "aligned"
    explorer.job.join()
    assert "MemoryError</b>: no room for a map" in explorer.message.value
    assert (explorer.kind.value, explorer.kind.disabled) == ("plane", False)


def test_the_sentence_on_motion_counts_what_it_says():
    film = make_film(moments=24)
    scene = make_scene(film, np.stack([each[:, :2] for each in film.vectors]), "anew")
    said = motion(scene, 10)
    assert f"turned by {turned(film.vectors[8], film.vectors[10]):.0f}°" in said
    assert f"moved {way_on_the_map(scene.maps[8], scene.maps[10]):.2f} radii" in said
    assert said.startswith("Since first, step 80 the")
    assert "6 of the vectors' 12 axes" in motion(scene, 1)


def test_moves_keep_nothing():
    explorer = training_replay(make_film(texts=300))
    assert kept_by(lambda i: setattr(explorer.moment, "value", i % 5)) < 3000  # a move draws 7,000 bytes
