"""Each page of an explorer has a still that the tool makes, and says in words what it shows."""

import re

import pytest
from PIL import Image

import explorer_stills
from explorer_stills import FOLDER, STILLS, main, stacked


def test_every_page_has_its_still_and_no_still_is_left_over():
    assert {path.stem for path in FOLDER.glob("*.png")} == {path.stem for path in FOLDER.glob("*.md")}
    assert {path.stem for path in FOLDER.glob("*.png")} == set(STILLS)


@pytest.mark.parametrize("name", STILLS)
def test_a_still_is_described_and_small(name):
    [words] = re.findall(rf"!\[([^\]]+)\]\({name}\.png\)", (FOLDER / f"{name}.md").read_text("utf-8"))
    assert len(words.split()) > 20
    assert (FOLDER / f"{name}.png").stat().st_size < 300_000


def test_pictures_are_stacked_on_white():
    whole = stacked([Image.new("RGB", (4, 2), "red"), Image.new("RGB", (3, 5), "blue")])
    assert whole.size == (4, 7)
    colours = [whole.getpixel(place) for place in ((3, 1), (0, 2), (3, 6))]
    assert colours == [(255, 0, 0), (0, 0, 255), (255, 255, 255)]


def test_what_is_asked_for_is_written_and_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(explorer_stills, "FOLDER", tmp_path)
    monkeypatch.setitem(STILLS, "flips", lambda: (Image.new("RGB", (4, 2)), "Which neighbours go."))
    assert main(["flips"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["flips.png"]
    assert capsys.readouterr().out == "flips, 4 x 2: Which neighbours go.\n"
    with pytest.raises(SystemExit):
        main(["flop"])
    assert "no such still: flop; there are anatomy, compare_runs" in capsys.readouterr().err
