import pandas as pd
import pytest

from egemma_lab.explore import describe_frontier, quality_frontier

COLUMNS = [
    "metric",
    "width",
    "precision",
    "bytes",
    "value",
    "low",
    "high",
    "share",
    "share_low",
    "share_high",
]


@pytest.fixture
def table():
    sizes = {"float32": 4, "int8": 1, "binary": 1 / 8}
    rows = [
        ("nDCG@10", width, name, int(width * size), 0.3 + size / 20, 0.2, 0.6, 0.6 + size / 10, 0.55, 1.01)
        for name, size in sizes.items()
        for width in (256, 32)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.mark.parametrize(("y", "low"), [("share", "share_low"), ("value", "low")])
def test_lines_are_the_table(table, y, low):
    fig = quality_frontier(table, y=y)
    assert [trace.name for trace in fig.data] == ["float32", "int8", "binary"]
    for trace in fig.data:
        rows = table[table["precision"] == trace.name].sort_values("bytes")
        assert list(trace.x) == list(rows["bytes"])
        assert list(trace.y) == list(rows[y])
        assert list(trace.y - trace.error_y.arrayminus) == pytest.approx(list(rows[low]))
        assert list(trace.text) == ["32d", "256d"]
    assert len({(trace.line.color, trace.line.dash, trace.marker.symbol) for trace in fig.data}) == 3
    assert fig.layout.xaxis.type == "log"
    assert list(fig.layout.xaxis.tickvals) == [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert fig.layout.xaxis.title.text == "bytes per vector (log scale)"
    assert fig.layout.yaxis.title.text == ("nDCG@10" if y == "value" else "share of float32 at full width")


def test_widths_at_the_same_bytes_are_written_apart():
    rows = [
        (64, "int8", 64, 0.82),
        (64, "rescored", 72, 0.78),
        (64, "binary", 8, 0.5),
        (16, "float32", 64, 0.4),
    ]
    frame = pd.DataFrame(rows, columns=["width", "precision", "bytes", "share"])
    lines = quality_frontier(frame.assign(share_low=frame["share"], share_high=frame["share"])).data
    places = [line.textposition[0] for line in lines]
    assert places == ["top left", "middle right", "bottom right", "bottom right"]


def test_you_are_here(table):
    mark = quality_frontier(table, here=(32, "int8")).data[-1]
    assert (mark.name, mark.x[0], mark.y[0]) == ("you are here", 32, pytest.approx(0.7))
    with pytest.raises(ValueError, match=r"here=\(64, 'int8'\) is not one of the rows \(256, 'float32'\)"):
        quality_frontier(table, here=(64, "int8"))


def test_words_for_who_cannot_see_it(table):
    words = describe_frontier(table)
    assert "from 4 to 1,024 bytes" in words
    assert (
        "float32 has 1.000 in 1,024 bytes, int8 has 0.700 in 256 bytes, binary has 0.612 in 32 bytes" in words
    )


def test_tables_that_are_no_frontier_are_refused(table):
    with pytest.raises(ValueError, match="choose one task first"):
        quality_frontier(pd.concat([table, table]))
    with pytest.raises(ValueError, match=r"lacks \['bytes'\]"):
        quality_frontier(table.drop(columns="bytes"))
    with pytest.raises(ValueError, match="lacks rows"):
        quality_frontier(table[:0])
    with pytest.raises(ValueError, match="y='recall' is not one of 'share', 'value'"):
        quality_frontier(table, y="recall")
    many = pd.concat([table.assign(precision=f"p{n}")[:1] for n in range(9)])
    with pytest.raises(ValueError, match="9 precisions: eyes tell 8 apart"):
        quality_frontier(many)
