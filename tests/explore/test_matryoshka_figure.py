import json

import numpy as np
import plotly.io as pio
import pytest

from egemma_lab.explore import matryoshka_page
from egemma_lab.explore.matryoshka_figure import (
    GROWTH,
    PALEST,
    SMALLEST,
    choose_texts,
    describe_matryoshka,
    groups,
    matryoshka_figure,
    moving,
    redraw_matryoshka,
)
from egemma_lab.explore.matryoshka_maps import Maps
from egemma_lab.explore.precision_bench import Bench
from egemma_lab.explore.precision_setting import Setting

SHOWN = [0, 3, 8]


@pytest.fixture(scope="module")
def maps(micro_model, tiny_texts):
    texts = tiny_texts[::4]
    return Maps(Bench(micro_model, texts, labels=[text.split()[0] for text in texts]))  # ten planets


def test_points_sizes_and_opacities_are_the_views(maps):
    setting = Setting(32, "binary")
    fig, view = matryoshka_figure(maps, setting, SHOWN), maps.view(Setting(32, "binary"))
    labels, seen = np.array(maps.bench.labels), []
    for trace, rows in zip(fig.data, groups(maps.bench.labels)):
        seen += rows.tolist()
        assert trace.name in (*labels[rows], f"other ({len(set(labels[rows]))})")
        for place, row in enumerate(rows):
            assert [trace.x[place], trace.y[place]] == view.points[row].tolist()
            assert trace.marker.size[place] == pytest.approx(SMALLEST + GROWTH * view.shown[row], abs=0.06)
            assert trace.marker.opacity[place] == pytest.approx(
                PALEST + (1 - PALEST) * view.kept[row], abs=0.006
            )
    assert sorted(seen) == list(range(50))


def test_the_matrix_holds_cosines_of_the_setting_and_of_the_full_vectors(maps):
    setting = Setting(16, "int8")
    matrix = matryoshka_figure(maps, setting, SHOWN).data[-1]
    for i, first in enumerate(SHOWN):
        for j, second in enumerate(SHOWN):
            here, full = (
                float(maps.bench.stored(each)[first] @ maps.bench.stored(each)[second])
                for each in (setting, maps.bench.full)
            )
            assert matrix.z[i][j] == pytest.approx(here, abs=1e-3)
            assert matrix.text[i][j] == pytest.approx(100 * here, abs=0.51)
            assert matrix.customdata[i][j][2] == pytest.approx(full, abs=1e-5)


def test_redrawing_gives_what_drawing_gives(maps):
    fig = matryoshka_figure(maps, maps.bench.full, SHOWN)
    redraw_matryoshka(fig, maps, Setting(16, "binary"), SHOWN)
    assert fig.to_json() == matryoshka_figure(maps, Setting(16, "binary"), SHOWN).to_json()


def test_titles_hold_the_numbers_and_say_how_to_read_them(maps):
    setting = Setting(32)
    title = matryoshka_figure(maps, setting, SHOWN).layout.title.text
    view, row = maps.view(setting), maps.bench.row(setting)
    for part in (
        "Width 32, float32 vectors, unrounded weights",
        "128 bytes a vector",
        f"{row['metric']} {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
        f"keeps {view.kept.mean():.0%} of the full vectors' neighbours",
        "small points: few of their neighbours here lie beside them",
    ):
        assert part in title
    assert f"the map shows {view.shown.mean():.0%}" in describe_matryoshka(maps, setting)


def test_a_few_texts_of_a_few_labels():
    assert choose_texts(["a"] * 20) == list(range(8))
    assert choose_texts(list("abcdabcd"), 4) == [0, 1, 4, 5]


def test_the_page_moves_without_a_kernel(micro_model, tiny_texts):
    page = matryoshka_page(micro_model, tiny_texts[::4], kind="plane")
    maps = Maps(Bench(micro_model, tiny_texts[::4]))
    sizes = [maps.bench.row(each)["bytes"] for each in maps.settings("unrounded")]
    assert len(page.frames) == len(sizes)
    steps = page.layout.sliders[0].steps
    assert [int(step.label.split()[-2].replace(",", "")) for step in steps] == sorted(sizes, reverse=True)
    assert [step.args[0][0] for step in steps] == [frame.name for frame in page.frames]
    last = page.frames[-1]
    assert last.name == "width 16, binary vectors, unrounded weights"
    assert "Width 16, binary" in last.layout.title.text
    expected = moving(maps, Setting(16, "binary"), choose_texts(maps.bench.labels), "plane")
    for trace, change in zip(last.data, expected, strict=True):
        for name in {"x", "y", "z"} & change.keys():
            np.testing.assert_allclose(np.asarray(trace[name], float), change[name], atol=6e-4)
    assert json.loads(pio.to_json(page))["frames"]


def test_eight_hundred_texts_weigh_less_than_a_megabyte(micro_model):
    from egemma_lab.explore import topics

    table = topics(per_topic=40)
    texts = [text[:20] for text in table["text"]]  # so that the tiny model is done at once
    page = matryoshka_page(micro_model, texts, labels=table["topic"], kind="plane")
    assert len(page.to_json()) < 1_000_000 * len(page.frames) / 12
