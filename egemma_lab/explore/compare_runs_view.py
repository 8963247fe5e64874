"""Runs side by side in a widget: curves, two linked maps, and a run of one's own."""

from egemma_lab.explore.compare_runs_curves import ALONG, comparison_curves, parts
from egemma_lab.explore.compare_runs_data import as_compared
from egemma_lab.explore.compare_runs_form import FreshForm
from egemma_lab.explore.compare_runs_fresh import describe_changes
from egemma_lab.explore.compare_runs_maps import LinkedMaps
from egemma_lab.explore.live_figure import live_figure
from egemma_lab.explore.panel import Panel


def compare_runs(*runs, pairs=None, teacher=None, output="runs/compared"):
    """Runs side by side: every loss term at every width (your own too), the geometry, two linked maps, and a new run.

    Parameters: `runs`, what `as_compared` takes: runs, folders, recordings, histories, or a mapping of names to them
    (none: the bundled nano's training); `pairs` and `teacher`, for runs that are begun here (see `lab.train`; default:
    3,000 pairs of python-docs, all-MiniLM-L6-v2); `output`, the folder in which such runs get folders of their own.

    Draw around points on one map, and the same texts stand out on the other; the sentence below says whether they are
    neighbours in either space. *Train* begins a run in the background with the weights, temperature and hardness of
    the sliders, and puts it into the comparison when its minutes are over; it is probed with the first run's texts.
    Loss terms that `lab.losses.register_term` knows by then have sliders too.

    Returns a `CompareRuns`, which shows itself at the end of a cell. Raises what `as_compared` raises.

    >>> compared = compare_runs()
    >>> [run.name for run in compared.runs], compared.maps.left.value
    (['nano'], ('nano', 'start'))
    """
    return CompareRuns(as_compared(*runs) if runs else as_compared(None), pairs, teacher, output)


class CompareRuns(Panel):
    """See `compare_runs`. `runs` are the `Compared`; `part`, `along` and `smooth` the controls of the `curves`; `maps`
    the `LinkedMaps`, `fresh` the `FreshForm`."""

    def __init__(self, runs, pairs, teacher, output):
        import ipywidgets as widgets

        names = ", ".join(run.name for run in runs)
        super().__init__(f"Loss terms and geometry over training, a line each, of the runs {names}.")
        self.runs = list(runs)
        style = {"description_width": "initial"}
        self.part = widgets.Dropdown(options=_named_parts(runs), description="loss terms", style=style)
        self.along = widgets.Dropdown(
            options=[(v, k) for k, v in ALONG.items()], description="along", style=style
        )
        self.smooth = widgets.IntSlider(value=1, min=1, max=50, description="average over rows", style=style)
        for control in (self.part, self.along, self.smooth):
            control.observe(self.guard(self._draw_curves), names="value")
        figure = comparison_curves(runs)
        self.curves = live_figure(figure)
        self.maps = LinkedMaps(runs, self.guard)
        settings = {"pairs": pairs, "teacher": teacher, "probe": _probe(runs)}
        self.fresh = FreshForm(self, settings, output, self._add_fresh)
        controls = [self.part, self.along, self.smooth]
        self.lay_out(
            figure,
            widgets.HBox(controls, layout=widgets.Layout(flex_flow="row wrap")),
            self.curves,
            self.maps.box,
            self.fresh.box,
        )

    def add(self, *runs):
        """Put more runs into the comparison: anything that `as_compared` takes, under a name that is free."""
        self.runs = as_compared(*({run.name: run} for run in self.runs), *runs)
        with self.curves.batch_update():
            self.curves.data, self.curves.layout.annotations = (), ()  # titles of another number of panels
            self.curves.add_traces(comparison_curves(self.runs).data)
        chosen = self.part.value
        self.part.options = _named_parts(self.runs)  # which chooses the first, and draws it
        if chosen in dict(self.part.options).values():
            self.part.value = chosen
        self._draw_curves()
        self.maps.offer(self.runs)

    def _add_fresh(self, run):
        changes = describe_changes(run.recipe)
        self.guard(self.add)({run.folder.name + (f" ({changes})" if changes else ""): run})

    def _draw_curves(self, _change=None):
        fresh = comparison_curves(
            self.runs, part=self.part.value, along=self.along.value, smooth=self.smooth.value
        )
        with self.curves.batch_update():
            for old, new in zip(self.curves.data, fresh.data, strict=True):
                old.x, old.y = new.x, new.y
            self.curves.layout.update(fresh.layout)


def _named_parts(runs):
    def name(part):
        return part if part == "whole" else f"width {part}" if part.isdigit() else f"{part} side"

    return [(name(part), part) for part in parts(runs)]


def _probe(runs):
    """The texts of the first film as `lab.train` takes them, so that its map and a fresh run's can be linked."""
    film = next((run.film for run in runs if run.film is not None), None)
    if film is None:
        return None
    rows = zip(film.texts, film.labels, film.roles)
    return [{"text": text, "label": label, "role": role} for text, label, role in rows]
