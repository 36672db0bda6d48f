"""Trains spiking neural networks by hand-derived backpropagation through time, on arrays of numpy.

Build a :class:`Network` of layers such as :class:`Leaky` or :class:`Synaptic`, recurrent or not, give it to an :class:`Engine`, and call
``train_step`` or ``fit``. :func:`from_snntorch` converts a network of snnTorch, :func:`to_snntorch` gives it back.
"""

from __future__ import annotations

import os
from typing import Union

from . import datasets, plot
from ._snntorch import from_snntorch, to_snntorch
from ._spikegrad import (
    Engine,
    Network,
    Predictor,
    State,
    __version__,
    _forked,
    _save_network,
    decay,
    firing_rates,
    gradcheck,
    load,
)
from .errors import (
    DeviceError,
    Error,
    FileError,
    FormatError,
    InvalidInputError,
    NonFiniteError,
    OutOfMemoryError,
    UnsupportedError,
)
from .loss import (
    Adjoints,
    CrossEntropyCount,
    CrossEntropyFirstSpike,
    CrossEntropyLastMembrane,
    CrossEntropyMaxMembrane,
    CrossEntropyMeanMembrane,
    CrossEntropyMembrane,
    CrossEntropyRate,
    Loss,
    Mae,
    Mse,
    MseCount,
    MseFirstSpike,
    MseMembrane,
    WindowMembrane,
)
from .neurons import (
    Adaptive,
    AdLif,
    Alpha,
    Draw,
    Encoder,
    Init,
    Lapicque,
    Layer,
    Leaky,
    LeakyIntegrator,
    Lsnn,
    Recurrence,
    Synaptic,
)
from .optim import SGD, Adam, Adamax, AdamW, Optimizer, Schedule
from .recording import (
    BatchRecord,
    EpochRecord,
    FiringRates,
    GradcheckReport,
    History,
    LayerRates,
    Recording,
    StepReport,
    TensorCheck,
)
from .surrogate import Arctan, FastSigmoid, Sigmoid, StraightThrough, Surrogate, Triangular

__all__ = [
    "SGD",
    "AdLif",
    "Adam",
    "AdamW",
    "Adamax",
    "Adaptive",
    "Adjoints",
    "Alpha",
    "Arctan",
    "BatchRecord",
    "CrossEntropyCount",
    "CrossEntropyFirstSpike",
    "CrossEntropyLastMembrane",
    "CrossEntropyMaxMembrane",
    "CrossEntropyMeanMembrane",
    "CrossEntropyMembrane",
    "CrossEntropyRate",
    "DeviceError",
    "Draw",
    "Encoder",
    "Engine",
    "EpochRecord",
    "Error",
    "FastSigmoid",
    "FileError",
    "FiringRates",
    "FormatError",
    "GradcheckReport",
    "History",
    "Init",
    "InvalidInputError",
    "Lapicque",
    "Layer",
    "LayerRates",
    "Leaky",
    "LeakyIntegrator",
    "Loss",
    "Lsnn",
    "Mae",
    "Mse",
    "MseCount",
    "MseFirstSpike",
    "MseMembrane",
    "Network",
    "NonFiniteError",
    "Optimizer",
    "OutOfMemoryError",
    "Predictor",
    "Recording",
    "Recurrence",
    "Schedule",
    "Sigmoid",
    "State",
    "StepReport",
    "StraightThrough",
    "Surrogate",
    "Synaptic",
    "TensorCheck",
    "Triangular",
    "UnsupportedError",
    "WindowMembrane",
    "__version__",
    "datasets",
    "decay",
    "firing_rates",
    "from_snntorch",
    "gradcheck",
    "load",
    "plot",
    "save",
    "to_snntorch",
]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def save(model: Union[Network, Engine], path: Union[str, "os.PathLike[str]"], precision: str = "") -> None:
    """Writes the trained tensors as a safetensors file, which ``safetensors.torch.load_file`` reads too.

    Args:
        model: A network, or an engine, whose present parameters are written in its precision.
        path: The file. One that is there is replaced only when the new one is whole.
        precision: ``"float32"``, the default of a network, or ``"float64"``.
    """
    if isinstance(model, Engine):
        _save_network(model.network, path, precision or model.precision)
    else:
        _save_network(model, path, precision or "float32")
