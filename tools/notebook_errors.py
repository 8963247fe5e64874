"""Errors that a notebook run can hide: nbmake is green while a widget's callback has failed.

An exception inside `@interact` or `@output.capture()` never reaches the cell: ipywidgets writes its traceback
into the Output widget, which a run keeps under `metadata.widgets`. So that is where we look.
"""

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


def _error_of(output):
    """One line about the error that `output` (a notebook output, as a dict) shows, or None."""
    kind = output.get("output_type")
    if kind == "error":
        return f"{output.get('ename', 'error')}: {output.get('evalue', '')}"
    if kind == "stream":
        text = output.get("text", "")
        text = text if isinstance(text, str) else "".join(text)
        if "Traceback (most recent call last)" in text:
            return f"a traceback on {output.get('name')}: {text.strip().splitlines()[-1]}"
    return None


def swallowed_errors(notebook):
    """What went wrong in an executed notebook, one line each: in cells, on stderr, and inside widgets.

    `notebook` is a parsed notebook (nbformat node or dict), still with the widget state of its run.

    >>> swallowed_errors({"metadata": {}, "cells": []})
    []
    """
    found = []
    for index, cell in enumerate(notebook["cells"]):
        meant = "raises-exception" in cell["metadata"].get(
            "tags", []
        )  # Jupyter's own tag for an error to show
        for output in cell.get("outputs", []):
            if meant and output.get("output_type") == "error":
                continue
            if error := _error_of(output):
                found.append(f"cell {index}: {error}")
    state = notebook["metadata"].get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for model_id, widget in state.items():
        if widget.get("model_name") != "OutputModel":
            continue
        for output in widget.get("state", {}).get("outputs", []):
            if error := _error_of(output):
                found.append(f"output widget {model_id[:8]}: {error}")
    return found
