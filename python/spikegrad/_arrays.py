"""Conversions of what is not an array of the right precision."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def array(given: Any, what: str) -> Array:
    """Any array-like of numbers: lists, tensors, arrays."""
    found: Array = np.asarray(given)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{what} has dtype {found.dtype}; expected numbers")
    return found


def numbers(given: Any, dtype: np.dtype[Any], what: str) -> Array:
    """An aligned array of ``dtype``."""
    with np.errstate(over="ignore"):  # infinity is an error of the library's
        return np.require(array(given, what).astype(dtype, copy=False), requirements=["A"])


def classes(found: Array) -> Array:
    """Classes as ``int64``."""
    if found.dtype.kind == "f":
        raise TypeError(
            f"y has dtype {found.dtype} and one axis; expected integers, a class for each sample, "
            "or values [B, N] or [T, B, N]"
        )
    return np.ascontiguousarray(found, dtype=np.int64)
