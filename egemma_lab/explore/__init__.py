"""What a learner looks at and moves: figures made from data, exercises, the live training picture.

Each name is imported when it is first used; plotly, matplotlib and ipywidgets load only then.

>>> from egemma_lab import explore
>>> "space_map" in explore.__all__
True
"""

import importlib

# public name -> module that defines it
_PUBLIC = {
    "Exercise": "exercises",
    "LivePlot": "live",
    "Replay": "recorded",
    "SearchSetting": "search_data",
    "Table": "tables",
    "anatomy": "anatomy_view",
    "anatomy_figure": "anatomy_drawing",
    "before_after_map": "maps",
    "circle_pairs": "circle",
    "compare_runs": "compare_runs_view",
    "describe_frontier": "frontier",
    "dissect": "anatomy_data",
    "describe_experiment": "ablations",
    "exercise": "exercises",
    "experiment_figure": "ablations",
    "flips": "flips_view",
    "load_coordinates": "recorded",
    "load_replay": "recorded",
    "loss_curves": "curves",
    "line_between": "soup_figures",
    "loss_playground": "playground_panel",
    "mask_figure": "anatomy_drawing",
    "matryoshka": "matryoshka_view",
    "matryoshka_page": "matryoshka_frames",
    "mixture_triangle": "soup_figures",
    "move": "controls",
    "playground_page": "playground_frames",
    "precision": "precision_view",
    "predict": "exercises",
    "probe_pairs": "bundled",
    "probe_texts": "bundled",
    "progress": "answer_file",
    "prompt_effect": "anatomy_data",
    "quality_frontier": "frontier",
    "replay_page": "replay_frames",
    "say": "prose",
    "score_bars": "scores",
    "search": "search_view",
    "show": "showing",
    "similarity_histogram": "distributions",
    "space_map": "maps",
    "spectrum": "distributions",
    "start": "clock",
    "teacher_student": "teacher_student_view",
    "topic_corpus": "bundled",
    "topic_queries": "bundled",
    "topics": "bundled",
    "training_replay": "replay",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(
            f"module 'egemma_lab.explore' has no attribute {name!r}; it offers {', '.join(__all__)}"
        )
    value = getattr(importlib.import_module(f"egemma_lab.explore.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])
