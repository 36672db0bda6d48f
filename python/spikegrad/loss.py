"""Losses on the output layer. The names of snnTorch's ``snntorch.functional`` stand beside them.

``u`` are the output's membranes and ``s`` its spikes, both ``[T, B, N]``; ``mean`` is over the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, ClassVar, List, Optional, Tuple, Union

import numpy as np

from .recording import Recording

__all__ = [
    "Adjoints",
    "CrossEntropyCount",
    "CrossEntropyFirstSpike",
    "CrossEntropyLastMembrane",
    "CrossEntropyMaxMembrane",
    "CrossEntropyMeanMembrane",
    "CrossEntropyMembrane",
    "CrossEntropyRate",
    "Custom",
    "Loss",
    "Mae",
    "Mse",
    "MseCount",
    "MseFirstSpike",
    "MseMembrane",
    "WindowMembrane",
]

Array = np.ndarray[Any, Any]
PerLayer = Union[Array, List[Optional[Array]], None]


@dataclass(frozen=True)
class Adjoints:
    """The derivatives of a loss with respect to spikes and membranes, ``[T, B, N]``.

    Each is an array for the output layer, a list with one entry for each layer (``None`` is zero), or ``None``.
    """

    spk: PerLayer = None
    mem: PerLayer = None


class Loss:
    """The base of the losses."""

    kind: ClassVar[str] = ""

    @staticmethod
    def custom(function: Callable[[Recording, Array], Tuple[float, Adjoints]]) -> Custom:
        """A loss of one's own: a function of the recording and the targets that returns the value and the
        :class:`Adjoints`. :func:`spikegrad.gradcheck` checks it like the others. The reference to the engine's
        arrays is a copy, so the function may keep them.

        >>> def all_spikes(recording, targets):
        ...     spk = recording.spk[-1]
        ...     return float(spk.sum()), Adjoints(spk=np.ones_like(spk))
        >>> loss = Loss.custom(all_spikes)
        """
        return Custom(function)


@dataclass(frozen=True)
class CrossEntropyMembrane(Loss):
    """Cross entropy of the membrane at each step, summed over the steps: the loss of snnTorch's tutorial 5."""

    kind: ClassVar[str] = "cross_entropy_membrane"


@dataclass(frozen=True)
class CrossEntropyCount(Loss):
    """Cross entropy of the spike count: ``ce_count_loss``."""

    kind: ClassVar[str] = "cross_entropy_count"


@dataclass(frozen=True)
class CrossEntropyRate(Loss):
    """Cross entropy of the spikes at each step, mean over the steps: ``ce_rate_loss``."""

    kind: ClassVar[str] = "cross_entropy_rate"


@dataclass(frozen=True)
class CrossEntropyMaxMembrane(Loss):
    """Cross entropy of the largest membrane over time: ``ce_max_membrane_loss``."""

    kind: ClassVar[str] = "cross_entropy_max_membrane"


@dataclass(frozen=True)
class CrossEntropyLastMembrane(Loss):
    """Cross entropy of the membrane of the last step."""

    kind: ClassVar[str] = "cross_entropy_last_membrane"


@dataclass(frozen=True)
class CrossEntropyMeanMembrane(Loss):
    """Cross entropy of the membrane's mean over the steps from ``first`` to before ``end``; ``None`` is all that
    there are."""

    first: int = 0
    end: Optional[int] = None
    kind: ClassVar[str] = "cross_entropy_mean_membrane"


@dataclass(frozen=True)
class CrossEntropyFirstSpike(Loss):
    """Cross entropy of the inverted steps of the first spikes: ``ce_temporal_loss``.

    Args:
        inverse: ``"negate"``, minus the step, or ``"reciprocal"``, one over the step plus 1.
    """

    inverse: str = "negate"
    kind: ClassVar[str] = "cross_entropy_first_spike"


@dataclass(frozen=True)
class MseFirstSpike(Loss):
    """Mean squared error of the steps of the first spikes, over T, from those at which a class should fire:
    ``mse_temporal_loss``. Negative steps count from the end; a distance below ``tolerance`` is 0."""

    on_target: int = 0
    off_target: int = -1
    tolerance: int = 0
    kind: ClassVar[str] = "mse_first_spike"


@dataclass(frozen=True)
class WindowMembrane:
    """The read-out by the membrane summed over the steps from ``first`` to before ``end``; ``None`` is all that there
    are.

    >>> import numpy as np, spikegrad as sg
    >>> predictor = sg.Predictor(sg.Network(4, [sg.Leaky(2, beta=0.95)]), read_out=WindowMembrane(5))
    >>> predictor.scores(np.ones((3, 4), np.float32), num_steps=10).shape
    (3, 2)
    """

    first: int = 0
    end: Optional[int] = None


@dataclass(frozen=True)
class MseCount(Loss):
    """Mean squared error of the spike counts from ``floor(T * rate)``, over T: ``mse_count_loss``."""

    correct_rate: float = 1.0
    incorrect_rate: float = 0.0
    kind: ClassVar[str] = "mse_count"


@dataclass(frozen=True)
class MseMembrane(Loss):
    """Mean squared error of the membranes from a target potential at every step: ``mse_membrane_loss``."""

    on_target: float = 1.0
    off_target: float = 0.0
    kind: ClassVar[str] = "mse_membrane"


@dataclass(frozen=True)
class Mse(Loss):
    """``torch.nn.MSELoss`` of a quantity of the output and target values.

    Args:
        quantity: ``"membrane"`` (targets ``[T, B, N]``, or ``[B, N]`` for the last step), ``"spike_count"`` or
            ``"spike_rate"`` (targets ``[B, N]``).
    """

    quantity: str = "membrane"
    kind: ClassVar[str] = "mse"


@dataclass(frozen=True)
class Mae(Loss):
    """``torch.nn.L1Loss`` of a quantity of the output and target values, as :class:`Mse`."""

    quantity: str = "membrane"
    kind: ClassVar[str] = "mae"


@dataclass(frozen=True)
class Custom(Loss):
    """A loss of one's own; see :meth:`Loss.custom`."""

    function: Callable[[Recording, Array], Tuple[float, Adjoints]]
    kind: ClassVar[str] = "custom"
