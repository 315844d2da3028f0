"""scipy's `linear_sum_assignment` without the rest of `scipy.optimize`.

Importing all of it takes 0.4 processor seconds and 37 MB, more than many an evaluation. The
function is an extension module of its own that needs only numpy; where a version of scipy has it
otherwise, the usual import is made.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NAME = "_lsap"


@functools.cache
def linear_sum_assignment() -> Callable[..., Any]:
    """The function; the same compiled code by either way."""
    if "scipy.optimize" not in sys.modules:
        try:
            return _alone()
        except (ImportError, AttributeError, OSError):
            pass
    from scipy.optimize import linear_sum_assignment as whole

    found: Callable[..., Any] = whole
    return found


def _alone() -> Callable[..., Any]:
    spec = importlib.util.find_spec("scipy")
    if spec is None or spec.origin is None:
        raise ImportError("scipy is not installed")
    folder = Path(spec.origin).parent / "optimize"
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = folder / f"{_NAME}{suffix}"
        if path.is_file():
            loader = importlib.machinery.ExtensionFileLoader(_NAME, str(path))
            own = importlib.util.spec_from_loader(_NAME, loader)
            if own is None:
                break
            module = importlib.util.module_from_spec(own)
            loader.exec_module(module)
            function: Callable[..., Any] = module.linear_sum_assignment
            return function
    raise ImportError(f"scipy.optimize has no module {_NAME}")
