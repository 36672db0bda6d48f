"""Optimizers under the names of ``torch.optim``, and schedules of the learning rate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Optional, Sequence, Tuple

from ._spikegrad import schedule_rate

__all__ = ["SGD", "Adam", "AdamW", "Adamax", "Optimizer", "Schedule"]


@dataclass(frozen=True)
class Schedule:
    """A learning rate as a function of the number of updates made; make one with a class method.

    >>> schedule = Schedule.cosine(100).warmup(10)
    >>> [schedule.rate(1e-3, n) for n in (0, 10, 110)]
    [0.0001, 0.001, 0.0]
    """

    curve: str = "constant"
    numbers: Tuple[float, ...] = ()
    warmup_updates: int = 0

    @classmethod
    def constant(cls) -> Schedule:
        """Always the base rate."""
        return cls()

    @classmethod
    def step(cls, every: int, gamma: float) -> Schedule:
        """A factor after each ``every`` updates: ``StepLR``."""
        return cls("step", (every, gamma))

    @classmethod
    def exponential(cls, gamma: float) -> Schedule:
        """A factor after each update: ``ExponentialLR``."""
        return cls("exponential", (gamma,))

    @classmethod
    def cosine(cls, updates: int, least: float = 0.0) -> Schedule:
        """Along a cosine down to ``least`` in so many updates: ``CosineAnnealingLR``, but it stays there."""
        return cls("cosine", (updates, least))

    @classmethod
    def one_cycle(
        cls, updates: int, rise: float = 0.3, start_factor: float = 25.0, end_factor: float = 1e4
    ) -> Schedule:
        """Up and down once in so many updates: ``OneCycleLR`` with ``cycle_momentum=False``."""
        return cls("one_cycle", (updates, rise, start_factor, end_factor))

    def warmup(self, updates: int) -> Schedule:
        """The same behind a linear warm-up of so many updates."""
        return replace(self, warmup_updates=updates)

    def rate(self, base: float, made: int) -> float:
        """The rate of the update after ``made`` others, for a base rate."""
        return schedule_rate(self, base, made)


class Optimizer:
    """The base of the optimizers. All of them take, by keyword:

    ``schedule``: the learning rate of each update. ``groups``: pairs of names of tensors and an optimizer of the same
    class with settings of their own. ``clip_norm``: the largest norm of all gradients together.
    """

    kind: ClassVar[str] = ""
    lr: float
    schedule: Schedule
    groups: Sequence[Tuple[Sequence[str], Any]]
    clip_norm: Optional[float]

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, Schedule):
            raise TypeError(f"schedule is {self.schedule!r}; expected a Schedule")


@dataclass(frozen=True)
class SGD(Optimizer):
    """``torch.optim.SGD``.

    >>> SGD(0.1, momentum=0.9).momentum
    0.9
    """

    lr: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    schedule: Schedule = Schedule()
    groups: Sequence[Tuple[Sequence[str], Any]] = ()
    clip_norm: Optional[float] = None
    kind: ClassVar[str] = "sgd"


@dataclass(frozen=True)
class _Adaptive(Optimizer):
    """The settings of the optimizers that follow Adam, with Adam's defaults."""

    lr: float = 1e-3
    betas: Sequence[float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    schedule: Schedule = Schedule()
    groups: Sequence[Tuple[Sequence[str], Any]] = ()
    clip_norm: Optional[float] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "betas", tuple(self.betas))


@dataclass(frozen=True)
class Adam(_Adaptive):
    """``torch.optim.Adam``."""

    kind: ClassVar[str] = "adam"


@dataclass(frozen=True)
class AdamW(_Adaptive):
    """``torch.optim.AdamW``."""

    weight_decay: float = 0.01
    kind: ClassVar[str] = "adamw"


@dataclass(frozen=True)
class Adamax(_Adaptive):
    """``torch.optim.Adamax``."""

    lr: float = 2e-3
    kind: ClassVar[str] = "adamax"
