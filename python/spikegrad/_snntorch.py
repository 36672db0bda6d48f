"""Networks of snnTorch, both ways. PyTorch and snnTorch are imported by these functions alone."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from dataclasses import replace
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple, Union

import numpy as np

from ._spikegrad import Engine, Network
from .errors import UnsupportedError
from .neurons import Alpha, Lapicque, Layer, Leaky, Recurrence, Synaptic
from .surrogate import Arctan, FastSigmoid, Sigmoid, StraightThrough, Surrogate, Triangular

__all__ = ["from_snntorch", "to_snntorch"]

_RESETS = ("subtract", "zero", "none")  # snnTorch's numbers of them
_KINDS = {  # of snnTorch's neurons, and the states of each in the order of its arguments
    "leaky": ("mem",),
    "synaptic": ("syn", "mem"),
    "rleaky": ("spk", "mem"),
    "rsynaptic": ("spk", "syn", "mem"),
    "alpha": ("syn_exc", "syn_inh", "mem"),
    "lapicque": ("mem",),
    "tutorial": ("mem",),
}
_NEURONS = "Leaky, Synaptic, RLeaky, RSynaptic, Alpha or Lapicque of snntorch"


def from_snntorch(module: Any, sample: Any = None, num_steps: int = 25) -> Network:
    """The network that computes what a module of PyTorch and snnTorch computes.

    Args:
        module: An ``nn.Sequential``, or a module whose children are called in the order in which they were added:
            ``nn.Linear`` layers, each with a ``Leaky``, ``Synaptic``, ``RLeaky``, ``RSynaptic``, ``Alpha`` or ``Lapicque``
            of snnTorch behind it (or the class of tutorial 5). A linear layer that requires no gradient is ``fixed``. ``nn.Flatten``, ``nn.Identity`` and an ``nn.Dropout`` that is off may stand between.
        sample: An input ``[B, ...]`` or ``[T, B, N]`` on which the module is run, to compare its spikes with the network's. Of an
            ``nn.Sequential`` the parts are run in their order; any other module is called, and its parts must be
            given the sample, each other's answers and their own states, and the module must return some of these.
        num_steps: Number of steps of that run; a ``forward`` with a loop over its own steps is called once.

    Raises:
        UnsupportedError: Names the module or the argument that has no counterpart.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module is {module!r}; expected an instance of torch.nn.Module")
    pairs = list(_pairs(module))
    layers: List[Layer] = []
    state = {}
    for k, pair in enumerate(pairs, start=1):
        linear, below = pair.linear, pairs[k - 2]
        if k > 1 and below.linear.out_features != linear.in_features:
            raise UnsupportedError(
                f"{pair.name} has {linear.in_features} inputs; expected {below.linear.out_features}, the neurons below"
            )
        layer, learnt = _layer(pair.neuron_name, pair.neuron, linear.out_features)
        recurrent, within = _recurrence(pair.neuron_name, pair.neuron, linear.out_features)
        changed: "dict[str, Any]" = {"bias": linear.bias is not None, "recurrent": recurrent}
        layer = replace(layer, fixed=not _all_or_none(pair.name, linear.parameters()), **changed)
        layers.append(layer)
        state[f"fc{k}.weight"] = _numpy(pair.name, linear.weight)
        if linear.bias is not None:
            state[f"fc{k}.bias"] = _numpy(pair.name, linear.bias)
        for constant, value in {**learnt, **within}.items():
            state[f"lif{k}.{constant}"] = value
        if not getattr(pair.neuron, "reset_delay", True) and layer.reset == "subtract":
            warnings.warn(
                f"{pair.neuron_name}: with reset_delay=False and reset by subtraction, snnTorch differs where a membrane "
                "stays above the threshold after its reset; give a sample to compare the two",
                stacklevel=2,
            )
    network = Network(pairs[0].linear.in_features, layers).with_state_dict(state)
    if sample is not None:
        _compare(pairs, module, network, torch.as_tensor(sample), num_steps)
    return network


def to_snntorch(network: Union[Network, Engine], init_hidden: bool = True, dtype: Any = None) -> Any:
    """An ``nn.Sequential`` of ``nn.Linear`` and snnTorch's neurons that computes what the network computes.

    Its children are named ``fc1``, ``lif1``, ..., so its ``state_dict`` has the names of the network's, beside those of
    snnTorch's own buffers: :func:`from_snntorch` takes the module back.

    Args:
        network: The network, or an engine with the network that it has trained.
        init_hidden: Whether the neurons keep their states, so that the module is called once for each step; the
            last returns its membrane too.
        dtype: Of the parameters; ``torch.float32`` by default, which snnTorch's spikes have.

    Raises:
        UnsupportedError: Names the setting that snnTorch does not have.
    """
    import torch

    network = network.network if isinstance(network, Engine) else network
    if not isinstance(network, Network):
        raise TypeError(f"network is {network!r}; expected a Network or an Engine")
    parts: "OrderedDict[str, Any]" = OrderedDict()
    inputs, layers, state = network.inputs, network.layers, network.state_dict()
    for k, layer in enumerate(layers, start=1):
        constants = network.constants(k - 1)
        neuron = _neuron(f"lif{k}", layer, constants, init_hidden, k == len(layers))
        linear = torch.nn.Linear(inputs, layer.neurons, bias=f"fc{k}.bias" in state, dtype=torch.float64)
        linear.requires_grad_(not layer.fixed)
        if isinstance(layer.recurrent, Recurrence):
            _recur(f"lif{k}", layer.recurrent, neuron, layer.neurons)
        with torch.no_grad():
            for part, prefix in ((linear, f"fc{k}."), (getattr(neuron, "recurrent", None), f"lif{k}.recurrent.")):
                for name, parameter in part.named_parameters() if part is not None else ():
                    parameter.copy_(torch.from_numpy(state[prefix + name]))
        parts[f"fc{k}"], parts[f"lif{k}"] = linear, neuron
        inputs = layer.neurons
    return torch.nn.Sequential(parts).to(dtype or torch.float32)


class _Pair(NamedTuple):
    """A linear layer with the neurons behind it, and their names."""

    name: str
    linear: Any
    neuron_name: str
    neuron: Any


def _pairs(module: Any) -> Iterator[_Pair]:
    """Each linear layer with the neurons behind it."""
    import torch

    linear: Optional[Tuple[str, Any]] = None
    found = False
    for name, child in _parts(module):
        if type(child) is torch.nn.Linear:
            if linear is not None:
                raise UnsupportedError(f"{name} follows {linear[0]}; expected neurons between two linear layers")
            linear = (name, child)
        elif type(child) is torch.nn.Identity:
            continue
        elif type(child) is torch.nn.Flatten:
            if child.start_dim != 1 or child.end_dim != -1:
                raise UnsupportedError(f"{name} is {child}; expected Flatten(start_dim=1, end_dim=-1)")
        elif type(child) is torch.nn.Dropout:
            if child.training and child.p > 0:
                raise UnsupportedError(f"{name} is {child} in training mode; expected eval(), or p=0: its mask changes at every step (see the layers' dropout)")
        elif _kind(child) is not None:
            if linear is None:
                raise UnsupportedError(f"{name} has no linear layer before it; expected nn.Linear, then neurons")
            yield _Pair(*linear, name, child)
            linear, found = None, True
        else:
            raise UnsupportedError(
                f"{name} is {type(child).__module__}.{type(child).__name__}; expected nn.Linear, nn.Flatten, "
                f"nn.Dropout, or {_NEURONS}"
            )
    if linear is not None:
        raise UnsupportedError(f"{linear[0]} has no neurons behind it; expected {_NEURONS}")
    if not found:
        raise UnsupportedError("the module has no layers; expected nn.Linear, then neurons")


def _parts(module: Any) -> Iterator[Tuple[str, Any]]:
    """The modules in the order in which they are called, each once; containers are taken apart."""
    first: "dict[int, str]" = {}
    for name, part in _children(module, ""):
        within = getattr(part, "recurrent", None)
        for one, called in ((part, name), (within, f"{name}.recurrent")):
            if id(one) in first:
                raise UnsupportedError(f"{called} is {first[id(one)]} again; expected a module of its own for each layer")
            if one is not None:
                first[id(one)] = called
        yield name, part


def _children(module: Any, prefix: str) -> Iterator[Tuple[str, Any]]:
    import torch

    name = f"module {prefix}" if prefix else "the module"
    if module._forward_hooks or module._forward_pre_hooks:
        raise UnsupportedError(f"{name} has forward hooks, which have no counterpart")
    own = type(module).__module__.split(".")[0]
    holds = (torch.nn.Sequential, torch.nn.ModuleList)
    if _kind(module) is not None or not module._modules or not (isinstance(module, holds) or own not in ("torch", "snntorch")):
        yield name, module
        return
    if module._parameters or module._buffers:
        kept = ", ".join([*module._parameters, *module._buffers])
        raise UnsupportedError(f"{name} has parameters or buffers of its own, which have no counterpart: {kept}")
    for child_name, child in module._modules.items():
        if child is not None:
            yield from _children(child, f"{prefix}.{child_name}" if prefix else child_name)


def _kind(module: Any) -> Optional[str]:
    """Which neuron a module is."""
    import snntorch

    for known in ("Leaky", "Synaptic", "RLeaky", "RSynaptic", "Alpha", "Lapicque"):
        if type(module) is getattr(snntorch, known):
            return known.lower()
    if type(module).__name__ in ("LeakySurrogate", "TutorialLeaky"):
        return "tutorial"
    return None


def _layer(name: str, neuron: Any, neurons: int) -> Tuple[Any, "dict[str, Any]"]:
    """The description of a layer without its synapses, and the tensors of what is learned."""
    import torch

    kind = _kind(neuron)
    if kind == "tutorial":
        return _tutorial(name, neuron, neurons), {}
    _refuse(name, neuron)
    settings: "dict[str, Any]" = {}
    learnt = {}
    decays: Tuple[str, ...] = ("beta",) if kind in ("leaky", "rleaky") else ("alpha", "beta")
    if kind == "lapicque":
        decays = ()
        settings.update(_circuit(name, neuron, neurons))
    for constant in (*decays, "threshold"):
        tensor = getattr(neuron, constant)
        if tensor.requires_grad and not isinstance(tensor, torch.nn.Parameter):
            raise UnsupportedError(f"{name}: {constant} requires a gradient and is no Parameter; expected learn_{constant}=True")
        values = np.atleast_1d(_numpy(name, tensor))
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
        values = values if learn else _shortest(tensor, values)
        settings[constant] = values if tensor.ndim and values.size > 1 else float(values[0])
        settings[f"learn_{constant}"] = learn
        if learn:
            learnt[constant] = values
    reset = _RESETS[int(neuron.reset_mechanism_val)]
    settings.update(reset=reset, surrogate=_surrogate(name, neuron.spike_grad))
    if kind == "alpha":
        return Alpha(neurons, **settings), learnt
    delayed = bool(getattr(neuron, "reset_delay", True))
    if not delayed and kind == "rsynaptic":
        raise UnsupportedError(f"{name}: reset_delay is False, which fails in snnTorch's RSynaptic; expected True")
    settings["dynamics"] = "integrate_then_fire" if delayed else "integrate_fire_reset"
    settings["detach_reset"] = delayed  # snnTorch detaches the delayed reset alone
    if not delayed and reset == "none":
        settings.update(dynamics="integrate_then_fire", detach_reset=True)  # there is nothing to delay
    if kind == "lapicque":
        return Lapicque(neurons, **settings), learnt
    if kind == "rleaky" and delayed and reset == "zero":
        return Synaptic(neurons, alpha=0.0, **settings), learnt  # its reset clears the current of the same step
    return (Leaky if kind in ("leaky", "rleaky") else Synaptic)(neurons, **settings), learnt


def _circuit(name: str, neuron: Any, neurons: int) -> "dict[str, Any]":
    """Decay and gain of a Lapicque neuron, which it computes from its circuit."""
    import torch

    if isinstance(neuron.beta, torch.nn.Parameter):
        raise UnsupportedError(f"{name}: learn_beta=True has no counterpart, since its membrane does not read beta; expected False")
    parts = [np.atleast_1d(_numpy(name, getattr(neuron, part))) for part in ("R", "C", "time_step")]
    for part, values in zip(("R", "C", "time_step"), parts):
        if values.shape not in ((1,), (neurons,)):
            raise UnsupportedError(f"{name}: {part} has shape {list(values.shape)}; expected [], [1] or [{neurons}]")
    r, c, step = parts
    found = {"decay": 1.0 - step / (r * c), "gain": step / c + 0.0 * r}
    if not ((found["decay"] >= -1) & (found["decay"] <= 1)).all():
        raise UnsupportedError(f"{name}: 1 - time_step / (R * C) is {found['decay'].tolist()}; expected values from -1 to 1")
    return {key: values if values.size > 1 else float(values[0]) for key, values in found.items()}


def _recurrence(name: str, neuron: Any, neurons: int) -> "Tuple[Union[bool, Recurrence], dict[str, Any]]":
    """The connections within a layer, and their tensors."""
    import torch
    from snntorch import _neurons

    if _kind(neuron) not in ("rleaky", "rsynaptic"):
        return False, {}
    within, what = neuron.recurrent, f"{name}.recurrent"
    if within._forward_hooks or within._forward_pre_hooks:
        raise UnsupportedError(f"{what} has forward hooks, which have no counterpart")
    if type(within) is torch.nn.Linear:
        shape = [within.out_features, within.in_features]
        if shape != [neurons, neurons]:
            raise UnsupportedError(f"{what} has weights {shape}; expected {[neurons, neurons]}, the outputs of the linear layer before it")
        learn = _all_or_none(what, within.parameters())
        tensors = {f"recurrent.{key}": _numpy(what, tensor) for key, tensor in within.named_parameters()}
        return Recurrence("all_to_all", bias=within.bias is not None, learn=learn), tensors
    if type(within) not in (_neurons.rleaky.RecurrentOneToOne, _neurons.rsynaptic.RecurrentOneToOne):
        raise UnsupportedError(f"{what} is {within}; expected nn.Linear (linear_features=...), or all_to_all=False")
    values = np.atleast_1d(_numpy(what, torch.as_tensor(within.V)))
    if values.shape not in ((1,), (neurons,)):
        raise UnsupportedError(f"{name}: V has shape {list(values.shape)}; expected [], [1] or [{neurons}]")
    learn = isinstance(within.V, torch.nn.Parameter) and within.V.requires_grad
    if learn and values.size != neurons:
        warnings.warn(f"{name}: V is one number; here it is one for each neuron, which training sets apart", stacklevel=3)
    return Recurrence("one_to_one", learn=learn), {"recurrent.V": np.broadcast_to(values, neurons).copy()}


def _all_or_none(what: str, parameters: Any) -> bool:
    """Whether parameters are trained."""
    required = [parameter.requires_grad for parameter in parameters]
    if any(required) != all(required):
        raise UnsupportedError(f"{what}: weight and bias do not both require a gradient; expected both, or neither")
    return all(required)


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

    what = f"{name} is a {type(neuron).__name__}"
    try:
        beta, threshold = (_one(neuron.beta), _one(neuron.threshold))
        learned = [isinstance(value, torch.nn.Parameter) for value in (neuron.beta, neuron.threshold)]
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise UnsupportedError(f"{what} without one beta and one threshold: {error}") from error
    if any(learned):
        raise UnsupportedError(f"{what} whose beta and threshold are learned, which its detached reset does not allow here")
    # Several samples and neurons of the layer's own width, at rest, below and beyond the threshold.
    drive = torch.linspace(-0.5, 2.5, 12 * 3 * neurons, dtype=torch.float64).reshape(12, 3, neurons)
    drive = drive[torch.randperm(12, generator=torch.Generator().manual_seed(0))]
    mem = expected = torch.zeros(3, neurons, dtype=torch.float64)
    points = torch.linspace(-1.5, 1.5, 3 * neurons, dtype=torch.float64).reshape(3, neurons).requires_grad_()
    try:
        agrees = True
        for cur in drive:
            spk, mem = _step(neuron, cur, (mem,))
            fired = (expected > threshold).double()
            expected = beta * expected + cur - fired * beta * threshold
            agrees &= torch.equal(spk.double(), fired)
            agrees &= torch.allclose(mem.double(), expected, rtol=1e-6, atol=1e-6)
        spk = _step(neuron, torch.zeros_like(points), (points + threshold,))[0]
        (slopes,) = torch.autograd.grad(spk.sum(), points)
    except Exception as error:
        raise UnsupportedError(f"{what} that cannot be called as tutorial 5's: {error}") from error
    if not agrees:
        raise UnsupportedError(f"{what} that does not compute what tutorial 5's does")
    if not torch.allclose(slopes, 1 / (1 + (torch.pi * points.detach()) ** 2), rtol=1e-5):
        raise UnsupportedError(f"{what} whose surrogate is not tutorial 5's")
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

    if not isinstance(layer, (Leaky, Synaptic, Alpha, Lapicque)):
        raise UnsupportedError(f"{name} is {layer!r}; expected Leaky, Synaptic, Alpha or Lapicque")
    if np.any(np.asarray(layer.initial_membrane) != 0):
        raise UnsupportedError(f"{name}: initial_membrane is {layer.initial_membrane}; expected 0, where snnTorch's neurons begin")
    recurrent = isinstance(layer.recurrent, Recurrence)
    if recurrent and not isinstance(layer, (Leaky, Synaptic)):
        raise UnsupportedError(f"{name} is a recurrent {type(layer).__name__}; snnTorch has recurrent Leaky and Synaptic alone")
    immediate = False
    if isinstance(layer, Alpha):
        pass
    elif layer.dynamics == "fire_then_integrate":
        plain = isinstance(layer, Leaky) and layer.reset == "subtract" and layer.detach_reset and not recurrent
        shared = all(len(constants[key]) == 1 for key in constants)
        learnt = any(getattr(layer, f"learn_{key}") for key in constants)
        if not plain or not shared or learnt or layer.surrogate != Arctan():
            raise UnsupportedError(
                f"{name}: dynamics is fire_then_integrate, which snnTorch does not have (but for tutorial 5's class, with "
                "shared constants that are not learned); expected integrate_then_fire or integrate_fire_reset"
            )
        numbers = (float(constants["beta"][0]), float(constants["threshold"][0]))
        return _tutorial_class()(*numbers, init_hidden=init_hidden, output=init_hidden and last)
    else:
        immediate = layer.dynamics == "integrate_fire_reset" and layer.reset != "none"
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
    settings: "dict[str, Any]" = {
        "threshold": tensors["threshold"],
        "spike_grad": function(*slope),
        "init_hidden": init_hidden,
        "learn_threshold": layer.learn_threshold,
        "reset_mechanism": layer.reset,
        "output": init_hidden and last,
    }
    if isinstance(layer, Lapicque):
        return _lapicque(name, layer, tensors, immediate, settings)
    settings["learn_beta"] = layer.learn_beta
    if isinstance(layer, Alpha):
        neuron = snntorch.Alpha(tensors["alpha"], tensors["beta"], **settings)
        if layer.learn_alpha:  # its own learn_alpha=True fails
            del neuron.alpha
            neuron.alpha = torch.nn.Parameter(tensors["alpha"])
        return neuron
    settings["reset_delay"] = not immediate
    # The recurrent weights are set afterwards.
    within = {"linear_features": layer.neurons} if recurrent else {}
    if isinstance(layer, Leaky):
        if recurrent and layer.reset == "zero" and not immediate:
            raise UnsupportedError(
                f"{name} is a recurrent Leaky with reset zero; snnTorch's RLeaky also clears the current of the same step, "
                "which is Synaptic(alpha=0.0, reset='zero')"
            )
        return (snntorch.RLeaky if recurrent else snntorch.Leaky)(tensors["beta"], **within, **settings)
    if layer.old_current or layer.learn_gain or (constants["gain"] != 1).any():
        raise UnsupportedError(f"{name}: snnTorch's Synaptic reads the new current with gain 1")
    forgets = not layer.learn_alpha and layer.alpha == 0.0 and layer.reset == "zero"
    if recurrent and forgets and not immediate:
        return snntorch.RLeaky(tensors["beta"], **within, **settings)
    if recurrent and immediate:
        raise UnsupportedError(f"{name}: dynamics is {layer.dynamics}, which fails in snnTorch's RSynaptic; expected integrate_then_fire")
    made_of = snntorch.RSynaptic if recurrent else snntorch.Synaptic
    return made_of(tensors["alpha"], tensors["beta"], learn_alpha=layer.learn_alpha, **within, **settings)


def _lapicque(name: str, layer: Lapicque, tensors: "dict[str, Any]", immediate: bool, settings: "dict[str, Any]") -> Any:
    """A Lapicque neuron of snnTorch with a circuit of the layer's decay and gain."""
    import snntorch
    import torch

    if immediate:
        raise UnsupportedError(f"{name}: dynamics is {layer.dynamics}; expected integrate_then_fire, which snnTorch's Lapicque has")
    decay, gain = tensors["decay"], tensors["gain"]
    if layer.learn_decay or layer.learn_gain or bool((decay == 1).any()) or bool((gain <= 0).any()):
        raise UnsupportedError(
            f"{name}: decay and gain are learned, or no R and C give them; expected fixed ones, a decay below 1 and a gain above 0"
        )
    neuron = snntorch.Lapicque(R=1.0, C=2.0, **settings)
    # It takes no circuits of several neurons.
    neuron.R, neuron.C, neuron.time_step = gain / (1 - decay), 1 / gain, torch.tensor(1.0, dtype=gain.dtype)
    neuron.beta = torch.exp(-1 / (neuron.R * neuron.C))
    return neuron


def _recur(name: str, recurrence: Recurrence, neuron: Any, neurons: int) -> None:
    """Gives a neuron of snnTorch its connections, whose numbers are set afterwards."""
    import torch
    from snntorch import _neurons

    if recurrence.pattern == "all_to_all":
        if not recurrence.diagonal:
            raise UnsupportedError(f"{name}: recurrent has no diagonal, and training in snnTorch would give it one; expected diagonal=True")
        neuron.recurrent = torch.nn.Linear(neurons, neurons, bias=bool(recurrence.bias), dtype=torch.float64)
    else:
        module = _neurons.rleaky if _kind(neuron) == "rleaky" else _neurons.rsynaptic
        neuron.all_to_all, neuron.linear_features = False, None
        neuron.V = torch.nn.Parameter(torch.ones(neurons, dtype=torch.float64))
        neuron.recurrent = module.RecurrentOneToOne(neuron.V)
    neuron.recurrent.requires_grad_(recurrence.learn)
    neuron.learn_recurrent = recurrence.learn


def _tutorial_class() -> Any:
    """The neuron that tutorial 5 writes out, which fires before it integrates and detaches its reset: a
    ``snntorch.Leaky``, so that ``snntorch.utils.reset`` knows it."""
    import snntorch
    import torch

    class TutorialLeaky(snntorch.Leaky):  # type: ignore[misc]
        mem: Any

        def forward(self, input_: Any, mem: Any = None) -> Any:
            if mem is None:
                mem = self.mem if self.mem.shape == input_.shape else torch.zeros_like(input_)
            spk = self.spike_grad(mem - self.threshold)
            reset = (self.beta * spk * self.threshold).detach()
            self.mem = self.beta * mem + input_ - reset
            return (spk, self.mem) if self.output or not self.init_hidden else spk

    return TutorialLeaky


def _compare(pairs: List[_Pair], module: Any, network: Network, sample: Any, num_steps: int) -> None:
    """Runs the module on a sample, and each layer of the network on what the module's own was given.

    Spikes must be equal, but where the module's rounding decides: a neuron is left out from the step on at which a
    threshold that differs by that rounding would change its spikes.
    """
    import torch

    inputs = pairs[0].linear.in_features
    if num_steps < 1 or sample.numel() == 0:
        raise ValueError(f"sample has shape {list(sample.shape)} and num_steps is {num_steps}; expected samples and steps")
    each = sample.ndim >= 2 and sample[0].numel() == inputs
    if not each and not (sample.ndim == 3 and sample.shape[2] == inputs):
        raise ValueError(
            f"sample has shape {list(sample.shape)}; expected [B, ...] with {inputs} inputs for each sample, or [T, B, {inputs}]"
        )
    sample = sample.detach().to(pairs[0].linear.weight)
    steps = sample.reshape(1, sample.shape[0], -1).expand(num_steps, -1, -1) if each else sample
    with torch.no_grad():
        if _is_sequential(module):
            seen = _run_parts(pairs, steps)
        else:
            seen = _run_module(pairs, module, sample, None if each else sample, num_steps)
    for k, (pair, (given, theirs)) in enumerate(zip(pairs, seen)):
        dtype = pair.linear.weight.dtype
        rounding = {torch.float64: 1e-9, torch.float32: 1e-4}.get(dtype, 3e-2)
        x = given.double().cpu().numpy()
        spikes = [_spikes_of(network, k, x, factor) for factor in (1.0, 1.0 - rounding, 1.0 + rounding)]
        unsure = (spikes[0] != spikes[1]) | (spikes[0] != spikes[2])
        if network.layers[k].recurrent:  # what one neuron does, the others see
            unsure = unsure | unsure.any(axis=2, keepdims=True)
        differ = (theirs.double().cpu().numpy() != spikes[0]) & ~np.maximum.accumulate(unsure, axis=0)
        if differ.any():
            count, total = int(differ.sum()), differ.size
            raise UnsupportedError(f"{pair.neuron_name}: {count} of {total} spikes of the sample differ from the module's")


def _spikes_of(network: Network, k: int, x: Any, factor: float) -> Any:
    """The spikes of one layer, with its threshold times a factor."""
    layer: Any = network.layers[k]
    state = network.state_dict()
    now: "dict[str, Any]" = {name: tuple(values) if len(values) > 1 else float(values[0]) for name, values in network.constants(k).items()}
    now["threshold"] = np.multiply(now["threshold"], factor)
    fixed = {f"learn_{name}": False for name in now}
    alone = Network(x.shape[2], [replace(layer, **now, **fixed)])
    own = {name: tensor for name, tensor in state.items() if name.startswith((f"fc{k + 1}.", f"lif{k + 1}.recurrent."))}
    alone = alone.with_state_dict({name.replace(str(k + 1), "1", 1): tensor for name, tensor in own.items()})
    return Engine(alone, precision="float64").forward(x).spk[0]


def _is_sequential(module: Any) -> bool:
    """Whether the order of the calls is known without calling it."""
    import torch

    if type(module) is torch.nn.Sequential:
        return all(_is_sequential(child) for child in module if child is not None)
    return _kind(module) is not None or type(module).__module__.split(".")[0] == "torch"


def _run_parts(pairs: List[_Pair], steps: Any) -> List[Tuple[Any, Any]]:
    """What each linear layer is given and what its neurons answer, ``[T, B, N]``, called in their order."""
    import torch

    states: List[Tuple[Any, ...]] = [() for _ in pairs]
    seen: List[Tuple[List[Any], List[Any]]] = [([], []) for _ in pairs]
    for x in steps:
        spk = x
        for k, pair in enumerate(pairs):
            spk = spk.to(x.dtype)  # snnTorch's spikes are float32
            seen[k][0].append(spk)
            cur = pair.linear(spk)
            if not states[k]:
                states[k] = tuple(torch.zeros_like(cur) for _ in _KINDS[_kind(pair.neuron) or "leaky"])
            spk, *rest = _step(pair.neuron, cur, states[k])
            states[k] = tuple(state.to(x.dtype) for state in rest)
            seen[k][1].append(spk)
    return [(torch.stack(given), torch.stack(spikes)) for given, spikes in seen]


class _Watch:
    """What the linear layer and the neurons of a pair are given and return, call by call."""

    def __init__(self, pair: _Pair) -> None:
        self.given: List[Any] = []
        self.currents: List[Any] = []
        self.driven: List[Any] = []
        self.spikes: List[Any] = []
        self.states: List[Tuple[Any, ...]] = []
        self.handed: List[Tuple[Any, ...]] = []
        pair.linear.register_forward_hook(self.linear, with_kwargs=True)
        pair.neuron.register_forward_hook(self.neuron, with_kwargs=True)

    def linear(self, _: Any, args: Any, named: Any, answer: Any) -> None:
        self.given.append([*args, *named.values()][0])
        self.currents.append(answer)

    def neuron(self, neuron: Any, args: Any, named: Any, answer: Any) -> None:
        both = [*args, *named.values()]
        self.driven.append(both[0])
        self.handed.append(tuple(state for state in both[1:] if state is not None))
        answers = answer if isinstance(answer, tuple) else (answer,)
        self.spikes.append(answers[0])
        names = _KINDS[_kind(neuron) or "leaky"]
        answers = answers if names[0] == "spk" else answers[1:]
        self.states.append(answers if len(answers) == len(names) else tuple(getattr(neuron, name) for name in names))


def _run_module(
    pairs: List[_Pair], module: Any, sample: Any, sequence: Any, num_steps: int
) -> List[Tuple[Any, Any]]:
    """The same by calling a module with a ``forward`` of its own, whose parts are watched."""
    import torch

    watched = _copy_at_rest(module, pairs)
    watches = [_Watch(pair) for pair in _pairs(watched)]
    try:
        returned = watched(sample)
        if len(watches[0].spikes) == 1 and sequence is None:
            for _ in range(num_steps - 1):
                returned = watched(sample)
    except Exception as error:
        raise UnsupportedError(f"the module cannot be called with the sample: {error}") from error
    steps = len(watches[0].spikes)
    first = sample.reshape(sample.shape[0], -1)
    for k, (pair, watch) in enumerate(zip(pairs, watches)):
        if not steps == len(watch.given) == len(watch.driven) or steps == 0:
            raise UnsupportedError(f"{pair.name} and {pair.neuron_name} are not called once in each step")
        if not all(torch.equal(a, b) for a, b in zip(watch.currents, watch.driven)):
            raise UnsupportedError(f"{pair.neuron_name} is not given what {pair.name} returns")
        if k and not all(torch.equal(a, b.to(a)) for a, b in zip(watch.given, watches[k - 1].spikes)):
            raise UnsupportedError(f"{pair.name} is not given the spikes of {pairs[k - 1].neuron_name}")
        before = [tuple(torch.zeros_like(state) for state in watch.states[0]), *watch.states]
        for handed, expected in zip(watch.handed, before):
            same = (torch.equal(a.expand_as(b) if a.numel() == 1 else a, b) for a, b in zip(handed, expected) if a.numel())
            if not all(same):
                raise UnsupportedError(f"{pair.neuron_name} is not given the state that it has returned")
    for t, given in enumerate(watches[0].given):
        wanted = first if sequence is None else sequence[t] if t < len(sequence) else None
        if wanted is None or not torch.equal(given.reshape(given.shape[0], -1), wanted):
            raise UnsupportedError(f"{pairs[0].name} is not given the sample itself")
    known = [series for watch in watches for series in (watch.spikes, *map(list, zip(*watch.states)))]
    known_tensors = [torch.stack(series) for series in known] + [series[-1] for series in known]
    for tensor in _tensors(returned):
        if not any(tensor.shape == other.shape and torch.equal(tensor, other) for other in known_tensors):
            raise UnsupportedError("the module returns something else than the spikes and membranes of its neurons")
    return [
        (torch.stack([x.reshape(x.shape[0], -1) for x in watch.given]), torch.stack(watch.spikes)) for watch in watches
    ]


def _copy_at_rest(module: Any, pairs: List[_Pair]) -> Any:
    """A copy without the states that the neurons keep: they may be part of a graph, which is not copied."""
    import torch

    kept = []
    for pair in pairs:
        for name in (*_KINDS[_kind(pair.neuron) or "leaky"], "reset"):
            value = getattr(pair.neuron, name, None)
            if isinstance(value, torch.Tensor):
                kept.append((pair.neuron, name, value))
                setattr(pair.neuron, name, torch.zeros(0, dtype=value.dtype, device=value.device))
    try:
        return copy.deepcopy(module)
    except Exception as error:
        raise UnsupportedError(f"the module cannot be copied, to be run on the sample: {error}") from error
    finally:
        for neuron, name, value in kept:
            setattr(neuron, name, value)


def _tensors(returned: Any) -> Iterator[Any]:
    """Every tensor of nested lists and tuples."""
    import torch

    if isinstance(returned, torch.Tensor):
        yield returned
    elif isinstance(returned, (list, tuple)):
        if returned and all(isinstance(item, torch.Tensor) for item in returned) and isinstance(returned, list):
            yield torch.stack(returned)
        else:
            for item in returned:
                yield from _tensors(item)


def _step(neuron: Any, cur: Any, states: Tuple[Any, ...]) -> Tuple[Any, ...]:
    """One step from given states: its spikes and the states after it. What the module itself keeps stays."""
    names = _KINDS[_kind(neuron) or "leaky"]
    kept = {name: getattr(neuron, name) for name in (*names, "reset") if hasattr(neuron, name)}
    try:
        if getattr(neuron, "init_hidden", False):
            for name, value in zip(names, states):
                setattr(neuron, name, value)
            answer = neuron(cur)
            spk = answer[0] if isinstance(answer, tuple) else answer
            return (spk, *(getattr(neuron, name) for name in names))
        answer = neuron(cur, *states)
        return tuple(answer) if names[0] != "spk" else (answer[0], *answer)
    finally:
        for name, value in kept.items():
            setattr(neuron, name, value)


def _one(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float(_shortest(value, _numpy("a constant", value)))


def _shortest(tensor: Any, values: Any) -> Any:
    """Of numbers in single precision the shortest that round to them: 0.95, not 0.949999988079071."""
    import torch

    if tensor.dtype != torch.float32:
        return values
    short = [float(str(x)) for x in values.astype(np.float32).ravel()]
    return np.array(short).reshape(values.shape)


def _numpy(name: str, tensor: Any) -> Any:
    if tensor.is_meta:
        raise UnsupportedError(f"{name} has no values: it is on the device meta")
    return tensor.detach().cpu().double().numpy()
