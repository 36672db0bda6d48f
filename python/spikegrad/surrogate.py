"""Surrogate gradients: replacements for the derivative of a spike in the backward pass.

Each is a function of ``x``, the membrane above its threshold. snnTorch has the same under
``snntorch.surrogate``: ``atan``, ``fast_sigmoid``, ``sigmoid``, ``triangular``,
``straight_through_estimator``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["Arctan", "FastSigmoid", "Sigmoid", "StraightThrough", "Surrogate", "Triangular"]


class Surrogate:
    """The base of the surrogate gradients."""

    kind: ClassVar[str] = ""


@dataclass(frozen=True)
class Arctan(Surrogate):
    """``(alpha/2) / (1 + (pi/2 * alpha * x)**2)``, snnTorch's ``atan(alpha=2.0)``."""

    alpha: float = 2.0
    kind: ClassVar[str] = "arctan"


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """``1 / (slope * abs(x) + 1)**2``, snnTorch's ``fast_sigmoid(slope=25)``."""

    slope: float = 25.0
    kind: ClassVar[str] = "fast_sigmoid"


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """``slope * p * (1 - p)`` with ``p`` the logistic function of ``slope * x``, snnTorch's ``sigmoid(slope=25)``."""

    slope: float = 25.0
    kind: ClassVar[str] = "sigmoid"


@dataclass(frozen=True)
class Triangular(Surrogate):
    """1 below the threshold and -1 from it on, snnTorch's ``triangular(threshold=1)``."""

    kind: ClassVar[str] = "triangular"


@dataclass(frozen=True)
class StraightThrough(Surrogate):
    """1 everywhere, snnTorch's ``straight_through_estimator()``."""

    kind: ClassVar[str] = "straight_through"
