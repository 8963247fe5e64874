"""A plotly FigureWidget that is drawn wherever it stands, also as the fifth in its notebook.

Plotly's own, from version 6 on, comes up empty in two cases, both seen in JupyterLab 4.6 with plotly 7.1 and
anywidget 0.11:

- It tells the browser of itself before it has any data and sends the data after. Where the browser is still
  loading the widget's code at that moment, it draws the empty figure first and never again (plotly.py #4998).
  So the one made here tells of itself when it is complete.
- Each figure carries its own copy of plotly.js, five megabytes, and anywidget gives a figure up for good whose
  code is not loaded within two seconds, which a notebook with several of them does not always manage. So the
  figures made here carry a few lines, and share one copy that comes with the first of them.

Callbacks of `on_hover` are not called here: see `told` below.

Plotly 5, which Colab ships, has neither the faults nor anywidget, and its own FigureWidget is used.
"""

import functools

from egemma_lab.explore.showing import CONFIG

# What every figure runs. It is ready at once; plotly.js is loaded when the first figure is shown, because
# loading keeps the whole page busy, and a figure that anywidget is still waiting for would not survive that.
FIGURE = """
const page = (globalThis.egemmaLabPlotly ??= { source: Promise.withResolvers() });
const MESSAGES = ["addTraces", "deleteTraces", "moveTraces", "restyle", "relayout", "update", "animate",
  "removeLayoutProps", "removeTraceProps"].map((name) => "_py2js_" + name);

// Plotly tells Python of every point that the mouse passes. While the kernel is busy only the last message waits, and
// the next point passed would take the place of a choice that was made: so what is merely passed is not told. Neither
// is a choice without a drawing, which is what plotly says when a drawing is taken away.
const told = (event) => !/hover/.test(event?.event_type) && (event?.event_type !== "plotly_selected" || event.selector);
const quiet = (model) => new Proxy(model, {
  get: (_, name) => name === "set"
    ? (key, value) => { if (key !== "_js2py_pointsCallback" || told(value)) model.set(key, value); }
    : typeof model[name] === "function" ? model[name].bind(model) : model[name],
});

async function load() {
  const url = URL.createObjectURL(new Blob([await page.source.promise], { type: "text/javascript" }));
  return (await import(url)).default;
}

export default () => {
  const early = [];  // messages that came before plotly.js
  let listeners, figure;
  async function make(model) {
    const made = (await (page.plotly ??= load()))();
    listeners.forEach(([event, listener]) => model.off(event, listener));
    made.initialize({ model: quiet(model) });
    early.forEach(([name, value]) => model.set(name, value));
    return made;
  }
  return {
    initialize({ model }) {
      listeners = MESSAGES.map((name) => [`change:${name}`, () => early.push([name, model.get(name)])]);
      listeners.forEach(([event, listener]) => model.on(event, listener));
    },
    async render({ model, el }) {
      const removed = await (await (figure ??= make(model))).render({ model, el });
      const observer = new ResizeObserver(() => el._responsiveChartHandler?.());  // plotly's own, see `_config`
      observer.observe(el);
      return () => { observer.disconnect(); removed?.(); };
    },
  };
};
"""
# What the widget runs that brings plotly.js, which lies in its trait `source`; it is never shown.
LIBRARY = """
const page = (globalThis.egemmaLabPlotly ??= { source: Promise.withResolvers() });
export default { initialize: ({ model }) => page.source.resolve(model.get("source")) };
"""


def live_figure(figure):
    """`figure` (a plotly Figure) as a plotly.graph_objects.FigureWidget: assign to it and the picture moves.

    Use it in place of `go.FigureWidget(figure)`, which may show empty axes (see this module's first lines).

    >>> import plotly.graph_objects as go
    >>> live = live_figure(go.Figure(go.Scatter(y=[1, 2])))
    >>> live.data[0].y = [3, 4]
    >>> isinstance(live, go.FigureWidget), live.data[0].y
    (True, (3, 4))
    """
    return _figure_class()(figure)


@functools.cache
def _figure_class():
    import plotly.graph_objects as go
    from plotly.basewidget import BaseFigureWidget

    bundle = getattr(BaseFigureWidget, "_esm", None)  # plotly.js and the widget's own code, from plotly 6 on
    if bundle is None:
        return go.FigureWidget
    import anywidget
    import traitlets

    class PlotlyLibrary(anywidget.AnyWidget):
        _esm = LIBRARY
        source = traitlets.Unicode(str(bundle)).tag(sync=True)

    class LiveFigure(go.FigureWidget):
        _esm = FIGURE
        library = PlotlyLibrary()  # one a kernel; held here, for a widget that nobody holds may be closed

        def __init__(self, *arguments, **options):
            self._complete = False
            super().__init__(*arguments, **options)
            self._config = {**(self._config or {}), **CONFIG}
            self._complete = True
            self.open()

        def open(self):
            """Tell the browser of this widget; plotly asks for it too early, before there is any data."""
            if self._complete:
                super().open()

    return LiveFigure
