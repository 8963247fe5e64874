"""A widget put into a notebook, with what stands for it where there is no kernel."""

import sys

from egemma_lab.explore.named import named
from egemma_lab.explore.showing import bundle, show


def show_live(box, start, alt):
    """Display a widget, and in the same output its starting figure as picture and words for who has no kernel."""
    from IPython import get_ipython

    if get_ipython() is None:
        show(start, alt)
        return
    show_widget(box, *bundle(start, alt))


def show_widget(box, data, metadata):
    """Display a widget, and in the same output what stands for it where there is no kernel: data by mime type."""
    from IPython.display import display

    if "google.colab" in sys.modules:
        from google.colab import output

        output.enable_custom_widget_manager()
    # the same identifiers in ipywidgets 7 and 8; JupyterLab and Colab show this one before all others
    view = {"version_major": 2, "version_minor": 0, "model_id": named(box).model_id}
    display({"application/vnd.jupyter.widget-view+json": view, **data}, raw=True, metadata=metadata)
