"""The training replay: scrub through a training and watch its texts find their places."""

import threading

from egemma_lab.explore.live_figure import live_figure
from egemma_lab.explore.panel import Panel
from egemma_lab.explore.replay_figure import headline, make_scene, moving, redraw, replay_figure
from egemma_lab.explore.replay_film import as_film, find_text, moment_names
from egemma_lab.explore.replay_maps import KINDS, STOPS, plane_maps, turned, umap_maps, way_on_the_map
from egemma_lab.explore.replay_numbers import film_numbers, neighbour_table
from egemma_lab.explore.style import heading
from egemma_lab.explore.tables import Table

PAUSE = 200  # milliseconds a moment while it plays
MAKING = "Making UMAP maps, which may take one to two minutes. The slider goes on working meanwhile."
OFFERED = 1000  # texts in the list to choose from; of more, type a part of one


def training_replay(run=None, *, text=None):
    """Scrub through a training: its texts on a map, its losses and geometry, the neighbours of one text.

    Parameters: `run`, a `Run` or several in their order, the folder of one, a recording (`record_replay`'s folder or
    a `Replay`), or None for the bundled nano's training; `text`, the text whose neighbours are followed, or a part
    of it (default: the first query). Controls: the moment (a slider and a play button), the map, the text (type a
    part of it, or click a point).

    The default map is one plane for all moments, so what moves has moved. Every map says what share of the true
    neighbours it keeps; a point's size says it of its own ten. The bundled film has UMAP maps too; those of another are
    made when they are first chosen, in one to two minutes, while the slider goes on working.

    Returns a `TrainingReplay`, which shows itself at the end of a cell. Raises what `replay_film.as_film` raises, and
    ValueError where no text contains `text`. `replay_page` makes a figure that plays without a kernel.

    >>> replay = training_replay(text="dish")
    >>> replay.moment.value, replay.text.value
    (59, 'A shallow dish of fresh water brings in visitors that never touch the seed.')
    """
    film = as_film(run)
    return TrainingReplay(film, find_text(film, text))


class TrainingReplay(Panel):
    """See `training_replay`. `moment`, `play`, `kind`, `text` are the controls, `live` the figure, `table` the
    neighbours; `job` the thread that makes a UMAP map, None before the first."""

    def __init__(self, film, chosen):
        import ipywidgets as widgets

        super().__init__(_describe(film))
        self.film, self.chosen, self.job = film, chosen, None
        self._numbers = film_numbers(film)
        self.scene = make_scene(film, plane_maps(film.vectors)[0], "plane", self._numbers)
        self._scenes = {"plane": self.scene}
        last = len(film) - 1
        figure = replay_figure(self.scene, last, chosen)
        self.live = live_figure(figure)
        wide = widgets.Layout(width="420px", max_width="100%")
        self.play = widgets.Play(value=last, min=0, max=last, interval=PAUSE, description="Play")
        self.moment = widgets.IntSlider(value=last, min=0, max=last, description="moment", layout=wide)
        self.kind = widgets.Dropdown(
            options=[(name, kind) for kind, name in KINDS.items()], value="plane", description="map"
        )
        self.text = widgets.Combobox(
            value=film.texts[chosen],
            options=list(dict.fromkeys(film.texts))[:OFFERED],
            continuous_update=False,
            description="text",
            layout=widgets.Layout(width="100%", max_width="640px"),
        )
        self.table = widgets.HTML()
        widgets.jslink((self.play, "value"), (self.moment, "value"))
        self.moment.observe(self.guard(self._redraw), names="value")
        self.kind.observe(self.guard(self._change_map), names="value")
        self.text.observe(self.guard(self._choose), names="value")
        first = len(self.live.data) - len(moving(self.scene, last, chosen))
        self._moving = self.live.data[first:]
        for trace, rows in zip(self._moving, self.scene.groups):
            trace.on_click(self.guard(lambda _, points, __, rows=rows: self._click(rows, points)))
        row = widgets.Layout(flex_flow="row wrap")
        self.lay_out(
            figure,
            widgets.VBox([widgets.HBox([self.play, self.moment, self.kind], layout=row), self.text]),
            self.live,
            self.table,
        )
        self._redraw()

    def _redraw(self, _change=None):
        moment = self.moment.value
        changes = moving(self.scene, moment, self.chosen)
        with self.live.batch_update():
            for trace, change in zip(self._moving, changes, strict=True):
                redraw(trace, change)
            self.live.layout.title.text = heading(*headline(self.scene, moment))
        self.say(MAKING if self.kind.disabled else motion(self.scene, moment))
        caption = (
            f"Nearest to “{self.film.texts[self.chosen]}” at this moment; ranks at the film's start and end"
        )
        self.table.value = Table(neighbour_table(self.film, self.chosen, moment), caption)._repr_html_()

    def _choose(self, change):
        self.chosen = find_text(self.film, change["new"])
        if self.film.texts[self.chosen] != change["new"]:
            self.text.value = self.film.texts[self.chosen]  # which calls this again
            return
        self._redraw()

    def _click(self, rows, points):
        if points.point_inds:
            self.text.value = self.film.texts[rows[points.point_inds[0]]]

    def _change_map(self, change):
        kind = change["new"]
        if kind in self._scenes:
            self._enter(kind)
            return
        self.kind.disabled = True
        self._redraw()
        self.job = threading.Thread(target=self._make, args=(kind,), name="umap", daemon=True)
        self.job.start()

    def _make(self, kind):
        """In a thread of its own: the maps of one kind. An error is shown, and the map stays what it was."""
        try:
            maps = umap_maps(self.film, kind)
            scene = make_scene(self.film, maps, kind, self._numbers)
        except Exception as error:
            self.kind.disabled = False
            self.kind.value = self.scene.kind
            self.complain(error)
            return
        self._scenes[kind] = scene
        self.kind.disabled = False
        self.guard(self._enter)(kind)

    def _enter(self, kind):
        self.scene = self._scenes[kind]
        fresh = replay_figure(self.scene, self.moment.value, self.chosen)
        with self.live.batch_update():
            for old, new in zip(self.live.data, fresh.data, strict=True):
                old.update(new.to_plotly_json())
            self.live.layout.update(fresh.layout)
        self._redraw()


def motion(scene, moment):
    """In words: how far the texts really turned since a few moments ago, how far they went on the map, and on maps made
    apart that this says nothing."""
    earlier = moment - -(-len(scene.film) // STOPS)
    if earlier < 0:
        kept, width = scene.film.axes.shape
        said = f"The film holds {kept} of the vectors' {width} axes; neighbours are those along them."
    else:
        angle = turned(scene.film.vectors[earlier], scene.film.vectors[moment])
        way = way_on_the_map(scene.maps[earlier], scene.maps[moment])
        said = (
            f"Since {scene.names[earlier]} the middle text's vector turned by {angle:.0f}° and moved "
            f"{way:.2f} radii on this map."
        )
    if scene.kind == "anew":
        said += " Maps made apart turn and fold as they please: what moves here need not have moved."
    return said


def _describe(film):
    names = moment_names(film)
    return (
        f"Training replay: {len(film.texts)} texts on a plane at {names[-1]}, marked by label, each point as large "
        f"as the share of its true neighbours beside it; right, losses and geometry over {len(names)} moments."
    )
