"""One module a source: each registers the recipe of its subsets' miniatures.

A new module is found by being in this folder; there is no list to extend.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil

from saco_data.sandbox.recipe import Recipe, registered


def recipe_of(subset: str) -> Recipe:
    """The recipe of a subset. Raises KeyError where none is registered."""
    return _load()[subset]


def has_recipe(subset: str) -> bool:
    """Whether a miniature of the subset can be built."""
    return subset in _load()


@functools.cache
def _load() -> dict[str, Recipe]:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return registered
