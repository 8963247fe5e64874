"""What a learner answered, in a file of the learner's: plain lines to read, keep or delete, on this machine alone."""

import json
import os
import warnings
from datetime import datetime
from pathlib import Path

from platformdirs import user_documents_path

from egemma_lab.explore.live import in_notebook
from egemma_lab.explore.tables import Table

FILE = "egemma-lab-answers.jsonl"


def answer_path():
    """The file: the one that `EGEMMA_ANSWERS` names, else `egemma-lab-answers.jsonl` among the user's documents."""
    named = os.environ.get("EGEMMA_ANSWERS")
    return Path(named).expanduser() if named else user_documents_path() / FILE


def note(**what):
    """Append a line, {"time": ..., **what}, to the learner's file.

    Only in a notebook, where a learner sits: scripts and tests leave no trace. Where the file cannot be written, a
    warning says so and what to do; the learner still gets an answer.
    """
    if not in_notebook():
        return
    path = answer_path()
    line = json.dumps(
        {"time": datetime.now().isoformat(timespec="seconds"), **what}, ensure_ascii=False, default=str
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        warnings.warn(
            f"this answer could not be kept in {path} ({error.strerror}); to have a file elsewhere, run "
            "%env EGEMMA_ANSWERS=answers.jsonl in a cell of its own",
            stacklevel=3,
        )


def progress():
    """A table of all exercises that come with the package: how often you tried each, and how far you got.

    It is read from a file of your own (see `answer_path`), which `check` and `reveal` write when they are called in a
    notebook: one line of JSON an answer. Nothing else reads it and nothing leaves the machine; delete it, and all is
    forgotten. ValueError, with the number of the line, where it was changed into something else.

    >>> print(str(progress()).splitlines()[1].split())
    ['exercise', 'minutes', 'difficulty', 'tries', 'result', 'last']
    """
    import pandas as pd

    from egemma_lab.explore.questions import QUESTIONS

    path = answer_path()
    answers = [entry for entry in _read(path) if "exercise" in entry]
    rows = []
    for name, asked in QUESTIONS.items():
        mine = [entry for entry in answers if entry["exercise"] == name]
        result = "right" if any(entry["right"] for entry in mine) else "not yet" if mine else ""
        last = mine[-1]["time"].replace("T", " ")[:16] if mine else ""
        rows.append((name, f"{asked.minutes:g}", asked.difficulty, len(mine), result, last))
    table = pd.DataFrame(rows, columns=["exercise", "minutes", "difficulty", "tries", "result", "last"])
    done = (table["result"] == "right").sum()
    where = f"kept in {path}" if path.exists() else f"nothing kept so far; it will be in {path}"
    return Table(table, f"{done} of {len(table)} exercises done ({where})")


def _read(path):
    if not path.exists():
        return []
    entries = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"line {number} of {path} is not JSON ({error.msg}); mend it, remove it, or delete the file"
            ) from error
    return entries
