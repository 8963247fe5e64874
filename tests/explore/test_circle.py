import numpy as np
import pytest

from egemma_lab.explore import circle_pairs


def on_circle(*degrees):
    angle = np.deg2rad(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_each_pair_is_tied_and_no_two_pairs_are():
    anchors, positives = on_circle(0, 90, 200), on_circle(10, 80, 200)
    fig = circle_pairs(anchors, positives, subtitle="alignment 0.02")
    link = np.stack([fig.data[1].x, fig.data[1].y], axis=1).reshape(3, 3, 2)
    np.testing.assert_array_equal(link[:, 0], anchors)
    np.testing.assert_array_equal(link[:, 1], positives)
    assert np.isnan(link[:, 2]).all()
    assert fig.data[2].marker.symbol != fig.data[3].marker.symbol
    assert "alignment 0.02" in fig.layout.title.text


def test_without_positives_arrows_start_in_the_centre():
    fig = circle_pairs(on_circle(45), names=["a"])
    np.testing.assert_allclose(fig.data[1].x[:2], [0, np.sqrt(0.5)])
    assert fig.data[2].text == ("a",)


@pytest.mark.parametrize(
    ("anchors", "positives", "message"),
    [
        ([[3.0, 4.0]], None, "length 5.*divide each row"),
        ([[1.0, 0.0, 0.0]], None, r"shape \(1, 3\)"),
        ([[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], "1 anchors but 2 positives"),
    ],
)
def test_what_is_no_circle_is_refused(anchors, positives, message):
    with pytest.raises(ValueError, match=message):
        circle_pairs(anchors, positives)
