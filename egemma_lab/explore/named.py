"""Names for the parts of a widget that ipywidgets leaves without one: what a slider moves, what a button does.

ipywidgets ties its label to menus, fields and checkboxes, but not to the knob of a slider, the number beside it, or
the buttons of a player: a screen reader says "slider, 5" and not of what, and of a slider over a list of choices it
says the number of the choice ("5" for the temperature 0.05). No trait of ipywidgets reaches these parts, neither in
7.7.1 nor in 8, so a few lines in the browser name them. They also take away the tooltip "null" that ipywidgets 8 hangs
on labels.
"""

import functools

# Run once a page: what is drawn later is named when it appears, and a slider's value whenever it moves.
SCRIPT = """
const PLAYER = { "fa-play": "Play or pause", "fa-pause": "Pause", "fa-stop": "Stop", "fa-retweet": "Repeat" };

function set(element, attribute, value) {
  if (element && value && element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
}

function nameAll() {
  for (const slider of document.querySelectorAll(".widget-slider")) {
    const name = slider.querySelector(".widget-label")?.textContent.trim();
    const number = slider.querySelector(".widget-readout");
    const knob = slider.querySelector(".noUi-handle, .ui-slider-handle");
    set(knob, "role", "slider");
    set(knob, "aria-label", name);
    set(knob, "aria-valuetext", number?.textContent);
    if (number?.isContentEditable) {
      set(number, "role", "textbox");
      set(number, "aria-label", name && `${name}, typed`);
    }
  }
  for (const icon of document.querySelectorAll(".widget-play button > i")) {
    const known = Object.keys(PLAYER).find((each) => icon.classList.contains(each));
    if (known) set(icon.parentElement, "aria-label", PLAYER[known]);
  }
  for (const label of document.querySelectorAll('.widget-label[title="null"]')) label.removeAttribute("title");
}

function watch() {
  let waiting = false;
  const later = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; nameAll(); });
  };
  const what = { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-valuetext"] };
  new MutationObserver(later).observe(document.body, what);
  later();
}

export default {
  render({ el }) {
    el.style.display = "none";
    globalThis.egemmaLabNames ??= (watch(), true);
  },
};
"""


def named(box):
    """`box` (a widget) in another one that also names its sliders and players in the browser; see this module's head.

    >>> import ipywidgets
    >>> slider = ipywidgets.IntSlider(description="width")
    >>> named(slider).children[0] is slider
    True
    """
    import ipywidgets as widgets

    return widgets.VBox([box, _namer()])


@functools.cache
def _namer():
    """The widget that runs the script; one serves all boxes of a kernel."""
    import anywidget

    class Namer(anywidget.AnyWidget):
        _esm = SCRIPT

    return Namer()
