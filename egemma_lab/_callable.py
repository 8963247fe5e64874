"""Packages that are also verbs: `lab.train(...)` beside `egemma_lab.train.callbacks`.

`egemma_lab.train` is a package, and importing anything from it binds that package to the name `train`;
the public verb has the same name. So the package itself is made callable and calls its function.
"""

import functools
import sys
import types


def make_callable(module_name, function):
    """Make the package `module_name` call `function` when it is called itself."""

    class CallablePackage(types.ModuleType):
        @functools.wraps(function)
        def __call__(self, *args, **kwargs):
            return function(*args, **kwargs)

    sys.modules[module_name].__class__ = CallablePackage
