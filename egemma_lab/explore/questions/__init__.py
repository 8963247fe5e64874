"""The exercises of the notebooks, one module a notebook: here, and not in the notebooks, stand the answers.

`QUESTIONS` maps "module/name" to an `Exercise`; each module's own `QUESTIONS` maps its names.
"""

import importlib
import pkgutil

QUESTIONS = {
    f"{module.name}/{name}": exercise
    for module in pkgutil.iter_modules(__path__)
    for name, exercise in importlib.import_module(f"{__name__}.{module.name}").QUESTIONS.items()
}
