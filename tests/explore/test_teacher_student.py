import dataclasses

import numpy as np
import pytest
from fake_teacher import FakeTeacher
from films import kept_by, make_film

from egemma_lab.explore import teacher_student
from egemma_lab.explore.style import heading
from egemma_lab.explore.teacher_student_data import as_taught
from egemma_lab.explore.teacher_student_figure import (
    agreement_changes,
    agreement_figure,
    agreement_headline,
    make_agreement,
)
from egemma_lab.explore.teacher_student_measures import (
    correlation,
    cosine_density,
    deviations,
    pair_cosines,
    pairs_of,
    ranks,
)
from egemma_lab.explore.teacher_student_view import who_finds_what


@pytest.fixture(scope="module")
def taught():
    return as_taught(make_film(texts=60), FakeTeacher())


@pytest.fixture(scope="module")
def agreement(taught):
    return make_agreement(taught)


@pytest.mark.parametrize("kind", ["all", "query and document", "two documents", "two queries"])
def test_what_a_moment_changes(agreement, taught, kind):
    pairs = pairs_of(taught.roles, kind)
    by_teacher, by_student = pair_cosines(taught.teacher, pairs), pair_cosines(taught.student[2], pairs)
    heat, *marks = agreement_changes(agreement, 2, kind)
    counts = cosine_density(by_teacher, by_student, agreement.edges)
    assert np.array_equal(heat["customdata"], counts)
    assert counts.sum() == len(pairs)
    shown = heat["z"].astype(float)
    assert np.array_equal(np.isnan(shown), counts == 0)
    assert 10 ** shown[counts > 0] == pytest.approx(counts[counts > 0])
    assert agreement.order[kind][2] == pytest.approx(correlation(ranks(by_teacher), ranks(by_student)))
    assert [mark["x"] for mark in marks] == [[2]] * 6
    far = deviations(taught.shared[2], taught.targets)
    expected = [*(values[2] for values in agreement.order.values()), far[:30].mean(), far[30:].mean()]
    assert [mark["y"][0] for mark in marks] == pytest.approx(expected)
    title, subtitle = agreement_headline(agreement, 2, kind)
    assert f"Spearman {agreement.order[kind][2]:.2f}" in title
    assert f"{len(pairs):,} pairs" in subtitle


def test_the_figure_has_lines_and_marks(agreement):
    figure = agreement_figure(agreement, 4)
    changes = agreement_changes(agreement, 4)
    assert len(figure.data) == 6 + 1 + len(changes)
    assert np.array_equal(figure.data[6].x, figure.data[6].y)  # the line on which both agree
    assert np.array_equal(figure.data[0].y, agreement.order["all"])
    assert figure.data[7].z.tolist() == changes[0]["z"].tolist()
    assert len({trace.line.dash for trace in figure.data[:6]}) == 6


def test_without_a_shared_space_or_a_second_role_there_is_less_to_draw(taught):
    alone = dataclasses.replace(taught, shared=None, targets=None, roles=["document"] * 60)
    agreement = make_agreement(alone)
    assert list(agreement.pairs) == ["all"]
    assert agreement.deviation == {}
    assert len(agreement_figure(agreement, 0).data) == 1 + 1 + 2
    assert who_finds_what(alone, 0) is None


def test_controls_draw_what_the_pure_functions_say():
    panel = teacher_student(make_film(texts=60), FakeTeacher())
    for moment, kind in ((0, "all"), (3, "all"), (3, "two queries")):
        panel.moment.value, panel.kind.value = moment, kind
        changes = agreement_changes(panel.agreement, moment, kind)
        for trace, change in zip(panel.live.data[-len(changes) :], changes, strict=True):
            for name, values in change.items():
                assert np.array_equal(
                    np.asarray(trace[name], float), np.asarray(values, float), equal_nan=True
                )
        title = heading(*agreement_headline(panel.agreement, moment, kind))
        assert panel.live.layout.title.text == title
        assert panel.found.equals(who_finds_what(panel.taught, moment))
        assert f"{panel.found['recall@10'][1]:.2f}" in panel.table.value
    assert "Compared along 6 axes" in panel.message.value


def test_a_model_needs_no_slider(micro_model, tiny_texts):
    panel = teacher_student(micro_model, FakeTeacher(), tiny_texts[:30])
    assert panel.moment.max == 0
    assert panel.box.children[0].children == (panel.kind,)
    assert "nothing is searched" in panel.table.value


def test_an_error_shows(monkeypatch):
    panel = teacher_student(make_film(texts=60), FakeTeacher())
    panel.agreement.order["all"] = panel.agreement.order["all"][:2]
    with pytest.raises(IndexError):
        panel.moment.value = 3
    assert "IndexError" in panel.message.value


def test_moves_keep_nothing():
    panel = teacher_student(make_film(texts=60), FakeTeacher())
    assert kept_by(lambda i: setattr(panel.moment, "value", i % 5)) < 5000  # a move draws 58,000 bytes
