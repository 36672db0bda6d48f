"""Networks of snnTorch, both ways. PyTorch and snnTorch are imported by these functions alone."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np

from ._spikegrad import Engine, Network
from .errors import UnsupportedError
from .neurons import Layer, Leaky, Synaptic
from .surrogate import Arctan, FastSigmoid, Sigmoid, StraightThrough, Surrogate, Triangular

__all__ = ["from_snntorch", "to_snntorch"]

_RESETS = ("subtract", "zero", "none")  # snnTorch's numbers of them


def from_snntorch(module: Any, sample: Any = None, num_steps: int = 25) -> Network:
    """The network that computes what a module of PyTorch and snnTorch computes.

    Args:
        module: An ``nn.Sequential``, or a module whose children are called in the order in which they were added:
            ``nn.Linear`` layers, each with a ``snntorch.Leaky`` or ``snntorch.Synaptic`` behind it (or the class
            of tutorial 5). ``nn.Flatten``, ``nn.Identity`` and an ``nn.Dropout`` that is off may stand between.
        sample: An input ``[B, ...]``, on which both are run and compared, in the module's precision.
        num_steps: Number of steps of that run.

    Raises:
        UnsupportedError: Names the module or the argument that has no counterpart.
    """
    pairs = list(_pairs(module))
    layers: List[Layer] = []
    state = {}
    for k, (name, linear, neuron_name, neuron) in enumerate(pairs, start=1):
        if k > 1 and pairs[k - 2][1].out_features != linear.in_features:
            raise UnsupportedError(
                f"{name} has {linear.in_features} inputs; expected {pairs[k - 2][1].out_features}, the neurons below"
            )
        layer, learnt = _layer(neuron_name, neuron, linear.out_features)
        layers.append(layer)
        state[f"fc{k}.weight"] = _numpy(linear.weight)
        if linear.bias is None:
            warnings.warn(
                f"{name} has no bias; here it has zeros, which training changes: to keep them, give the optimizer "
                f'the group (["fc{k}.bias"], ...) with lr=0',
                stacklevel=2,
            )
            state[f"fc{k}.bias"] = np.zeros(linear.out_features)
        else:
            state[f"fc{k}.bias"] = _numpy(linear.bias)
        for constant, value in learnt.items():
            state[f"lif{k}.{constant}"] = value
    network = Network(pairs[0][1].in_features, layers).with_state_dict(state)
    if sample is not None:
        _compare(pairs, module, network, sample, num_steps)
    return network


def to_snntorch(network: Network, init_hidden: bool = True) -> Any:
    """An ``nn.Sequential`` of ``nn.Linear`` and snnTorch's neurons that computes what the network computes.

    Its children are named ``fc1``, ``lif1``, ..., so its ``state_dict`` has the names of the network's.

    Args:
        network: The network.
        init_hidden: Whether the neurons keep their states, so that the module is called once for each step; the
            last returns its membrane too.

    Raises:
        UnsupportedError: Names the setting that snnTorch does not have.
    """
    import torch

    parts: "OrderedDict[str, Any]" = OrderedDict()
    inputs, layers, state = network.inputs, network.layers, network.state_dict()
    for k, layer in enumerate(layers, start=1):
        linear = torch.nn.Linear(inputs, layer.neurons, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(state[f"fc{k}.weight"]))
            linear.bias.copy_(torch.from_numpy(state[f"fc{k}.bias"]))
        parts[f"fc{k}"] = linear
        constants = network.constants(k - 1)
        parts[f"lif{k}"] = _neuron(f"lif{k}", layer, constants, init_hidden, k == len(layers))
        inputs = layer.neurons
    return torch.nn.Sequential(parts).to(torch.get_default_dtype())


def _pairs(module: Any) -> Iterator[Tuple[str, Any, str, Any]]:
    """Each linear layer with the neurons behind it, and their names."""
    import torch

    linear: Optional[Tuple[str, Any]] = None
    found = False
    for name, child in _children(module, ""):
        if isinstance(child, torch.nn.Linear):
            if linear is not None:
                raise UnsupportedError(f"{name} follows {linear[0]}; expected neurons between two linear layers")
            linear = (name, child)
        elif isinstance(child, torch.nn.Identity):
            continue
        elif isinstance(child, torch.nn.Flatten):
            if child.start_dim != 1 or child.end_dim != -1:
                raise UnsupportedError(f"{name} is {child}; expected Flatten(start_dim=1, end_dim=-1)")
        elif isinstance(child, torch.nn.Dropout):
            if child.training and child.p > 0:
                raise UnsupportedError(f"{name} is {child} in training mode; expected eval(), or p=0")
        elif _kind(child) is not None:
            if linear is None:
                raise UnsupportedError(f"{name} has no linear layer before it; expected nn.Linear, then neurons")
            yield (*linear, name, child)
            linear, found = None, True
        else:
            raise UnsupportedError(
                f"{name} is {type(child).__module__}.{type(child).__name__}; expected nn.Linear, nn.Flatten, "
                "nn.Dropout, snntorch.Leaky or snntorch.Synaptic"
            )
    if linear is not None:
        raise UnsupportedError(f"{linear[0]} has no neurons behind it; expected snntorch.Leaky or snntorch.Synaptic")
    if not found:
        raise UnsupportedError("the module has no layers; expected nn.Linear, then neurons")


def _children(module: Any, prefix: str) -> Iterator[Tuple[str, Any]]:
    """The modules in the order in which they are called; containers are taken apart."""
    import torch

    children = list(module.named_children())
    if _kind(module) is not None or not children:
        yield f"module {prefix}" if prefix else "the module", module
        return
    if isinstance(module, (torch.nn.ModuleList, torch.nn.ModuleDict)) or _is_container(module):
        for name, child in children:
            yield from _children(child, f"{prefix}.{name}" if prefix else name)
        return
    yield f"module {prefix}" if prefix else "the module", module


def _is_container(module: Any) -> bool:
    import torch

    own = type(module).__module__.split(".")[0]
    return isinstance(module, torch.nn.Sequential) or own not in ("torch", "snntorch")


def _kind(module: Any) -> Optional[str]:
    """Which neuron a module is."""
    import snntorch

    if type(module) is snntorch.Leaky:
        return "leaky"
    if type(module) is snntorch.Synaptic:
        return "synaptic"
    if type(module).__name__ in ("LeakySurrogate", "TutorialLeaky"):
        return "tutorial"
    return None


def _layer(name: str, neuron: Any, neurons: int) -> Tuple[Layer, "dict[str, Any]"]:
    """The description of a layer, and the tensors of what is learned."""
    import torch

    kind = _kind(neuron)
    if kind == "tutorial":
        return _tutorial(name, neuron, neurons), {}
    _refuse(name, neuron)
    settings: "dict[str, Any]" = {}
    learnt = {}
    decays = ("beta",) if kind == "leaky" else ("alpha", "beta")
    for constant in (*decays, "threshold"):
        tensor = getattr(neuron, constant)
        values = np.atleast_1d(_numpy(tensor))
        if values.shape not in ((1,), (neurons,)):
            raise UnsupportedError(
                f"{name}: {constant} has shape {list(values.shape)}; expected [], [1] or [{neurons}]"
            )
        learn = isinstance(tensor, torch.nn.Parameter)
        low, high = (0.0, 1.0) if constant in decays else (1e-6, np.inf)
        if not learn and constant in decays:
            values = values.clip(low, high)  # as its forward pass does
        if not ((values >= low) & (values <= high)).all():
            raise UnsupportedError(f"{name}: {constant} is {values.tolist()}; expected values from {low} to {high}")
        settings[constant] = values if tensor.ndim and values.size > 1 else float(values[0])
        settings[f"learn_{constant}"] = learn
        if learn:
            learnt[constant] = values
    delayed = bool(neuron.reset_delay)
    settings["dynamics"] = "integrate_then_fire" if delayed else "integrate_fire_reset"
    settings["detach_reset"] = delayed  # snnTorch detaches the delayed reset alone
    settings["reset"] = _RESETS[int(neuron.reset_mechanism_val)]
    if not delayed and settings["reset"] == "none":
        settings.update(dynamics="integrate_then_fire", detach_reset=True)  # there is nothing to delay
    settings["surrogate"] = _surrogate(name, neuron.spike_grad)
    if not delayed and settings["reset"] == "subtract":
        warnings.warn(
            f"{name}: with reset_delay=False and reset by subtraction, snnTorch differs where a membrane stays above "
            "the threshold after its reset; give a sample to compare the two",
            stacklevel=4,
        )
    return (Leaky if kind == "leaky" else Synaptic)(neurons, **settings), learnt


def _refuse(name: str, neuron: Any) -> None:
    """Arguments without a counterpart."""
    import torch

    if neuron.inhibition:
        raise UnsupportedError(f"{name}: inhibition=True has no counterpart")
    if neuron.state_quant:
        raise UnsupportedError(f"{name}: state_quant has no counterpart")
    if neuron.surrogate_disable:
        raise UnsupportedError(f"{name}: surrogate_disable=True has no counterpart")
    factor = neuron.graded_spikes_factor
    if isinstance(factor, torch.nn.Parameter) or not bool((factor == 1).all()):
        raise UnsupportedError(f"{name}: graded_spikes_factor has no counterpart; expected 1, and not learned")


def _tutorial(name: str, neuron: Any, neurons: int) -> Leaky:
    """The class that tutorial 5 writes out, recognized by what it computes."""
    import torch

    dtype = torch.float64
    drive = torch.tensor([[0.4], [1.3], [0.9], [-0.2], [2.5], [0.3]], dtype=dtype)
    beta, threshold = float(neuron.beta), float(neuron.threshold)
    if isinstance(neuron.beta, torch.nn.Parameter) or isinstance(neuron.threshold, torch.nn.Parameter):
        raise UnsupportedError(f"{name}: beta and threshold of this class cannot be learned here")
    mem = torch.zeros(1, dtype=dtype)
    expected = torch.zeros(1, dtype=dtype)
    for cur in drive:
        spk, mem = _step(neuron, cur, (mem,))
        fired = (expected > threshold).to(dtype)
        expected = beta * expected + cur - fired * beta * threshold
        if not (torch.equal(spk.to(dtype), fired) and torch.allclose(mem.to(dtype), expected, rtol=1e-6, atol=1e-6)):
            raise UnsupportedError(f"{name} is a {type(neuron).__name__} that does not compute what tutorial 5's does")
    points = torch.tensor([-0.7, -0.1, 0.2, 1.5], dtype=dtype, requires_grad=True)
    spk = _step(neuron, torch.zeros(4, dtype=dtype), (points + threshold,))[0]
    (slopes,) = torch.autograd.grad(spk.sum(), points)
    if not torch.allclose(slopes, 1 / (1 + (torch.pi * points.detach()) ** 2), rtol=1e-5):
        raise UnsupportedError(f"{name} is a {type(neuron).__name__} whose surrogate is not tutorial 5's")
    return Leaky(neurons, beta=beta, threshold=threshold)


def _surrogate(name: str, function: Any) -> Surrogate:
    """The surrogate of a function of ``snntorch.surrogate``, whose slope it keeps in its closure."""
    import torch

    made = getattr(function, "__qualname__", "").split(".")[0]
    kept = dict(zip(getattr(function, "__code__", _NoCode).co_freevars, getattr(function, "__closure__", None) or ()))
    numbers = {key: cell.cell_contents for key, cell in kept.items()}
    found: Optional[Surrogate] = None
    if made == "atan" and "alpha" in numbers:
        found = Arctan(float(numbers["alpha"]))
    elif made == "fast_sigmoid" and "slope" in numbers:
        found = FastSigmoid(float(numbers["slope"]))
    elif made == "sigmoid" and "slope" in numbers:
        found = Sigmoid(float(numbers["slope"]))
    elif made == "triangular" and numbers.get("threshold") == 1:
        found = Triangular()
    elif made == "straight_through_estimator":
        found = StraightThrough()
    if found is None:
        raise UnsupportedError(
            f"{name}: the surrogate {made or function!r} {numbers or ''} has no counterpart; expected atan, fast_sigmoid, "
            "sigmoid, triangular(threshold=1) or straight_through_estimator of snntorch.surrogate"
        )
    # A function of that name that computes something else must not pass.
    points = torch.tensor([-0.4, -0.05, 0.03, 0.6], dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(function(points).sum(), points)
    if not np.allclose(slopes.numpy(), _slopes(found, points.detach().numpy()), rtol=1e-5):
        raise UnsupportedError(f"{name}: the surrogate {made} does not compute what snnTorch's does")
    return found


class _NoCode:
    co_freevars: Tuple[str, ...] = ()


def _slopes(surrogate: Surrogate, x: Any) -> Any:
    """The derivative of a spike that a surrogate gives."""
    if isinstance(surrogate, Arctan):
        return surrogate.alpha / 2 / (1 + (np.pi / 2 * surrogate.alpha * x) ** 2)
    if isinstance(surrogate, FastSigmoid):
        return 1 / (surrogate.slope * np.abs(x) + 1) ** 2
    if isinstance(surrogate, Sigmoid):
        e = np.exp(-np.abs(surrogate.slope * x))
        return surrogate.slope * e / (1 + e) ** 2
    if isinstance(surrogate, Triangular):
        return np.where(x < 0, 1.0, -1.0)
    return np.ones_like(x)


def _neuron(name: str, layer: Layer, constants: Any, init_hidden: bool, last: bool) -> Any:
    """A layer's neurons in snnTorch, with the present values of their constants."""
    import snntorch
    import torch
    from snntorch import surrogate as st

    if not isinstance(layer, (Leaky, Synaptic)):
        raise UnsupportedError(f"{name} is {layer!r}; expected Leaky or Synaptic")
    if layer.dynamics == "fire_then_integrate":
        plain = isinstance(layer, Leaky) and layer.reset == "subtract" and layer.detach_reset
        shared = all(len(constants[key]) == 1 for key in constants)
        learnt = layer.learn_beta or layer.learn_threshold
        if not plain or not shared or learnt or layer.surrogate != Arctan():
            raise UnsupportedError(
                f"{name}: dynamics is fire_then_integrate, which snnTorch does not have (but for tutorial 5's class, with "
                "shared constants that are not learned); expected integrate_then_fire or integrate_fire_reset"
            )
        numbers = (float(constants["beta"][0]), float(constants["threshold"][0]))
        return _tutorial_class()(*numbers, init_hidden, init_hidden and last)
    immediate = layer.dynamics == "integrate_fire_reset"
    if layer.reset != "none" and layer.detach_reset == immediate:
        raise UnsupportedError(
            f"{name}: detach_reset is {layer.detach_reset} with {layer.dynamics}; snnTorch detaches the delayed reset alone"
        )
    tensors = {key: torch.from_numpy(value) for key, value in constants.items()}
    tensors = {key: value[0] if len(value) == 1 and not getattr(layer, f"learn_{key}") else value for key, value in tensors.items()}
    made = {Arctan: "atan", FastSigmoid: "fast_sigmoid", Sigmoid: "sigmoid", Triangular: "triangular"}
    function = getattr(st, made.get(type(layer.surrogate), "straight_through_estimator"))
    own = (getattr(layer.surrogate, key, None) for key in ("alpha", "slope"))
    slope = [number for number in own if number is not None]
    settings = {
        "threshold": tensors["threshold"],
        "spike_grad": function(*slope),
        "init_hidden": init_hidden,
        "learn_beta": layer.learn_beta,
        "learn_threshold": layer.learn_threshold,
        "reset_mechanism": layer.reset,
        "reset_delay": not immediate,
        "output": init_hidden and last,
    }
    if isinstance(layer, Leaky):
        return snntorch.Leaky(tensors["beta"], **settings)
    if layer.old_current or layer.learn_gain or (constants["gain"] != 1).any():
        raise UnsupportedError(f"{name}: snnTorch's Synaptic reads the new current with gain 1")
    return snntorch.Synaptic(tensors["alpha"], tensors["beta"], learn_alpha=layer.learn_alpha, **settings)


def _tutorial_class() -> Any:
    """The neuron that tutorial 5 writes out, which fires before it integrates and detaches its reset."""
    import torch
    from snntorch import surrogate as st

    class TutorialLeaky(torch.nn.Module):
        def __init__(self, beta: float, threshold: float, init_hidden: bool, output: bool) -> None:
            super().__init__()
            self.beta, self.threshold = beta, threshold
            self.init_hidden, self.output = init_hidden, output
            self.spike_gradient = st.atan()
            self.reset_mem()

        def reset_mem(self) -> None:
            self.mem = torch.zeros(0)

        def forward(self, cur: Any, mem: Any = None) -> Any:
            if mem is None:
                mem = self.mem if self.mem.shape == cur.shape else torch.zeros_like(cur)
            spk = self.spike_gradient(mem - self.threshold)
            reset = (self.beta * spk * self.threshold).detach()
            self.mem = self.beta * mem + cur - reset
            return (spk, self.mem) if self.output or not self.init_hidden else spk

    return TutorialLeaky


def _compare(pairs: Any, module: Any, network: Network, sample: Any, num_steps: int) -> None:
    """Runs both on a sample."""
    import torch

    tensor = torch.as_tensor(sample)
    x = tensor.reshape(tensor.shape[0], -1).to(pairs[0][1].weight.dtype)
    states: List[Tuple[Any, ...]] = [() for _ in pairs]
    spikes: List[List[Any]] = [[] for _ in pairs]
    with torch.no_grad():
        for _ in range(num_steps):
            spk = x
            for k, (_, linear, _, neuron) in enumerate(pairs):
                cur = linear(spk.to(x.dtype))  # snnTorch's spikes are float32
                if not states[k]:
                    count = 2 if _kind(neuron) == "synaptic" else 1
                    states[k] = tuple(torch.zeros_like(cur) for _ in range(count))
                spk, *rest = _step(neuron, cur, states[k])
                states[k] = tuple(rest)
                spikes[k].append(spk)
    double = x.dtype == torch.float64
    engine = Engine(network, device="cpu", precision="float64" if double else "float32")
    found = engine.forward(x.numpy(), num_steps)
    for k, (_, _, name, _) in enumerate(pairs):
        theirs, ours = torch.stack(spikes[k]).numpy(), found.spk[k]
        differ = int((theirs != ours).sum())
        if differ:
            raise UnsupportedError(f"{name}: {differ} of {theirs.size} spikes of the sample differ from the module's")


def _step(neuron: Any, cur: Any, states: Tuple[Any, ...]) -> Tuple[Any, ...]:
    """One step from given states: its spikes and the states after it. What the module itself keeps stays."""
    names = ("syn", "mem")[-len(states) :]
    kept = {name: getattr(neuron, name) for name in (*names, "reset") if hasattr(neuron, name)}
    try:
        if getattr(neuron, "init_hidden", False):
            for name, value in zip(names, states):
                setattr(neuron, name, value)
            answer = neuron(cur)
            spk = answer[0] if isinstance(answer, tuple) else answer
            return (spk, *(getattr(neuron, name) for name in names))
        return tuple(neuron(cur, *states))
    finally:
        for name, value in kept.items():
            setattr(neuron, name, value)


def _numpy(tensor: Any) -> Any:
    return tensor.detach().cpu().double().numpy()
