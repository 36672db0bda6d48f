"""Layers: a linear map and the neurons behind it.

Layer ``k``, from 1, computes ``I = W s + b`` from the spikes ``s`` below, then its neurons integrate and fire. A
recurrent layer adds ``V s' + c`` of its own spikes ``s'`` of the step before.

Every layer takes, by keyword:

``recurrent``: ``False``, ``True`` for all to all with biases as in snnTorch, or a :class:`Recurrence`. ``bias``: whether
there are biases ``b`` (of an :class:`Encoder`, ``fc_bias``). ``fixed``: whether ``W`` and ``b`` are not trained.
``dropout``: the probability that an input from below is missing from a sample while the network is trained, at all
steps alike, from 0 to below 1; the others then count ``1 / (1 - dropout)`` times as much.
``initial_membrane``: the membranes before the first step, a number, one for each neuron, or a :class:`Draw`. ``init`` and
``recurrent_init``: an :class:`Init`, how ``W`` and ``V`` are drawn; ``None`` is as ``torch.nn.Linear``, and 1 where each
neuron is connected to itself alone. A network does not keep how its weights were drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Optional, Sequence, Tuple, Union

import numpy as np

from ._spikegrad import _fluctuation_driven
from .surrogate import Arctan, FastSigmoid, Sigmoid, Surrogate

__all__ = [
    "AdLif",
    "Adaptive",
    "Alpha",
    "Draw",
    "Encoder",
    "Init",
    "Lapicque",
    "Layer",
    "Leaky",
    "LeakyIntegrator",
    "Lsnn",
    "PerNeuron",
    "Recurrence",
    "Synaptic",
]


@dataclass(frozen=True)
class Draw:
    """A distribution of a constant, drawn for each neuron from the network's seed; make one with a class method.

    >>> import spikegrad as sg
    >>> net = sg.Network(4, [sg.Leaky(3, beta=Draw.uniform(0.8, 0.9))])
    >>> [0.8 <= beta <= 0.9 for beta in net.layers[0].beta]
    [True, True, True]
    """

    distribution: str
    numbers: Tuple[float, float]

    @classmethod
    def uniform(cls, low: float, high: float) -> Draw:
        """Uniform from ``low`` to ``high``."""
        return cls("uniform", (low, high))

    @classmethod
    def normal(cls, mean: float, sd: float) -> Draw:
        """Normal, clamped to the range of the constant."""
        return cls("normal", (mean, sd))


@dataclass(frozen=True)
class Init:
    """How weights are drawn, from the network's seed; make one with a class method.

    ``n_in`` is the number of inputs of a neuron: the layer's inputs, or its neurons for recurrent weights.
    """

    scheme: str = "linear"
    numbers: Tuple[float, ...] = ()

    @classmethod
    def linear(cls) -> Init:
        """Uniform within ``1/sqrt(n_in)``, as ``torch.nn.Linear`` does; the default."""
        return cls()

    @classmethod
    def uniform(cls, bound: float) -> Init:
        """Uniform within ``bound``."""
        return cls("uniform", (bound,))

    @classmethod
    def normal(cls, mean: float = 0.0, sd: float = 1.0) -> Init:
        """Normal: ``torch.nn.init.normal_``."""
        return cls("normal", (mean, sd))

    @classmethod
    def scaled(cls, scale: float) -> Init:
        """Normal of deviation ``scale/sqrt(n_in)``: SpyTorch's ``weight_scale``; LeCun's with 1, He's with
        ``sqrt(2)``."""
        return cls("scaled", (scale,))

    @classmethod
    def orthogonal(cls, gain: float = 1.0) -> Init:
        """Orthonormal rows or columns, times the gain: ``torch.nn.init.orthogonal_``."""
        return cls("orthogonal", (gain,))

    @classmethod
    def constant(cls, value: float) -> Init:
        """The same value everywhere."""
        return cls("constant", (value,))

    @classmethod
    def tiled(cls) -> Init:
        """Neuron ``n`` gets input ``n % n_in``, with weight 1: several neurons for each channel."""
        return cls("tiled")

    @classmethod
    def fluctuation_driven(
        cls, inputs: int, rate: float, beta: float, alpha: float = 0.0, gain: float = 1.0, threshold: float = 1.0, xi: float = 2.0
    ) -> Init:
        """Normal, so that the membrane without reset has a deviation of ``threshold / xi`` where ``inputs`` inputs
        each fire with probability ``rate`` per step (Rossbroich, Gygax and Zenke, 2022). ``xi`` is usually 1 to 3.

        >>> Init.fluctuation_driven(1, rate=1.0, beta=0.0)
        Init(scheme='normal', numbers=(0.0, 0.5))
        """
        return cls("normal", _fluctuation_driven(inputs, rate, (alpha, beta, gain), threshold, xi))


@dataclass(frozen=True)
class Recurrence:
    """The connections within a layer, from the spikes of one step to the currents of the next.

    Args:
        pattern: ``"all_to_all"``, weights ``[N, N]``, or ``"one_to_one"``, each neuron to itself, weights ``[N]``.
        bias: Whether there are biases too. ``None`` is snnTorch's: all to all has some, one to one never has.
        diagonal: Whether all to all connects a neuron to itself.
        learn: Whether the weights, and their biases, are trained.
    """

    pattern: str = "all_to_all"
    bias: Optional[bool] = None
    diagonal: bool = True
    learn: bool = True

    def __post_init__(self) -> None:
        one = self.pattern == "one_to_one"
        if self.bias is None:
            object.__setattr__(self, "bias", not one)
        elif one and self.bias:
            raise ValueError("bias is True with pattern one_to_one; expected False or None, since it has no biases")
        if one and not self.diagonal:
            raise ValueError("diagonal is False with pattern one_to_one; expected True, since it has nothing else")


PerNeuron = Union[float, Sequence[float], "np.ndarray[Any, Any]", Draw]
"""One value for the whole layer, one for each of its neurons, or a distribution of these."""


def _per_neuron(value: Any) -> Union[float, Tuple[float, ...], Draw]:
    """A float, a tuple of one for each neuron, or a distribution."""
    if isinstance(value, Draw):
        return value
    if value is None:
        raise TypeError("a constant is None; expected a number, or [neurons]")
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 0:
        return float(array)
    if array.ndim != 1:
        raise ValueError(f"a constant has shape {list(array.shape)}; expected a number, or [neurons]")
    return tuple(float(x) for x in array)


class Layer:
    """The base of the layers. All of them take the settings of :mod:`spikegrad.neurons`."""

    kind: ClassVar[str] = ""
    neurons: int
    recurrent: Union[bool, Recurrence]
    fixed: bool
    dropout: float
    initial_membrane: PerNeuron
    init: Optional[Init]
    recurrent_init: Optional[Init]
    _constants: ClassVar[Tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in (*self._constants, "initial_membrane"):
            object.__setattr__(self, name, _per_neuron(getattr(self, name)))
        if self.recurrent is True:
            object.__setattr__(self, "recurrent", Recurrence())


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
    recurrent: Union[bool, Recurrence] = False
    bias: bool = True
    fixed: bool = False
    dropout: float = 0.0
    initial_membrane: PerNeuron = 0.0
    init: Optional[Init] = None
    recurrent_init: Optional[Init] = None
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
    recurrent: Union[bool, Recurrence] = False
    bias: bool = True
    fixed: bool = False
    dropout: float = 0.0
    initial_membrane: PerNeuron = 0.0
    init: Optional[Init] = None
    recurrent_init: Optional[Init] = None
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


@dataclass(frozen=True)
class LeakyIntegrator(Layer):
    """A membrane that never spikes and is never reset, to be read out: ``i = alpha * i + I``, ``u = beta * u + gain * i``.

    Losses on membranes read it; losses on spikes see none. :meth:`spytorch` has the defaults of Zenke's tutorials.

    Args:
        neurons: Number of neurons.
        beta: Decay of the membrane per step, from 0 to 1.
        alpha: Decay of the synaptic current per step, from 0 to 1; 0 is no synapse.
        gain: From current to membrane; SpyTorch's tutorial 5 and Norse have ``1 - beta``.
        old_current: Whether the membrane reads the current of the step before.
        learn_alpha: Whether ``alpha`` is trained, and so on.

    >>> LeakyIntegrator(20, alpha=0.9, beta=0.95).old_current
    False
    """

    neurons: int
    beta: PerNeuron
    alpha: PerNeuron = 0.0
    gain: PerNeuron = 1.0
    old_current: bool = False
    learn_alpha: bool = False
    learn_beta: bool = False
    learn_gain: bool = False
    recurrent: Union[bool, Recurrence] = False
    bias: bool = True
    fixed: bool = False
    dropout: float = 0.0
    initial_membrane: PerNeuron = 0.0
    init: Optional[Init] = None
    recurrent_init: Optional[Init] = None
    kind: ClassVar[str] = "leaky_integrator"
    _constants: ClassVar[Tuple[str, ...]] = ("alpha", "beta", "gain")

    @classmethod
    def spytorch(cls, neurons: int, alpha: PerNeuron, beta: PerNeuron, **settings: Any) -> LeakyIntegrator:
        """The read-out of SpyTorch's tutorials 1 to 4, which reads the old current, and any settings changed."""
        return cls(neurons, **{"alpha": alpha, "beta": beta, "old_current": True, **settings})


@dataclass(frozen=True)
class Encoder(Layer):
    """Neurons that turn measurements into spikes: leaky, with the input ``gain * (I + bias)``.

    The defaults are those of the first layer of SpyTorch's tutorial 5, but for its late reset.

    Args:
        neurons: Number of neurons.
        beta: Decay of the membrane per step, from 0 to 1.
        gain: Gain of the input.
        bias: What is added to the input before the gain. It is a constant of the neurons, ``lif1.bias``; ``fc_bias``
            says whether the layer has biases ``fc1.bias`` as well.
        threshold: Membrane above which a neuron fires, above 0.
        dynamics: Order of events in a step, as in :class:`Leaky`.
        reset: What a spike does to the membrane: ``"subtract"``, ``"zero"`` or ``"none"``. A reset to zero also
            keeps the input of the same step from it.
        detach_reset: Whether no gradient passes through the reset.
        surrogate: Replaces the derivative of a spike.
        normalized: Whether the membrane reads its input times ``1 - beta``.
        late_reset: Whether a spike resets the membrane one step late, as tutorial 5 computes it. True needs the
            defaults of ``dynamics``, ``reset`` and ``detach_reset``.
        learn_beta: Whether ``beta`` is trained, and so on.

    >>> Encoder(24, beta=0.95, gain=Draw.uniform(0.5, 1.5), learn_gain=True, init=Init.tiled(), fixed=True).reset
    'zero'
    """

    neurons: int
    beta: PerNeuron
    gain: PerNeuron = 1.0
    bias: PerNeuron = 0.0
    threshold: PerNeuron = 1.0
    dynamics: str = "fire_then_integrate"
    reset: str = "zero"
    detach_reset: bool = True
    surrogate: Surrogate = FastSigmoid(20.0)
    normalized: bool = True
    late_reset: bool = False
    learn_beta: bool = False
    learn_gain: bool = False
    learn_bias: bool = False
    learn_threshold: bool = False
    recurrent: Union[bool, Recurrence] = False
    fc_bias: bool = True
    fixed: bool = False
    dropout: float = 0.0
    initial_membrane: PerNeuron = 0.0
    init: Optional[Init] = None
    recurrent_init: Optional[Init] = None
    kind: ClassVar[str] = "encoder"
    _constants: ClassVar[Tuple[str, ...]] = ("beta", "gain", "bias", "threshold")


@dataclass(frozen=True)
class Lapicque(Layer):
    """Lapicque's neurons, given by a resistance and a capacitance: ``u = decay * u + gain * I``, minus the reset.

    The defaults are those of ``snntorch.Lapicque``. :meth:`snntorch` takes its ``beta``, :meth:`circuit` its ``R``, ``C``
    and ``time_step``.

    Args:
        neurons: Number of neurons.
        decay: Decay of the membrane per step, ``1 - time_step / (R * C)``, from -1 to 1.
        gain: From current to membrane, ``time_step / C``.
        threshold: Membrane above which a neuron fires, above 0.
        dynamics: Order of events in a step, as in :class:`Leaky`.
        reset: What a spike does to the membrane: ``"subtract"``, ``"zero"`` or ``"none"``. A reset to zero also
            keeps the current of the same step from it.
        detach_reset: Whether no gradient passes through the reset.
        surrogate: Replaces the derivative of a spike.
        learn_decay: Whether ``decay`` is trained, and so on.
    """

    neurons: int
    decay: PerNeuron
    gain: PerNeuron
    threshold: PerNeuron = 1.0
    dynamics: str = "integrate_then_fire"
    reset: str = "subtract"
    detach_reset: bool = True
    surrogate: Surrogate = Arctan()
    learn_decay: bool = False
    learn_gain: bool = False
    learn_threshold: bool = False
    recurrent: Union[bool, Recurrence] = False
    bias: bool = True
    fixed: bool = False
    dropout: float = 0.0
    initial_membrane: PerNeuron = 0.0
    init: Optional[Init] = None
    recurrent_init: Optional[Init] = None
    kind: ClassVar[str] = "lapicque"
    _constants: ClassVar[Tuple[str, ...]] = ("decay", "gain", "threshold")

    @classmethod
    def snntorch(cls, neurons: int, beta: float, **settings: Any) -> Lapicque:
        """``snntorch.Lapicque(beta)`` with its defaults, and any settings changed. Its membrane decays by
        ``1 + log(beta)``.

        >>> round(Lapicque.snntorch(10, beta=0.9).decay, 4)
        0.8946
        """
        return cls(neurons, 1.0 + math.log(beta), -math.log(beta), **settings)

    @classmethod
    def circuit(cls, neurons: int, r: float, c: float, time_step: float = 1.0, **settings: Any) -> Lapicque:
        """``snntorch.Lapicque(R=r, C=c, time_step=time_step)``, and any settings changed.

        >>> Lapicque.circuit(10, r=5.0, c=4.0).decay
        0.95
        """
        return cls(neurons, 1.0 - time_step / (r * c), time_step / c, **settings)


@dataclass(frozen=True)
class Alpha(Layer):
    """Neurons with two synaptic currents of opposite sign, whose sum is the membrane: ``snntorch.Alpha``.

    Args:
        neurons: Number of neurons.
        alpha: Decay of the excitatory current per step, above ``beta``, at most 1.
        beta: Decay of the inhibitory current per step, above 0 and below 1.
        threshold: Membrane above which a neuron fires, above 0.
        reset: What a spike does: ``"zero"`` clears the currents and the membrane; ``"subtract"``, as snnTorch has it,
            subtracts the threshold from the excitatory current and clears the inhibitory one; ``"none"``. No gradient
            passes through the reset.
        surrogate: Replaces the derivative of a spike.
        learn_alpha: Whether ``alpha`` is trained, and so on.
    """

    neurons: int
    alpha: PerNeuron
    beta: PerNeuron
    threshold: PerNeuron = 1.0
    reset: str = "zero"
    surrogate: Surrogate = Arctan()
    learn_alpha: bool = False
    learn_beta: bool = False
    learn_threshold: bool = False
    recurrent: Union[bool, Recurrence] = False
    bias: bool = True
    fixed: bool = False
    dropout: float = 0.0
    initial_membrane: PerNeuron = 0.0
    init: Optional[Init] = None
    recurrent_init: Optional[Init] = None
    kind: ClassVar[str] = "alpha"
    _constants: ClassVar[Tuple[str, ...]] = ("alpha", "beta", "threshold")


@dataclass(frozen=True)
class Adaptive(Layer):
    """Leaky neurons with an adaptive threshold (ALIF): each spike raises it by ``adaptation * (1 - rho)``.

    The defaults are those of Yin's networks (:meth:`yin`); :meth:`bellec` has those of LSNN-official.

    Args:
        neurons: Number of neurons.
        beta: Decay of the membrane per step, from 0 to 1.
        rho: Decay of the adaptation per step, from 0 to 1.
        adaptation: How much of the adaptation is added to the threshold, 0 or above.
        threshold: The threshold at rest, above 0.
        old_membrane: Whether the spike reads the membrane of the step before.
        scaled: Whether the surrogate reads the distance to the threshold in parts of the threshold.
        normalized: Whether the membrane reads the current times ``1 - beta``.
        detach_reset: Whether the spike in the reset is a constant of the backward pass.
        detach_adaptation: Whether the spike in the adaptation is one.
        surrogate: Replaces the derivative of a spike.
        learn_beta: Whether ``beta`` is trained, and so on.

    >>> Adaptive.bellec(10, beta=0.95, rho=0.99).scaled
    True
    """

    neurons: int
    beta: PerNeuron
    rho: PerNeuron
    adaptation: PerNeuron = 1.8
    threshold: PerNeuron = 1.0
    old_membrane: bool = False
    scaled: bool = False
    normalized: bool = True
    detach_reset: bool = False
    detach_adaptation: bool = False
    surrogate: Surrogate = Arctan()
    learn_beta: bool = False
    learn_rho: bool = False
    learn_adaptation: bool = False
    learn_threshold: bool = False
    recurrent: Union[bool, Recurrence] = False
    bias: bool = True
    fixed: bool = False
    dropout: float = 0.0
    initial_membrane: PerNeuron = 0.0
    init: Optional[Init] = None
    recurrent_init: Optional[Init] = None
    kind: ClassVar[str] = "adaptive"
    _constants: ClassVar[Tuple[str, ...]] = ("beta", "rho", "adaptation", "threshold")

    @classmethod
    def yin(cls, neurons: int, beta: PerNeuron, rho: PerNeuron, **settings: Any) -> Adaptive:
        """Yin's neuron, and any settings changed."""
        return cls(neurons, beta, rho, **settings)

    @classmethod
    def bellec(cls, neurons: int, beta: PerNeuron, rho: PerNeuron, **settings: Any) -> Adaptive:
        """Bellec's neuron, and any settings changed: the spike reads the old membrane, in parts of the threshold."""
        return cls(neurons, beta, rho, **{"old_membrane": True, "scaled": True, **settings})


@dataclass(frozen=True)
class Lsnn(Layer):
    """Norse's LSNN: current-based neurons whose threshold rises by ``adaptation`` with each spike.

    Args:
        neurons: Number of neurons.
        alpha: Decay of the synaptic current per step, from 0 to 1.
        beta: Decay of the membrane per step, from 0 to 1.
        rho: Decay of the adaptation per step, from 0 to 1.
        adaptation: By how much a spike raises the threshold, 0 or above.
        threshold: The threshold at rest, above 0.
        detach_reset: Whether the spike in the reset and in the adaptation is a constant of the backward pass, as in
            Norse's recurrent cell.
        surrogate: Replaces the derivative of a spike.
        learn_alpha: Whether ``alpha`` is trained, and so on.
    """

    neurons: int
    alpha: PerNeuron
    beta: PerNeuron
    rho: PerNeuron
    adaptation: PerNeuron = 1.8
    threshold: PerNeuron = 1.0
    detach_reset: bool = False
    surrogate: Surrogate = FastSigmoid(100.0)
    learn_alpha: bool = False
    learn_beta: bool = False
    learn_rho: bool = False
    learn_adaptation: bool = False
    learn_threshold: bool = False
    recurrent: Union[bool, Recurrence] = False
    bias: bool = True
    fixed: bool = False
    dropout: float = 0.0
    initial_membrane: PerNeuron = 0.0
    init: Optional[Init] = None
    recurrent_init: Optional[Init] = None
    kind: ClassVar[str] = "lsnn"
    _constants: ClassVar[Tuple[str, ...]] = ("alpha", "beta", "rho", "adaptation", "threshold")


@dataclass(frozen=True)
class AdLif(Layer):
    """sparch's adLIF: an adaptation that follows the membrane by ``a``, jumps by ``b`` with each spike, and is
    subtracted from the current. Constants stay within sparch's limits.

    Args:
        neurons: Number of neurons.
        alpha: Decay of the membrane per step, from ``exp(-1/5)`` to ``exp(-1/25)``.
        beta: Decay of the adaptation per step, from ``exp(-1/30)`` to ``exp(-1/120)``.
        a: How far the adaptation follows the membrane, from -1 to 1.
        b: The jump of the adaptation with a spike, from 0 to 2.
        threshold: Membrane above which a neuron fires, above 0.
        surrogate: Replaces the derivative of a spike.
        learn_alpha: Whether ``alpha`` is trained, and so on.

    >>> AdLif.sparch(10).learn_a
    True
    """

    neurons: int
    alpha: PerNeuron
    beta: PerNeuron
    a: PerNeuron = 0.0
    b: PerNeuron = 0.0
    threshold: PerNeuron = 1.0
    surrogate: Surrogate = Arctan()
    learn_alpha: bool = False
    learn_beta: bool = False
    learn_a: bool = False
    learn_b: bool = False
    learn_threshold: bool = False
    recurrent: Union[bool, Recurrence] = False
    bias: bool = True
    fixed: bool = False
    dropout: float = 0.0
    initial_membrane: PerNeuron = 0.0
    init: Optional[Init] = None
    recurrent_init: Optional[Init] = None
    kind: ClassVar[str] = "adlif"
    _constants: ClassVar[Tuple[str, ...]] = ("alpha", "beta", "a", "b", "threshold")

    @classmethod
    def sparch(cls, neurons: int, **settings: Any) -> AdLif:
        """sparch's layer: ``alpha``, ``beta``, ``a`` and ``b`` are drawn from their ranges and trained."""
        drawn: dict[str, Any] = {
            "alpha": Draw.uniform(math.exp(-1 / 5), math.exp(-1 / 25)),
            "beta": Draw.uniform(math.exp(-1 / 30), math.exp(-1 / 120)),
            "a": Draw.uniform(-1.0, 1.0),
            "b": Draw.uniform(0.0, 2.0),
        }
        learnt = {f"learn_{name}": True for name in drawn}
        return cls(neurons, **{**drawn, **learnt, **settings})
