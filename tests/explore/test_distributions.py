import numpy as np
import pytest

from egemma_lab.explore import similarity_histogram, spectrum


def test_each_group_is_drawn_as_shares_that_sum_to_one():
    rng = np.random.default_rng(0)
    groups = {"positive": rng.uniform(0.5, 1, 200), "random": rng.uniform(-0.2, 0.3, (50, 50))}
    fig = similarity_histogram(groups, bins=30)
    for trace, (name, values) in zip(fig.data, groups.items()):
        assert trace.name == f"{name} (mean {values.mean():.2f})"
        assert np.sum(trace.y) == pytest.approx(1)
        assert np.dot(trace.x, trace.y) == pytest.approx(values.mean(), abs=0.04)
    assert (fig.layout.xaxis.title.text, fig.layout.yaxis.title.text) == ("cosine", "share of pairs")
    assert len({trace.line.dash for trace in fig.data}) == 2


def test_identical_cosines_are_one_bar():
    assert np.max(similarity_histogram({"same": np.ones(5)}).data[0].y) == 1


@pytest.mark.parametrize(("values", "message"), [([], "is empty"), ([0.2, 3.0], "holds 3: cosines")])
def test_what_are_no_cosines_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        similarity_histogram({"group": values})


def test_spectrum_of_a_cone_and_of_all_axes():
    axes = np.eye(4)
    cone = np.array([[1.0, 0.1, 0, 0], [1.0, -0.1, 0, 0]])
    fig = spectrum({"axes": axes, "cone": cone})
    np.testing.assert_allclose(fig.data[0].y, 0.25)
    np.testing.assert_allclose(fig.data[1].y, [1 / 1.01, 0.01 / 1.01])  # two vectors, two directions
    assert fig.data[2].name == "1/4: all directions alike"
    assert "log" in fig.layout.yaxis.title.text


def test_spectrum_needs_vectors():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        spectrum([1.0, 2.0, 3.0])
