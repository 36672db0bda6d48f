"""Drawn networks of snnTorch, converted both ways, beside snnTorch itself."""

import dataclasses
import os
import warnings

import numpy as np
import pytest
import snntorch as snn
import snntorch.functional as sf
import snntorch.utils
import torch
from conftest import in_double
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from snntorch import surrogate

import spikegrad as sg

EXAMPLES = int(os.environ.get("SPIKEGRAD_EXAMPLES", "100"))
DRAWN = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    derandomize=True,
)

SURROGATES = {
    "atan": lambda slope: surrogate.atan(alpha=slope),
    "fast_sigmoid": lambda slope: surrogate.fast_sigmoid(slope=slope),
    "sigmoid": lambda slope: surrogate.sigmoid(slope=slope),
    "triangular": lambda _: surrogate.triangular(),
    "straight_through": lambda _: surrogate.straight_through_estimator(),
}
LOSSES = {
    "cross_entropy_rate": (sg.CrossEntropyRate(), sf.ce_rate_loss(), "spk"),
    "cross_entropy_count": (sg.CrossEntropyCount(), sf.ce_count_loss(), "spk"),
    "cross_entropy_max": (sg.CrossEntropyMaxMembrane(), sf.ce_max_membrane_loss(), "mem"),
    "mse_count": (sg.MseCount(0.8, 0.2), sf.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2), "spk"),
    "mse_membrane": (sg.MseMembrane(1.5, 0.5), sf.mse_membrane_loss(on_target=1.5, off_target=0.5), "mem"),
    "tutorial": (sg.CrossEntropyMembrane(), None, "mem"),
    "cross_entropy_temporal": (sg.CrossEntropyFirstSpike(), sf.ce_temporal_loss(), "spk"),
    # With its defaults, 0 and -1, snnTorch aims every class at step 0.
    "mse_temporal": (sg.MseFirstSpike(-1, 0), sf.mse_temporal_loss(on_target=-1, off_target=0), "spk"),
}
OPTIMIZERS = {
    "sgd": (sg.SGD(0.1, momentum=0.9, weight_decay=0.01), lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.01)),
    "adam": (sg.Adam(0.01), lambda p: torch.optim.Adam(p, 0.01)),
    "adamw": (sg.AdamW(0.01), lambda p: torch.optim.AdamW(p, 0.01)),
    "adamax": (sg.Adamax(0.01), lambda p: torch.optim.Adamax(p, 0.01)),
}


@st.composite
def neurons(draw, width):
    def constant(low, high):
        number = st.floats(low, high)
        shape = draw(st.sampled_from(["scalar", "one", "each"]))
        if shape == "scalar":
            return torch.tensor(draw(number), dtype=torch.float64)
        count = 1 if shape == "one" else width
        return torch.tensor(draw(st.lists(number, min_size=count, max_size=count)), dtype=torch.float64)

    # One surrogate is finite near the threshold alone: snnTorch's sigmoid overflows far below it.
    name = draw(st.sampled_from(sorted(SURROGATES)))
    slope = draw(st.floats(0.5, 3.0))
    kind = draw(st.sampled_from([snn.Leaky, snn.Synaptic, snn.RLeaky, snn.RSynaptic, snn.Alpha, snn.Lapicque]))
    shared = dict(
        beta=constant(0.05, 0.95),
        threshold=constant(0.5, 1.5),
        spike_grad=SURROGATES[name](slope),
        learn_beta=draw(st.booleans()),
        learn_threshold=draw(st.booleans()),
        reset_mechanism=draw(st.sampled_from(["subtract", "zero", "none"])),
        init_hidden=draw(st.booleans()),
        output=draw(st.booleans()),
    )
    if kind is snn.Lapicque:
        del shared["beta"], shared["learn_beta"]
        circuit = draw(st.sampled_from([("beta",), ("R", "C"), ("beta", "R"), ("beta", "C")]))
        ranges = {"beta": (0.3, 0.95), "R": (1.0, 5.0), "C": (1.0, 5.0)}
        shared.update({part: torch.tensor(draw(st.floats(*ranges[part])), dtype=torch.float64) for part in circuit})
        return snn.Lapicque(time_step=draw(st.sampled_from([1.0, 0.5])), **shared)
    if kind is snn.Alpha:
        cell = snn.Alpha(alpha=constant(0.6, 0.95), **{**shared, "beta": constant(0.05, 0.5)})
        if draw(st.booleans()):  # its own learn_alpha=True fails
            alpha = cell.alpha
            del cell.alpha
            cell.alpha = torch.nn.Parameter(alpha)
        return cell
    if kind in (snn.Synaptic, snn.RSynaptic):
        shared.update(alpha=constant(0.05, 0.95), learn_alpha=draw(st.booleans()))
    if kind is not snn.RSynaptic:  # where reset_delay=False fails
        shared["reset_delay"] = draw(st.booleans())
    if kind in (snn.RLeaky, snn.RSynaptic):
        shared["learn_recurrent"] = draw(st.booleans())
        if draw(st.booleans()):
            count = 1 if width == 1 or not shared["learn_recurrent"] and draw(st.booleans()) else width
            V = torch.tensor(draw(st.lists(st.floats(-2, 2), min_size=count, max_size=count)), dtype=torch.float64)
            shared.update(all_to_all=False, V=V)
        else:
            shared["linear_features"] = width
    cell = kind(**shared)
    if "linear_features" in shared and draw(st.booleans()):
        cell.recurrent = torch.nn.Linear(width, width, bias=False).requires_grad_(shared["learn_recurrent"])
    return cell


@st.composite
def modules(draw):
    """A module, an input and classes."""
    depth = draw(st.integers(1, 4))
    widths = draw(st.lists(st.integers(1, 9), min_size=depth + 1, max_size=depth + 1))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    parts = []
    if draw(st.booleans()):
        parts.append(torch.nn.Flatten())
    for inputs, outputs in zip(widths, widths[1:]):
        linear = torch.nn.Linear(inputs, outputs, bias=draw(st.integers(0, 5)) > 0)
        with torch.no_grad():
            for parameter in linear.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 2 / inputs**0.5 + 0.2)
        linear.requires_grad_(draw(st.integers(0, 5)) > 0)
        cell = draw(neurons(outputs))
        if isinstance(getattr(cell, "recurrent", None), torch.nn.Linear):
            with torch.no_grad():
                for parameter in cell.recurrent.parameters():
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) / outputs**0.5)
        parts += [linear, cell]
        if draw(st.booleans()):
            parts.append(torch.nn.Dropout(0.3))
    module = torch.nn.Sequential(*parts).eval()
    batch, num_steps = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    x = torch.rand(batch, widths[0], generator=generator) * 2
    y = torch.randint(0, widths[-1], (batch,), generator=generator)
    return module, x, y, num_steps


STATES = {"Leaky": 1, "Synaptic": 2, "RLeaky": 2, "RSynaptic": 3, "Alpha": 3, "Lapicque": 1}


def pairs(module):
    linear = [part for part in module if isinstance(part, torch.nn.Linear)]
    return linear, [part for part in module if part._get_name() in STATES]


def run(module, x, num_steps):
    """snnTorch's spikes and membranes, `[T, B, N]` of each layer, and the least distance from a threshold."""
    linear, cells = pairs(module)
    states = [None] * len(cells)
    spikes, membranes = [[] for _ in cells], [[] for _ in cells]
    nearest = np.inf
    for _ in range(num_steps):
        spk = x
        for k, (map_, cell) in enumerate(zip(linear, cells)):
            cur = map_(spk)
            hidden, output = cell.init_hidden, cell.output
            # Its own states would keep the graph of the run before.
            cell.init_hidden, cell.output = False, True
            if states[k] is None:
                states[k] = [torch.zeros_like(cur)] * STATES[cell._get_name()]
            answer = cell(cur, *states[k])
            spk, states[k] = answer[0], answer if hasattr(cell, "recurrent") else answer[1:]
            cell.init_hidden, cell.output = hidden, output
            spikes[k].append(spk)
            membranes[k].append(states[k][-1])
            # The membrane that was compared, before an immediate reset.
            compared = states[k][-1]
            delay = getattr(cell, "reset_delay", True)
            if not delay and cell.reset_mechanism == "subtract":
                compared = compared + spk * cell.threshold
                assume(bool((states[k][-1] < cell.threshold).all()))  # where snnTorch's rule is another
            if delay or cell.reset_mechanism != "zero":
                nearest = min(nearest, float((compared - cell.threshold).detach().abs().min()))
    return [torch.stack(s) for s in spikes], [torch.stack(m) for m in membranes], nearest


def value(name, spikes, membranes, y):
    _, loss, kind = LOSSES[name]
    if loss is None:
        cross_entropy = torch.nn.CrossEntropyLoss()
        return sum(cross_entropy(mem, y) for mem in membranes[-1])
    return loss(spikes[-1] if kind == "spk" else membranes[-1], y)


def parameters(module, fixed=False):
    """What is trained, or all there is, under our names."""
    named = {}
    for k, (linear, cell) in enumerate(zip(*pairs(module)), start=1):
        named[f"fc{k}.weight"] = linear.weight
        if linear.bias is not None:
            named[f"fc{k}.bias"] = linear.bias
        for name, parameter in cell.named_parameters():
            named[f"lif{k}.{'recurrent.V' if name == 'V' else name}"] = parameter
        if isinstance(getattr(cell, "V", None), torch.Tensor):
            named[f"lif{k}.recurrent.V"] = cell.V
    return {name: tensor for name, tensor in named.items() if fixed or tensor.requires_grad}


def far(found, expected, scale=1e-6):
    """The largest distance, in largest entries."""
    expected = np.asarray(expected).reshape(found.shape)
    return np.abs(found - expected).max(initial=0.0) / max(np.abs(expected).max(initial=0.0), scale)


def near(found, expected, tolerance, what, scale=1e-6):
    assert far(found, expected, scale) <= tolerance, what


def single(module, x, y, num_steps, loss):
    """The gradients of PyTorch in float32, into which it turns the module."""
    module = module.float()
    spikes, membranes, _ = run(module, x.float(), num_steps)
    trained = parameters(module)
    grads = torch.autograd.grad(value(loss, spikes, membranes, y), list(trained.values()), allow_unused=True)
    return {name: torch.zeros(1) if grad is None else grad for name, grad in zip(trained, grads)}


def converted(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of reset_delay=False
        return sg.from_snntorch(module)


@DRAWN
@given(modules(), st.sampled_from(sorted(LOSSES)), st.sampled_from(sorted(OPTIMIZERS)))
def test_converted_networks_agree(drawn, loss, optimizer):
    module, x, y, num_steps = drawn
    with in_double():
        module = module.double()
        x = x.double()
        spikes, membranes, nearest = run(module, x, num_steps)
        assume(nearest > 1e-9)
        expected = value(loss, spikes, membranes, y)
        assume(bool(torch.isfinite(expected)))
        trained = parameters(module)
        assume(expected.requires_grad)
        grads = torch.autograd.grad(expected, list(trained.values()), allow_unused=True)
    net = converted(module)
    assert set(net.state_dict()) == set(parameters(module, fixed=True))
    own_loss = LOSSES[loss][0]
    # Terms of size 1 that cancel leave their rounding: `floor * tolerance` is that of the precision.
    for precision, tolerance, floor in (("float64", 1e-9, 1e-6), ("float32", 1e-4, 1e-3)):
        if precision == "float32" and nearest < 1e-4:
            continue
        engine = sg.Engine(net, own_loss, OPTIMIZERS[optimizer][0], device="cpu", precision=precision)
        recording = engine.forward(x.numpy(), num_steps)
        for k in range(len(spikes)):
            assert np.array_equal(recording.spk[k], spikes[k].detach().numpy())
            near(recording.mem[k], membranes[k].detach().numpy(), tolerance / 10, f"membranes of layer {k}")
        found, gradients = engine.gradients(x.numpy(), y.numpy(), num_steps)
        assert abs(found - float(expected.detach())) <= tolerance * max(abs(float(expected.detach())), 1e-3)
        assert not any(gradients[name].any() for name in set(gradients) - set(trained))
        # Of the layer's largest entry: a shared constant sums over all its neurons and steps, which can cancel.
        for name, grad in zip(trained, grads):
            own, k = gradients[name], name[len("fc")] if name.startswith("fc") else name[len("lif")]
            layer = [np.abs(g).max() for other, g in gradients.items() if other.split(".")[0] in (f"fc{k}", f"lif{k}")]
            expected_grad, scale = np.zeros(own.shape) if grad is None else grad.numpy(), max(*layer, floor)
            found = far(own, expected_grad, scale)
            if found > tolerance and precision == "float32":
                # A badly conditioned sum: PyTorch's own float32 must be as far off.
                theirs = single(module, x, y, num_steps, loss)[name].numpy()
                tolerance_here = max(tolerance, 4 * far(theirs, expected_grad, scale))
                event("worse than 1e-4, as PyTorch's float32")
            else:
                tolerance_here = tolerance
            assert found <= tolerance_here, name


@settings(DRAWN, max_examples=max(EXAMPLES // 10, 10))
@given(modules(), st.sampled_from(sorted(LOSSES)), st.sampled_from(sorted(OPTIMIZERS)))
def test_five_updates_agree(drawn, loss, optimizer):
    module, x, y, num_steps = drawn
    settings_, make = OPTIMIZERS[optimizer]
    with in_double():
        module, x = module.double(), x.double()
        net = converted(module)
        trained = parameters(module)
        assume(trained)
        engine = sg.Engine(net, LOSSES[loss][0], settings_, precision="float64")
        stepper = make(list(trained.values()))
        for _ in range(5):
            spikes, membranes, nearest = run(module, x, num_steps)
            assume(nearest > 1e-7)
            expected = value(loss, spikes, membranes, y)
            assume(bool(torch.isfinite(expected)) and expected.requires_grad)
            stepper.zero_grad()
            expected.backward()
            # Adam's first steps have the size of the rate, whatever rounding has made of a gradient of 0.
            assume(all(p.grad is None or bool(((p.grad == 0) | (p.grad.abs() > 1e-7)).all()) for p in trained.values()))
            for parameter in trained.values():  # the library treats it as zero
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            stepper.step()
            report = engine.train_step(x.numpy(), y.numpy(), num_steps)
            assert abs(report.loss - float(expected.detach())) <= 1e-8 * max(abs(float(expected.detach())), 1e-3)
            # The ranges to which the library clamps are snnTorch's, but it clamps as it runs.
            for name, parameter in trained.items():
                if name.startswith("lif") and ".recurrent." not in name:
                    high = np.inf if name.endswith("threshold") else 1.0
                    assume(bool(((parameter > 1e-3) & (parameter < high)).all()))
        every = parameters(module, fixed=True)
        for name, tensor in engine.state_dict().items():
            last = every[name].detach().numpy()
            near(tensor, np.broadcast_to(last, tensor.shape) if last.size == 1 else last, 1e-7, name)


@settings(DRAWN, max_examples=max(EXAMPLES // 10, 10))
@given(modules())
def test_there_and_back(drawn):
    module, x, y, num_steps = drawn
    with in_double():
        module = module.double()
        net = converted(module)
        back = sg.to_snntorch(net, dtype=torch.float64)
        # Twice the same network.
        assert converted(back).state_dict().keys() == net.state_dict().keys()
        for name, tensor in converted(back).state_dict().items():
            assert np.array_equal(tensor, net.state_dict()[name])
        for layer, again in zip(net.layers, converted(back).layers):
            if isinstance(layer, sg.Lapicque):  # decay and gain go through R and C
                near(np.array(again.decay), np.array(layer.decay), 1e-12, "decay")
                near(np.array(again.gain), np.array(layer.gain), 1e-12, "gain")
                again = dataclasses.replace(again, decay=layer.decay, gain=layer.gain)
            assert again == layer
        # And the same numbers, called step by step as they come.
        expected, _, nearest = run(module, x.double(), num_steps)
        assume(nearest > 1e-9)
        for part in back:
            if hasattr(part, "reset_mem"):
                part.reset_mem()
        steps = [back(x.double()) for _ in range(num_steps)]
        assert np.array_equal(torch.stack([spk for spk, *_ in steps]).detach(), expected[-1].detach())


def test_recurrent_samples_are_compared():
    torch.manual_seed(0)
    hidden = [
        snn.RLeaky(0.9, linear_features=9),
        snn.RLeaky(0.9, all_to_all=False, V=torch.rand(9), reset_mechanism="zero"),
        snn.RSynaptic(0.8, 0.9, linear_features=9, init_hidden=True),
        snn.Alpha(0.9, 0.5, reset_mechanism="subtract"),
        snn.Lapicque(0.9),
    ]
    sample = torch.rand(5, 4) * 4
    for cell in hidden:
        parts = torch.nn.Linear(4, 9, bias=False), cell, torch.nn.Linear(9, 2), snn.Leaky(0.9)
        net = sg.from_snntorch(torch.nn.Sequential(*parts), sample=sample)
        assert net.layers[0].bias is False and "fc1.bias" not in net.state_dict()
        if hasattr(cell, "recurrent") and cell.all_to_all:
            with torch.no_grad():
                cell.recurrent.weight += 5.0
            found = sg.Engine(net, device="cpu").forward(sample.numpy(), 20).spk[0]
            other = sg.from_snntorch(torch.nn.Sequential(*parts), sample=sample)
            assert not np.array_equal(sg.Engine(other, device="cpu").forward(sample.numpy(), 20).spk[0], found)

    class Recurrent(torch.nn.Module):
        """A forward of its own, in snnTorch's way."""

        def __init__(self):
            super().__init__()
            self.fc1, self.lif1 = torch.nn.Linear(4, 9), snn.RSynaptic(0.8, 0.9, linear_features=9)
            self.fc2, self.lif2 = torch.nn.Linear(9, 2), snn.RLeaky(0.9, all_to_all=False, V=torch.ones(2))

        def forward(self, x):
            spk1, syn1, mem1 = self.lif1.init_rsynaptic()
            spk2, mem2 = self.lif2.init_rleaky()
            recorded = []
            for _ in range(10):
                spk1, syn1, mem1 = self.lif1(self.fc1(x), spk1, syn1, mem1)
                spk2, mem2 = self.lif2(self.fc2(spk1), self.spikes(spk2), mem2)
                recorded.append(mem2)
            return torch.stack(recorded)

        def spikes(self, spk):
            return spk

    class Silent(Recurrent):
        def spikes(self, spk):
            return spk + 0.5

    assert sg.from_snntorch(Recurrent(), sample=sample).layers[1].recurrent == sg.Recurrence("one_to_one")
    with pytest.raises(sg.UnsupportedError, match="not given the state"):
        sg.from_snntorch(Silent(), sample=sample)
    shared = torch.nn.Linear(4, 4)
    first, second = snn.RLeaky(0.9, linear_features=4), snn.RLeaky(0.9, linear_features=4)
    first.recurrent = second.recurrent = shared
    with pytest.raises(sg.UnsupportedError, match="module 3.recurrent is module 1.recurrent again"):
        sg.from_snntorch(torch.nn.Sequential(torch.nn.Linear(4, 4), first, torch.nn.Linear(4, 4), second))
    shared.register_forward_hook(lambda module, args, answer: answer * 2)
    with pytest.raises(sg.UnsupportedError, match="recurrent has forward hooks"):
        sg.from_snntorch(torch.nn.Sequential(torch.nn.Linear(4, 4), first))
    with pytest.warns(UserWarning, match="V is one number"):
        net = sg.from_snntorch(torch.nn.Sequential(torch.nn.Linear(4, 3), snn.RLeaky(0.9, all_to_all=False, V=0.5)))
    assert np.array_equal(net.state_dict()["lif1.recurrent.V"], [0.5, 0.5, 0.5])


def test_sample_is_compared():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 9), snn.Leaky(0.9), torch.nn.Linear(9, 4), snn.Leaky(0.8))
    net = sg.from_snntorch(module, sample=torch.rand(3, 1, 4, 4) * 4)
    assert net.sizes == [16, 9, 4]
    # Where a membrane stays above the threshold after its reset, reset_delay=False is a rule of its own.
    strange = torch.nn.Sequential(
        torch.nn.Linear(1, 1), snn.Leaky(0.9), torch.nn.Linear(1, 1), snn.Leaky(0.9, reset_delay=False)
    )
    with torch.no_grad():
        for linear, weight, bias in ((strange[0], 1.0, 0.0), (strange[2], 2.2, 0.2)):
            linear.weight.fill_(weight)
            linear.bias.fill_(bias)
    with pytest.warns(UserWarning, match="reset_delay=False"), pytest.raises(sg.UnsupportedError, match="spikes of the sample differ"):
        sg.from_snntorch(strange, sample=torch.tensor([[0.5]]))


class LeakySurrogate(torch.nn.Module):
    """The neuron of tutorial 5, as it is written there."""

    def __init__(self, beta, threshold=1.0):
        super().__init__()
        self.beta = beta
        self.threshold = threshold
        self.spike_gradient = self.ATan.apply

    def forward(self, input_, mem):
        spk = self.spike_gradient((mem - self.threshold))
        reset = (self.beta * spk * self.threshold).detach()
        mem = self.beta * mem + input_ - reset
        return spk, mem

    @staticmethod
    class ATan(torch.autograd.Function):
        @staticmethod
        def forward(ctx, mem):
            spk = (mem > 0).float()
            ctx.save_for_backward(mem)
            return spk

        @staticmethod
        def backward(ctx, grad_output):
            (mem,) = ctx.saved_tensors
            return 1 / (1 + (np.pi * mem).pow_(2)) * grad_output


def test_tutorial_class_both_ways():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(6, 9), LeakySurrogate(0.95), torch.nn.Linear(9, 4), LeakySurrogate(0.95))
    net = sg.from_snntorch(module, sample=torch.rand(3, 6) * 3)
    assert net.layers[0] == sg.Leaky(9, beta=0.95)
    back = sg.to_snntorch(net)
    again = sg.from_snntorch(back, sample=torch.rand(3, 6) * 3)
    assert again.layers == net.layers
    x = torch.rand(3, 6) * 3
    found = sg.Engine(net, device="cpu").forward(x.numpy(), 15)
    spikes = torch.stack([back(x)[0] for _ in range(15)]).detach().numpy()
    assert np.array_equal(found.spk[-1], spikes)  # from rest: the samples have left no state


class Net(torch.nn.Module):
    """The module of tutorial 5, smaller."""

    def __init__(self, num_steps=20):
        super().__init__()
        self.num_steps = num_steps
        self.fc1 = torch.nn.Linear(4, 50)
        self.lif1 = snn.Leaky(0.9)
        self.fc2 = torch.nn.Linear(50, 2)
        self.lif2 = snn.Leaky(0.9)

    def between(self, cur):
        return cur

    def forward(self, x):
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        recorded = []
        for _ in range(self.num_steps):
            spk1, mem1 = self.lif1(self.between(self.fc1(x)), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            recorded.append(spk2)
        return torch.stack(recorded)


def test_modules_with_a_forward_of_their_own():
    torch.manual_seed(1)
    sample = torch.rand(6, 4) * 4
    net = Net()
    assert sg.from_snntorch(net, sample=sample).sizes == [4, 50, 2]

    class Scaled(Net):
        def between(self, cur):
            return torch.relu(cur) * 0.5

    class Reversed(Net):
        def forward(self, x):
            return self.lif1(self.fc1(x))

    class Weaker(Net):
        def forward(self, x):
            return super().forward(x * 0.1)

    class Backwards(Net):
        def forward(self, x):
            return super().forward(x).flip(0) * 2

    class Forgetful(Net):
        def forward(self, x):
            mem = torch.zeros(len(x), 50)
            for _ in range(5):
                spk, mem = self.lif1(self.fc1(x), mem=mem * 0.3)
                spk, _ = self.lif2(self.fc2(spk))
            return spk

    class OverTime(Net):
        def forward(self, x):  # [T, B, N]
            mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
            recorded = []
            for step in x:
                spk1, mem1 = self.lif1(input_=self.fc1(step), mem=mem1)
                spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
                recorded.append(mem2)
            return recorded

    assert sg.from_snntorch(OverTime(), sample=torch.rand(12, 6, 4) * 4).sizes == [4, 50, 2]
    assert sg.from_snntorch(torch.nn.Sequential(torch.nn.Linear(4, 5), snn.Leaky(0.9)), sample=torch.rand(12, 6, 4)).sizes == [4, 5]
    for other, message in (
        (Scaled(), "not given what"),
        (Reversed(), "not called once in each step"),
        (Weaker(), "not given the sample itself"),
        (Backwards(), "returns something else"),
        (Forgetful(), "not given the state"),
    ):
        with pytest.raises(sg.UnsupportedError, match=message):
            sg.from_snntorch(other, sample=sample)
    # A module that is in use: its neurons keep states with a graph.
    hidden = torch.nn.Sequential(torch.nn.Linear(4, 5), snn.Leaky(0.9, init_hidden=True, output=True))
    hidden(sample)
    mem = hidden[1].mem

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = hidden

        def forward(self, x):
            return self.inner(x)

    assert sg.from_snntorch(Wrapped(), sample=sample).sizes == [4, 5] and hidden[1].mem is mem
    # What it keeps is as before, and it works on.
    assert not net.fc1._forward_hooks
    expected = sg.Engine(sg.from_snntorch(net), device="cpu").forward(sample.numpy(), 20).spk[-1]
    assert np.array_equal(net(sample).detach(), expected)


def test_rounding_at_the_threshold_is_no_difference():
    """Of millions of spikes in float32 some are decided by rounding."""
    for seed in range(4):
        torch.manual_seed(seed)
        module = torch.nn.Sequential(torch.nn.Linear(784, 300), snn.Leaky(0.95), torch.nn.Linear(300, 10), snn.Leaky(0.95))
        sg.from_snntorch(module, sample=torch.rand(128, 784, requires_grad=True))
        sg.from_snntorch(module.bfloat16(), sample=torch.rand(4, 784))


def test_parts_that_are_shared_or_hooked_are_named():
    linear, leaky = torch.nn.Linear(3, 3), snn.Leaky(0.9)
    with pytest.raises(sg.UnsupportedError, match="module 2 is module 0 again"):
        sg.from_snntorch(torch.nn.Sequential(linear, leaky, linear, leaky))
    hooked = torch.nn.Linear(3, 3)
    hooked.register_forward_hook(lambda module, args, answer: answer * 2)
    with pytest.raises(sg.UnsupportedError, match="hooks"):
        sg.from_snntorch(torch.nn.Sequential(hooked, snn.Leaky(0.9)))

    class Special(torch.nn.Linear):
        pass

    with pytest.raises(sg.UnsupportedError, match="Special"):
        sg.from_snntorch(torch.nn.Sequential(Special(3, 3), snn.Leaky(0.9)))

    class Gain(Net):
        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(1))

    with pytest.raises(sg.UnsupportedError, match="gain"):
        sg.from_snntorch(Gain())
    meta = torch.nn.Sequential(torch.nn.Linear(3, 3, device="meta"), snn.Leaky(0.9))
    with pytest.raises(sg.UnsupportedError, match="meta"):
        sg.from_snntorch(meta)
    graph = torch.nn.Sequential(torch.nn.Linear(3, 3), snn.Leaky(torch.tensor(0.9, requires_grad=True) * 1))
    with pytest.raises(sg.UnsupportedError, match="requires a gradient"):
        sg.from_snntorch(graph)
    for wrong in (None, torch.nn.Sequential, 5):
        with pytest.raises(TypeError, match="instance of torch.nn.Module"):
            sg.from_snntorch(wrong)
    for sample, num_steps in ((torch.rand(5, 3), 5), (torch.rand(0, 4), 5), (torch.rand(5, 4), 0), (torch.rand(4), 5)):
        with pytest.raises(ValueError, match="sample has shape"):
            sg.from_snntorch(Net(), sample, num_steps)
    with pytest.raises(TypeError, match="a Network or an Engine"):
        sg.to_snntorch(None)


def test_look_alikes_of_the_tutorials_class():
    def renamed(change):
        return type("LeakySurrogate", (LeakySurrogate,), change)

    def inhibited(self, input_, mem):
        spk, mem = LeakySurrogate.forward(self, input_, mem)
        return spk * (spk.cumsum(-1) == 1), mem

    def broken(self, input_, mem):
        raise RuntimeError("no")

    for change, message in (({"forward": inhibited}, "does not compute"), ({"forward": broken}, "cannot be called")):
        with pytest.raises(sg.UnsupportedError, match=message):
            sg.from_snntorch(torch.nn.Sequential(torch.nn.Linear(3, 4), renamed(change)(0.9)))
    with pytest.raises(sg.UnsupportedError, match="without one beta"):
        sg.from_snntorch(torch.nn.Sequential(torch.nn.Linear(3, 4), LeakySurrogate(torch.rand(4))))


def test_what_is_converted_is_trained_and_kept(tmp_path):
    torch.manual_seed(0)
    net = sg.Network(6, [sg.Leaky(20, beta=0.95), sg.Leaky(3, beta=0.9)])
    engine = sg.Engine(net, device="cpu", optimizer=sg.Adam(1e-2))
    x, y = torch.rand(8, 6) * 3, torch.arange(8) % 3
    engine.train_step(x, y, 10)
    module = sg.to_snntorch(engine)
    assert torch.equal(module.fc1.weight.detach(), torch.from_numpy(engine.state_dict()["fc1.weight"]))
    torch.save(module.state_dict(), tmp_path / "module.pt")
    loaded = sg.to_snntorch(net)
    loaded.load_state_dict(torch.load(tmp_path / "module.pt"))
    assert sg.from_snntorch(loaded) == engine.network
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(2):  # two backward passes need states that are reset
        snn.utils.reset(module)
        loss = sum(torch.nn.functional.cross_entropy(module(x)[1], y) for _ in range(10))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sg.from_snntorch(module) != engine.network


def one(*parts):
    return torch.nn.Sequential(*parts)


def half_frozen():
    linear = torch.nn.Linear(2, 2)
    linear.bias.requires_grad_(False)
    return linear


@pytest.mark.parametrize(
    "module, named",
    [
        (torch.nn.Conv2d(1, 2, 3), "Conv2d"),
        (one(torch.nn.Linear(2, 2)), "module 0 has no neurons"),
        (one(snn.Leaky(0.9)), "module 0 has no linear layer"),
        (one(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), snn.Leaky(0.9)), "module 1 follows module 0"),
        (one(torch.nn.Linear(2, 3), snn.Leaky(0.9), torch.nn.Linear(2, 2), snn.Leaky(0.9)), "2 inputs; expected 3"),
        (one(torch.nn.Linear(2, 2), snn.Leaky(0.9, inhibition=True)), "inhibition"),
        (one(torch.nn.Linear(2, 2), snn.Leaky(0.9, surrogate_disable=True)), "surrogate_disable"),
        (one(torch.nn.Linear(2, 2), snn.Leaky(0.9, graded_spikes_factor=2.0)), "graded_spikes_factor"),
        (one(torch.nn.Linear(2, 2), snn.Leaky(0.9, learn_graded_spikes_factor=True)), "graded_spikes_factor"),
        (one(torch.nn.Linear(2, 2), snn.Leaky(0.9, state_quant=lambda x: x)), "state_quant"),
        (one(torch.nn.Linear(2, 2), snn.Leaky(0.9, spike_grad=surrogate.LSO())), "LSO"),
        (one(torch.nn.Linear(2, 2), snn.Leaky(0.9, spike_grad=surrogate.triangular(threshold=2))), "triangular"),
        (one(torch.nn.Linear(2, 2), snn.Leaky(0.9, spike_grad=lambda x: x)), "surrogate"),
        (one(torch.nn.Linear(2, 2), snn.Leaky(torch.ones(3) * 0.9)), "beta has shape"),
        (one(torch.nn.Linear(2, 2), snn.Leaky(1.5, learn_beta=True)), "beta is"),
        (one(torch.nn.Linear(2, 2), snn.SLSTM(2, 2)), "SLSTM"),
        (one(torch.nn.Linear(2, 2), snn.RLeaky(0.9, linear_features=3)), "recurrent has weights"),
        (one(torch.nn.Linear(2, 2), snn.RLeaky(0.9, conv2d_channels=2, kernel_size=3)), "recurrent is Conv2d"),
        (one(torch.nn.Linear(2, 2), snn.RLeaky(0.9, all_to_all=False, V=torch.ones(3))), "V has shape"),
        (one(torch.nn.Linear(2, 2), snn.RSynaptic(0.9, 0.9, linear_features=2, reset_delay=False)), "reset_delay is False"),
        (one(torch.nn.Linear(2, 2), snn.Lapicque(0.9, learn_beta=True)), "learn_beta=True"),
        (one(torch.nn.Linear(2, 2), snn.Lapicque(R=0.1, C=0.1)), "R \\* C"),
        (one(half_frozen(), snn.Leaky(0.9)), "do not both require"),
        (one(torch.nn.Linear(2, 2), torch.nn.ReLU(), snn.Leaky(0.9)), "ReLU"),
        (one(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5), snn.Leaky(0.9)), "training mode"),
        (one(torch.nn.Flatten(0), torch.nn.Linear(2, 2), snn.Leaky(0.9)), "Flatten"),
        (one(), "no layers|the module"),
    ],
)
def test_what_has_no_counterpart_is_named(module, named):
    with pytest.raises(sg.UnsupportedError, match=named):
        sg.from_snntorch(module)


@pytest.mark.parametrize(
    "layer, named",
    [
        (sg.Leaky(2, 0.9, reset="zero"), "fire_then_integrate"),
        (sg.Leaky.snntorch(2, 0.9, detach_reset=False), "detach_reset"),
        (sg.Synaptic.spytorch(2, 0.9, 0.8), "fire_then_integrate"),
        (sg.Synaptic(2, 0.9, 0.8, gain=0.5), "gain 1"),
        (sg.Synaptic(2, 0.9, 0.8, old_current=True), "new current"),
        (sg.Leaky.snntorch(2, 0.9, reset="zero", recurrent=True), "Synaptic\\(alpha=0.0"),
        (sg.Synaptic(2, 0.9, 0.8, recurrent=sg.Recurrence(diagonal=False)), "no diagonal"),
        (sg.Synaptic(2, 0.9, 0.8, recurrent=True, dynamics="integrate_fire_reset", detach_reset=False), "fails in snnTorch's RSynaptic"),
        (sg.Lapicque(2, 0.9, 0.1, learn_gain=True), "decay and gain"),
        (sg.Lapicque(2, 1.0, 0.1), "decay and gain"),
        (sg.Lapicque(2, 0.9, 0.1, recurrent=True), "recurrent Lapicque"),
        (sg.Alpha(2, 0.9, 0.8, recurrent=True), "recurrent Alpha"),
        (sg.LeakyIntegrator(2, 0.9), "LeakyIntegrator"),
        (sg.AdLif.sparch(2), "AdLif"),
    ],
)
def test_what_snntorch_lacks_is_named(layer, named):
    with pytest.raises(sg.UnsupportedError, match=named):
        sg.to_snntorch(sg.Network(3, [layer]))
