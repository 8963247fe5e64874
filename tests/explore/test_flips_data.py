import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from egemma_lab.explore.flips_data import (
    SAMPLE,
    find_flips,
    flip_curve,
    foretold,
    text_neighbours,
    wilson_interval,
)
from egemma_lab.geometry import neighbour_flips


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def flips(vectors):
    return find_flips(vectors, vectors[:, :5], most=10)


def ranked(vectors, row):
    """The other rows by cosine, best first, with their cosines: in plain loops."""
    unit = [v / np.linalg.norm(v) for v in vectors.astype(np.float64)]
    others = [(-round(float(unit[row] @ unit[i]), 12), i) for i in range(len(unit)) if i != row]
    return [i for _, i in sorted(others)], [-c for c, _ in sorted(others)]


def test_margins_and_crossings_against_plain_loops(vectors, flips):
    k = 4
    margins, crossed = flips.margins(k)
    for row in range(len(vectors)):
        near, cosines = ranked(vectors, row)
        near_after, _ = ranked(vectors[:, :5], row)
        for place in range(2 * k):
            inside = place < k
            edge = cosines[k] if inside else cosines[k - 1]
            assert margins[row, place] == pytest.approx(abs(cosines[place] - edge), abs=1e-9)
            assert crossed[row, place] == ((near[place] in near_after[:k]) != inside)
        assert flips.lost(k)[row] == len(set(near[:k]) - set(near_after[:k]))


def test_it_says_what_neighbour_flips_says(vectors, flips):
    k = 6
    table = neighbour_flips(vectors, vectors[:, :5], k)
    lost = table[table["change"] == "lost"].groupby("row").size().reindex(range(60), fill_value=0)
    assert flips.lost(k).tolist() == lost.tolist()
    columns = ["neighbour", "change", "rank_before", "rank_after", "similarity_before", "margin_before"]
    for row in (0, 17, 59):
        mine = text_neighbours(flips, row, k)
        assert (mine["change"] == "kept").sum() == k - lost[row]
        mine = mine[mine["change"] != "kept"].sort_values("neighbour").reset_index(drop=True)
        theirs = table[table["row"] == row].sort_values("neighbour").reset_index(drop=True)
        for column in columns:
            assert mine[column].tolist() == pytest.approx(theirs[column].tolist()), column


def test_the_curve_counts_every_pair_once(flips):
    k, bins = 5, 4
    curve = flip_curve(flips, k, bins)
    margins, crossed = flips.margins(k)
    assert curve.groupby("side")["n"].sum().tolist() == [60 * k, 60 * k]
    for side, columns in (("neighbour", slice(0, k)), ("outsider", slice(k, 2 * k))):
        mine = curve[curve["side"] == side]
        assert mine["flipped"].sum() == crossed[:, columns].sum()
        last = mine["high"].max()
        for row in mine.itertuples():
            within = [
                hit
                for value, hit in zip(margins[:, columns].ravel(), crossed[:, columns].ravel())
                if row.low <= value and (value < row.high or row.high == last)
            ]
            assert (row.n, row.flipped) == (len(within), sum(within))
    assert (curve["share_low"] <= curve["share"]).all()
    assert (curve["share"] <= curve["share_high"]).all()


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (3, 7), (50, 400), (9, 9)])
def test_intervals_are_those_of_scipy(hits, n):
    theirs = binomtest(hits, n).proportion_ci(method="wilson")
    mine = wilson_interval(np.array([hits]), np.array([n]))
    assert [float(end[0]) for end in mine] == pytest.approx([theirs.low, theirs.high], abs=1e-6)


def test_how_well_margins_foretell_is_the_share_of_pairs_in_order(flips):
    margins, crossed = (each[:, :3].ravel() for each in flips.margins(3))
    wins = [(a < b) + 0.5 * (a == b) for a in margins[crossed] for b in margins[~crossed]]
    assert foretold(flips, 3) == pytest.approx(np.mean(wins))
    assert foretold(flips, 3) == pytest.approx(roc_auc_score(crossed, -margins))
    assert foretold(flips, 3) > 0.5


def test_nothing_changes_nothing_flips(vectors):
    same = find_flips(vectors, vectors)
    assert same.lost(10).sum() == 0
    assert np.isnan(foretold(same, 10))
    assert flip_curve(same, 10)["flipped"].sum() == 0
    assert set(text_neighbours(same, 0, 10)["change"]) == {"kept"}


def test_copies_of_a_text_never_make_it_its_own_neighbour():
    rng = np.random.default_rng(1)
    vectors = np.concatenate([np.repeat(rng.normal(size=(1, 6)), 8, axis=0), rng.normal(size=(6, 6))])
    flips = find_flips(vectors, rng.normal(size=(14, 6)), most=3)
    assert not (flips.ids == flips.rows[:, None]).any()
    assert all(len(set(ids)) == len(ids) for ids in flips.ids.tolist())


def test_of_many_texts_some_are_asked_and_all_can_answer():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(SAMPLE + 500, 4)).astype(np.float32)
    flips = find_flips(vectors, vectors + 0.01 * rng.normal(size=vectors.shape), most=3)
    assert len(flips.rows) == SAMPLE == len(set(flips.rows.tolist()))
    unasked = np.setdiff1d(np.arange(len(vectors)), flips.rows)
    assert np.isin(flips.ids, unasked).any()
    near, _ = ranked(vectors, int(flips.rows[7]))
    assert flips.ids[7].tolist() == near[:6]
    assert len(text_neighbours(flips, int(unasked[0]), 3)) >= 3


def test_what_does_not_fit_is_refused(vectors):
    with pytest.raises(ValueError, match="before has 60 rows and after 59"):
        find_flips(vectors, vectors[1:])
    with pytest.raises(ValueError, match="2 texts: at least 3"):
        find_flips(vectors[:2], vectors[:2])
