"""Layers: a linear map and the spiking neurons behind it.

Layer ``k``, from 1, computes ``I = W s + b`` from the spikes ``s`` below, then its neurons integrate and fire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Sequence, Tuple, Union

import numpy as np

from .surrogate import Arctan, FastSigmoid, Sigmoid, Surrogate

__all__ = ["Layer", "Leaky", "PerNeuron", "Synaptic"]

PerNeuron = Union[float, Sequence[float], "np.ndarray[Any, Any]"]
"""One value for the whole layer, or one for each of its neurons."""


def _per_neuron(value: Any) -> Union[float, Tuple[float, ...]]:
    """A float, or a tuple of one for each neuron."""
    if value is None:
        raise TypeError("a constant is None; expected a number, or [neurons]")
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 0:
        return float(array)
    if array.ndim != 1:
        raise ValueError(f"a constant has shape {list(array.shape)}; expected a number, or [neurons]")
    return tuple(float(x) for x in array)


class Layer:
    """The base of the layers."""

    kind: ClassVar[str] = ""
    neurons: int
    dynamics: str
    reset: str
    _constants: ClassVar[Tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in self._constants:
            object.__setattr__(self, name, _per_neuron(getattr(self, name)))


@dataclass(frozen=True)
class Leaky(Layer):
    """Leaky integrate-and-fire neurons: ``u = beta * u + I``, minus the reset.

    The defaults are those of the class that snnTorch's tutorial 5 writes out: the spike reads the membrane of
    the step before. :meth:`snntorch` has those of ``snntorch.Leaky``, :meth:`spikingjelly` those of
    ``LIFNode``.

    Args:
        neurons: Number of neurons.
        beta: Decay of the membrane per step, from 0 to 1.
        threshold: Membrane above which a neuron fires, above 0.
        dynamics: Order of events in a step: ``"fire_then_integrate"`` (the tutorial),
            ``"integrate_then_fire"`` (snnTorch), ``"integrate_fire_reset"`` (SpikingJelly, Norse).
        reset: What a spike does to the membrane: ``"subtract"``, ``"zero"`` or ``"none"``.
        detach_reset: Whether no gradient passes through the reset.
        surrogate: Replaces the derivative of a spike.
        learn_beta: Whether ``beta`` is trained; it stays in [0, 1].
        learn_threshold: Whether ``threshold`` is trained; it stays above 0.

    >>> Leaky(10, beta=0.95).dynamics
    'fire_then_integrate'
    """

    neurons: int
    beta: PerNeuron
    threshold: PerNeuron = 1.0
    dynamics: str = "fire_then_integrate"
    reset: str = "subtract"
    detach_reset: bool = True
    surrogate: Surrogate = Arctan()
    learn_beta: bool = False
    learn_threshold: bool = False
    kind: ClassVar[str] = "leaky"
    _constants: ClassVar[Tuple[str, ...]] = ("beta", "threshold")

    @classmethod
    def snntorch(cls, neurons: int, beta: PerNeuron, **settings: Any) -> Leaky:
        """``snntorch.Leaky(beta)`` with its defaults, and any settings changed.

        >>> Leaky.snntorch(10, beta=0.95, reset="zero").dynamics
        'integrate_then_fire'
        """
        return cls(neurons, beta, **{"dynamics": "integrate_then_fire", **settings})

    @classmethod
    def spikingjelly(cls, neurons: int, tau: float, **settings: Any) -> Leaky:
        """SpikingJelly's ``LIFNode(tau)`` with its defaults, and any settings changed.

        Its ``decay_input=True`` also divides the input by ``tau``: divide the layer's weights and bias.
        """
        defaults: dict[str, Any] = {
            "dynamics": "integrate_fire_reset",
            "reset": "zero",
            "detach_reset": False,
            "surrogate": Sigmoid(4.0),
        }
        return cls(neurons, 1.0 - 1.0 / tau, **{**defaults, **settings})


@dataclass(frozen=True)
class Synaptic(Layer):
    """Current-based leaky integrate-and-fire neurons: ``i = alpha * i + I``, ``u = beta * u + gain * i``.

    The defaults are those of ``snntorch.Synaptic``; :meth:`spytorch` has those of Zenke's tutorials.

    Args:
        neurons: Number of neurons.
        alpha: Decay of the synaptic current per step, from 0 to 1.
        beta: Decay of the membrane per step, from 0 to 1.
        gain: From current to membrane.
        threshold: Membrane above which a neuron fires, above 0.
        dynamics: Order of events in a step, as in :class:`Leaky`.
        reset: What a spike does to the membrane: ``"subtract"``, ``"zero"`` or ``"none"``. A reset to zero also
            keeps the current of the same step from it.
        detach_reset: Whether no gradient passes through the reset.
        surrogate: Replaces the derivative of a spike.
        old_current: Whether the membrane reads the current of the step before.
        learn_alpha: Whether ``alpha`` is trained, and so on.
    """

    neurons: int
    alpha: PerNeuron
    beta: PerNeuron
    gain: PerNeuron = 1.0
    threshold: PerNeuron = 1.0
    dynamics: str = "integrate_then_fire"
    reset: str = "subtract"
    detach_reset: bool = True
    surrogate: Surrogate = Arctan()
    old_current: bool = False
    learn_alpha: bool = False
    learn_beta: bool = False
    learn_gain: bool = False
    learn_threshold: bool = False
    kind: ClassVar[str] = "synaptic"
    _constants: ClassVar[Tuple[str, ...]] = ("alpha", "beta", "gain", "threshold")

    @classmethod
    def spytorch(cls, neurons: int, alpha: PerNeuron, beta: PerNeuron, **settings: Any) -> Synaptic:
        """The neuron of SpyTorch's tutorials 1 to 4, and any settings changed."""
        defaults: dict[str, Any] = {
            "dynamics": "fire_then_integrate",
            "reset": "zero",
            "old_current": True,
            "surrogate": FastSigmoid(100.0),
        }
        return cls(neurons, alpha, beta, **{**defaults, **settings})
