"""That the names arrive is tested in a real browser (tests/browser); here, what is sent to it."""

import ipywidgets

from egemma_lab.explore.named import named


def test_one_script_serves_all_boxes():
    first, second = (named(ipywidgets.IntSlider(description=name)) for name in ("width", "turn"))
    assert [box.children[0].description for box in (first, second)] == ["width", "turn"]
    assert first.children[1] is second.children[1]
    assert "globalThis.egemmaLabNames ??=" in first.children[1]._esm  # and once a page
