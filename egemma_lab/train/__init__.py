"""The recipe, the loop, the run's folder. The package is its own verb: `lab.train(...)`."""

from egemma_lab._callable import make_callable
from egemma_lab.train.callbacks import Callback, TensorBoard
from egemma_lab.train.loop import train
from egemma_lab.train.recipe import Recipe
from egemma_lab.train.run import Run, Snapshots, load_run

__all__ = ["Callback", "Recipe", "Run", "Snapshots", "TensorBoard", "load_run", "train"]

make_callable(__name__, train)
