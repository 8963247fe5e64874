import numpy as np
import pytest

from egemma_lab.explore.search_data import Found, SearchSetting
from egemma_lab.explore.search_table import ResultLists, costs, movement

TEXTS = ["zero", "one", "two", "three", "four", "five <b>", "six " * 60]


def found(name, ids, k, **setting):
    return Found(
        SearchSetting(name, None, **setting), np.array(ids), -np.arange(len(ids)), 1.0, 0.5, 4000, 64, k
    )


@pytest.fixture
def lists():
    return ResultLists(
        [found("first", [0, 1, 2, 3, 4, 5, 6], 4), found("second", [2, 1, 5, 6, 0, 3], 4)],
        TEXTS,
        "what <i>?",
        {2: 2, 5: 1},
    )


def test_each_cell_says_what_moved(lists):
    first, second = zip(*lists.rows())
    assert first == ((0, 0, 0), (1, 0, 0), (2, 0, 2), (3, 0, 0))
    assert second == ((2, 2, 2), (1, 0, 0), (5, 3, 1), (6, 3, 0))
    assert lists.missing(lists.found[1]) == [(0, 1, 5), (3, 4, 6)]
    assert lists.missing(lists.found[0]) == []


def test_what_the_first_list_never_saw_is_new(lists):
    lists = ResultLists([found("short", [0, 1], 2), found("other", [3, 0], 2)], TEXTS, "?")
    assert lists.rows()[0][1] == (3, None, 0)
    assert "★</span> new" in lists._repr_html_()
    assert lists.missing(lists.found[1]) == [(1, 2, None)]
    assert "2 → beyond" in lists._repr_html_()


def test_quality_is_the_ndcg_of_what_is_shown(lists):
    """Worked by hand: gains 2 and 1, discounted by log2 of rank + 1."""
    ideal = 2 + 1 / np.log2(3)
    assert lists.quality(lists.found[0]) == pytest.approx((2 / np.log2(4)) / ideal)
    assert lists.quality(lists.found[1]) == pytest.approx((2 + 1 / np.log2(4)) / ideal)
    assert ResultLists(lists.found, TEXTS, "?").quality(lists.found[0]) is None
    assert ResultLists(lists.found, TEXTS, "?", {4: 0}).quality(lists.found[0]) is None


def test_lists_of_different_lengths():
    lists = ResultLists([found("long", [0, 1, 2], 3), found("short", [1, 0], 2)], TEXTS, "?")
    assert lists.rows()[2] == [(2, 0, 0), None]


def test_table_and_text_hold_the_same(lists):
    table, text = lists._repr_html_(), repr(lists)
    assert table.count('scope="row"') == 4 + 1
    for said in ("▲ 2", "▲ 3", "● answer", "◐ in part"):
        assert said in table.replace("</span>", "")
        assert said in text
    assert 'aria-label="up 2 ranks"' in table
    assert "▼</span> 1 → 5 zero" in table  # the sign alone is coloured, and an arrow never stands alone
    assert "nDCG@4 0.38" in table
    assert "first: 64 × float32, 4.0 kB" in text


def test_texts_and_questions_are_escaped_and_cut(lists):
    table = lists._repr_html_()
    assert "what &lt;i&gt;?" in table
    assert "five &lt;b&gt;" in table
    assert "<i>" not in table
    assert len(max(repr(lists).split("\n"), key=len)) < 180


def test_the_words(lists):
    assert lists.alt == (
        "2 result lists for “what <i>?”; first has first: zero; second shows 2 of its 4 results."
    )


def test_costs_are_read_in_kilobytes_and_megabytes():
    assert costs(found("", [0], 1)) == "64 × float32, 4.0 kB; 1.0 ms to encode, 0.50 ms to search"
    rescored = Found(
        SearchSetting("", None, precision="binary", rescore_precision="int8"),
        np.array([0]), np.array([0.0]), 2.0, 0.25, 2_500_000, 768, 1,
    )  # fmt: skip
    assert costs(rescored) == "768 × binary + int8, 2.50 MB; 2.0 ms to encode, 0.25 ms to search"
    assert movement(-1) == ("▼ 1", "down 1 rank")


def test_nothing_to_show_is_refused():
    with pytest.raises(ValueError, match="no lists to show"):
        ResultLists([], TEXTS, "?")
