import pandas as pd
import pytest

from egemma_lab.explore import score_bars


@pytest.fixture
def table():
    rows = [(model, metric, i / 10) for i, model in enumerate(("untrained", "student", "bm25", "teacher"))
            for metric in ("nDCG@10", "R@10")]  # fmt: skip
    return pd.DataFrame(rows, columns=["model", "metric", "value"])


def test_bars_are_the_table(table):
    fig = score_bars(table)
    found = {(bar.y[0], bar.hovertemplate.split("<br>")[1].split()[0]): bar.x[0] for bar in fig.data}
    assert found == table.set_index(["model", "metric"])["value"].to_dict()
    assert [a.text for a in fig.layout.annotations] == ["nDCG@10", "R@10"]
    assert fig.layout.xaxis.title.text == "score (at most 1)"


def test_metrics_are_chosen_and_ordered(table):
    fig = score_bars(table, metrics=["R@10"])
    assert [bar.y[0] for bar in fig.data] == ["untrained", "student", "bm25", "teacher"]
    with pytest.raises(ValueError, match=r"\['MAP'\]; the table has \['R@10', 'nDCG@10'\]"):
        score_bars(table, metrics=["MAP"])


def test_ambiguous_and_incomplete_tables_are_refused(table):
    with pytest.raises(ValueError, match="several rows for one model"):
        score_bars(pd.concat([table, table]))
    with pytest.raises(ValueError, match=r"lacks \['value'\]"):
        score_bars(table.drop(columns="value"))


@pytest.mark.parametrize(("best", "end"), [(0.8, 1), (0.5, 0.5), (0.08, 0.1), (0.0, 0.05)])
def test_the_axis_ends_where_the_best_score_can_be_seen(table, best, end):
    fig = score_bars(table.assign(value=table["value"] * best / 0.3))
    for axis in (fig.layout.xaxis, fig.layout.xaxis2):
        assert axis.range == (0, pytest.approx(1.15 * end))
        assert axis.tickvals == (0, end / 2, end)
