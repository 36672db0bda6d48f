"""What the tests share."""

import contextlib
import sys

import numpy as np
import pytest

import spikegrad as sg


@contextlib.contextmanager
def in_double():
    """Runs snnTorch in float64 throughout: it turns spikes and some sums into float32, which would round every
    gradient that passes them."""
    import snntorch.functional  # noqa: F401
    import snntorch.spikegen  # noqa: F401
    import torch

    modules = [sys.modules["snntorch.functional.loss"], sys.modules["snntorch.spikegen"]]
    kept = [module.dtype for module in modules], torch.get_default_dtype()
    for module in modules:
        module.dtype = torch.float64
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    try:
        yield
    finally:
        for module, dtype in zip(modules, kept[0]):
            module.dtype = dtype
        torch.set_default_dtype(kept[1])
        del torch.Tensor.float


@pytest.fixture
def small():
    """A network, inputs that make it fire, and classes."""
    net = sg.Network(5, [sg.Leaky(8, beta=0.9), sg.Leaky(3, beta=0.8)], seed=1)
    rng = np.random.default_rng(0)
    return net, rng.uniform(0, 3, (6, 5)).astype(np.float32), rng.integers(0, 3, 6)
