"""What a forward pass records, and what a step, an epoch and a run report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Optional, Sequence

import numpy as np

__all__ = [
    "BatchRecord",
    "EpochRecord",
    "FiringRates",
    "GradcheckReport",
    "History",
    "LayerRates",
    "Recording",
    "StepReport",
    "TensorCheck",
]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Recording:
    """Spikes and membranes of each layer, ``[T, B, N]``; ``None`` for a layer that was not recorded, which their type
    does not say, since a list of all layers is the usual case."""

    spk: List[Array]
    mem: List[Array]

    def spike_count(self) -> Array:
        """The spikes of each output neuron, ``[B, N]``."""
        count: Array = _recorded(self.spk, -1).sum(axis=0)
        return count

    def firing_rate(self, layer: int = -1) -> float:
        """The share of neurons and steps with a spike."""
        return float(_recorded(self.spk, layer).mean())


def _recorded(traces: Sequence[Optional[Array]], layer: int) -> Array:
    if not -len(traces) <= layer < len(traces):
        raise IndexError(f"layer is {layer}; expected one of the recording's {len(traces)} layers")
    trace = traces[layer]
    if trace is None:
        kept = [k for k, trace in enumerate(traces) if trace is not None]
        raise ValueError(f"layer {layer} was not recorded; expected one of {kept}")
    return trace


@dataclass(frozen=True)
class StepReport:
    """What a batch gave, before the update if there was one."""

    loss: float
    samples: int
    correct_spike_count: int
    """Samples whose class has the most spikes; 0 for targets that are values."""
    correct_membrane: int
    """Samples whose class has the largest membrane, summed over time; 0 for targets that are values."""
    firing_rate: List[float]
    """Of each layer: the share of neurons and steps with a spike."""
    gradient_norms: Optional[List[float]] = None
    """Of each layer, if ``measure_gradients`` is on."""

    @property
    def accuracy_spike_count(self) -> float:
        """The share of the samples whose class has the most spikes."""
        return self.correct_spike_count / self.samples

    @property
    def accuracy_membrane(self) -> float:
        """The share of the samples whose class has the largest membrane, summed over time."""
        return self.correct_membrane / self.samples


@dataclass(frozen=True)
class BatchRecord:
    """A training batch; both numbers count from 0."""

    epoch: int
    batch: int
    report: StepReport
    seconds: float
    learning_rate: float
    num_steps: int


@dataclass(frozen=True)
class EpochRecord:
    """An epoch, from 0."""

    epoch: int
    train_loss: float
    validation: Optional[StepReport]
    seconds: float


@dataclass(repr=False)
class History:
    """The measurements of a run: what ``fit`` returns, or a loop of one's own collects."""

    batches: List[BatchRecord] = field(default_factory=list)
    epochs: List[EpochRecord] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)

    def __repr__(self) -> str:
        last = f", training loss {self.epochs[-1].train_loss:.4g} in the last" if self.epochs else ""
        return f"<History of {len(self.batches)} batches, {len(self.epochs)} epochs{last}>"

    @property
    def losses(self) -> Array:
        """The loss of each batch."""
        return np.array([record.report.loss for record in self.batches])


@dataclass(frozen=True)
class TensorCheck:
    """A tensor's gradient beside finite differences, at the worst entry."""

    name: str
    entries: int
    worst: List[int]
    analytic: float
    numeric: float
    error: float
    zero: bool


@dataclass(frozen=True)
class GradcheckReport:
    """The outcome of :func:`spikegrad.gradcheck`; as text, a table."""

    passed: bool
    max_error: float
    tensors: List[TensorCheck]
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class LayerRates:
    """The firing rates of a layer beside those to be expected of its weights."""

    neurons: int
    mean: float
    """Of the membranes without reset, expected at the last step, over the neurons."""
    deviation: float
    """Their standard deviation, expected at the last step."""
    threshold: Optional[float]
    """The mean threshold; ``None`` of neurons without."""
    expected: Optional[float]
    """Spikes per neuron and step, from 0 to 1; ``None`` of neurons without a threshold."""
    found: float
    """The spikes per neuron and step that there were."""
    silent: int
    """How many neurons never fired."""


@dataclass(frozen=True)
class FiringRates:
    """The outcome of :func:`spikegrad.firing_rates`; as text, a table."""

    layers: List[LayerRates]
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text
