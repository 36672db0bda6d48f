"""The interface: arrays, errors, states, training loops, files, threads, memory."""

import gc
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
import weakref

import numpy as np
import pytest

import spikegrad as sg

T = 12


def engine_of(net, **settings):
    return sg.Engine(net, device="cpu", **settings)


# --- arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision, dtype", [("float32", np.float32), ("float64", np.float64)])
def test_every_layout_of_an_array_gives_the_same(small, precision, dtype):
    net, x, y = small
    x = x.astype(dtype)
    engine = engine_of(net, precision=precision)
    expected = engine.gradients(x, y, T)
    wide = np.zeros((12, 10), dtype)
    wide[::2, ::-2] = x
    frozen = x.copy()
    frozen.setflags(write=False)
    raw = np.zeros(x.nbytes + 1, np.uint8)
    unaligned = raw[1:].view(dtype).reshape(x.shape)
    unaligned[:] = x
    assert not unaligned.flags.aligned
    layouts = [np.asfortranarray(x), wide[::2, ::-2], frozen, unaligned, x.tolist(), x.astype(x.dtype.newbyteorder())]
    for given in layouts:
        loss, gradients = engine.gradients(given, y, T)
        assert loss == expected[0]
        for name, grad in gradients.items():
            assert grad.dtype == dtype
            assert np.array_equal(grad, expected[1][name])
    for classes in (y.tolist(), tuple(y), y.astype(np.uint8), y.astype(np.int32)[::1], np.asfortranarray(y)):
        assert engine.gradients(x, classes, T)[0] == expected[0]


def test_tensors_of_torch_are_taken(small):
    torch = pytest.importorskip("torch")
    net, x, y = small
    engine = engine_of(net)
    assert engine.evaluate(torch.from_numpy(x), torch.from_numpy(y), T) == engine.evaluate(x, y, T)


def test_inputs_are_not_copied():
    net = sg.Network(1000, [sg.Leaky(2, beta=0.9)])
    engine = engine_of(net)
    x = np.ones((40, 200, 1000), np.float32)  # 32 MB
    frozen = x.view()
    frozen.setflags(write=False)
    engine.classify(x)

    def grown(given):
        before = peak_memory()
        engine.classify(given)
        return high_water() - before

    # The largest resident set grows by a copy where one is made.
    for given in (x, frozen, x[:20], x[5:]):
        assert grown(given) < 1 << 20
    assert grown(x.astype(np.float64)) > 1 << 24


def peak_memory():
    """The resident set, which is made the largest so far."""
    with open("/proc/self/clear_refs", "w") as marks:
        marks.write("5")
    gc.collect()
    return high_water()


def high_water():
    """The largest resident set so far."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def test_steps_are_read_off_a_sequence(small):
    net, x, y = small
    engine = engine_of(net)
    steps = np.repeat(x[None], T, axis=0)
    assert engine.evaluate(steps, y).correct_membrane == engine.evaluate(x, y, T).correct_membrane
    assert engine.forward(steps).spk[0].shape == (T, 6, 8)
    with pytest.raises(ValueError, match=f"num_steps is 3; expected {T}"):
        engine.forward(steps, 3)
    with pytest.raises(ValueError, match="num_steps is None"):
        engine.forward(x)


def test_values_as_targets(small):
    net, x, _ = small
    engine = engine_of(net, loss=sg.Mse("spike_rate"))
    assert engine.evaluate(x, np.full((6, 3), 0.5), T).loss >= 0
    engine = engine_of(net, loss=sg.Mae("membrane"))
    assert engine.evaluate(x, np.full((T, 6, 3), 0.5, np.float32), T).loss > 0
    with pytest.raises(ValueError, match="targets is classes; expected values"):
        engine.evaluate(x, [0] * 6, T)


# --- what is wrong --------------------------------------------------------------------------------

def changed(engine, name, value):
    state = engine.optimizer_state()
    state[name]["fc1.bias"] = np.full(8, value)
    return state


BAD = [
    (lambda e, x, y: e.train_step(x[:, :3], y, T), ValueError, "expected \\[B, 5\\]"),
    (lambda e, x, y: e.train_step(x[0], y, T), ValueError, "expected \\[B, N\\] or \\[T, B, N\\]"),
    (lambda e, x, y: e.train_step(x[None, None], y, T), ValueError, "has shape"),
    (lambda e, x, y: e.train_step(x[:0], y[:0], T), ValueError, "batch size is 0"),
    (lambda e, x, y: e.train_step(x, y, 0), ValueError, "num_steps is 0"),
    (lambda e, x, y: e.train_step(x, y, -1), OverflowError, "negative"),
    (lambda e, x, y: e.train_step(x, y, 2**62), MemoryError, "cannot be allocated"),
    (lambda e, x, y: e.train_step(x, y, 1.5), TypeError, "float"),
    (lambda e, x, y: e.train_step(x, y[:2], T), ValueError, "one per sample"),
    (lambda e, x, y: e.train_step(x, y + 3, T), ValueError, "expected a class below 3"),
    (lambda e, x, y: e.train_step(x, y - 3, T), ValueError, "expected a class, from 0"),
    (lambda e, x, y: e.train_step(x, y * 1.0, T), TypeError, "expected integers"),
    (lambda e, x, y: e.train_step(x, None, T), TypeError, "y has dtype object"),
    (lambda e, x, y: e.train_step(None, y, T), TypeError, "x has dtype object"),
    (lambda e, x, y: e.train_step("pixels", y, T), TypeError, "x has dtype"),
    (lambda e, x, y: e.train_step([[1, 2], [3]], y, T), ValueError, "inhomogeneous|setting an array"),
    (lambda e, x, y: e.train_step(x * 1j, y, T), TypeError, "complex"),
    (lambda e, x, y: e.train_step(x * np.nan, y, T), sg.NonFiniteError, "input is NaN at sample 0, input 0"),
    (lambda e, x, y: e.train_step(np.full(x.shape, 1e300), y, T), sg.NonFiniteError, "inf"),
    (lambda e, x, y: e.classify(np.broadcast_to(x[:1], (10**13, 5)), T), MemoryError, "classes"),
    (lambda e, x, y: e.scores(np.broadcast_to(x[:1], (10**13, 5)), T), MemoryError, "scores"),
    (lambda e, x, y: e.classify(np.where(np.arange(3000)[:, None] == 2500, np.nan, np.ones((1, 5))), T), sg.NonFiniteError, "sample 2500, input 0"),
    (lambda e, x, y: e.accumulate(x, y, T, weight=np.nan), ValueError, "weight"),
    (lambda e, x, y: e.update(), ValueError, "accumulat"),
    (lambda e, x, y: e.forward(x, T, record="some"), ValueError, "record is 'some'"),
    (lambda e, x, y: e.forward(x, T, record=[5]), ValueError, "layer"),
    (lambda e, x, y: e.forward(x, T, record=[-1]), OverflowError, "negative"),
    (lambda e, x, y: e.classify(x, T, read_out="votes"), ValueError, "read_out is 'votes'"),
    (lambda e, x, y: e.forward(x, T, state=e.rest(2)), ValueError, "state of layer 1 has shape"),
    (lambda e, x, y: e.load_state_dict({}), ValueError, "missing tensors: fc1.weight"),
    (lambda e, x, y: e.load_state_dict({**e.state_dict(), "fc9.bias": x}), ValueError, "unexpected tensors: fc9.bias"),
    (lambda e, x, y: e.load_state_dict({**e.state_dict(), "fc1.bias": x}), ValueError, "fc1.bias has shape"),
    (lambda e, x, y: e.load_state_dict({**e.state_dict(), "fc1.bias": np.full(8, np.inf)}), ValueError, "fc1.bias"),
    (lambda e, x, y: e.set_network(sg.Network(5, [sg.Leaky(3, beta=0.9)])), ValueError, "network has shape"),
    (lambda e, x, y: e.set_optimizer(sg.SGD(-1.0)), ValueError, "lr is -1"),
    (lambda e, x, y: setattr(e, "learning_rate", np.nan), ValueError, "lr"),
    (lambda e, x, y: e.load_optimizer_state({"steps": 3}), ValueError, "exp_avg"),
    (lambda e, x, y: e.load_optimizer_state(changed(e, "exp_avg", np.nan)), sg.NonFiniteError, "exp_avg of fc1.bias"),
    (lambda e, x, y: e.load_optimizer_state(changed(e, "exp_avg_sq", -1.0)), ValueError, "exp_avg_sq of fc1.bias"),
    (lambda e, x, y: sg.Engine(e.network, optimizer=sg.Adam(groups=[(["fc1.bias"], sg.Adam(clip_norm=1.0))])), ValueError, "a group has"),
    (lambda e, x, y: sg.SGD(0.1, schedule=0.9), TypeError, "expected a Schedule"),
    (lambda e, x, y: e.fit(x, y, num_steps=T, batch_size=2, validation=[x]), ValueError, "validation is not a pair"),
    (lambda e, x, y: e.set_accumulated_gradients({"fc1.weight": x}), ValueError, "missing tensors"),
    (lambda e, x, y: e.network.constants(7), ValueError, "layer is 7"),
    (lambda e, x, y: e.fit(x, y, num_steps=T), ValueError, "at least one batch"),
    (lambda e, x, y: e.fit(x, y, batch_size=2), ValueError, "num_steps is None"),
    (lambda e, x, y: e.fit(x, y[:4], num_steps=T, batch_size=2), ValueError, "first axis counts samples"),
    (lambda e, x, y: e.fit(x[:, :2], y, num_steps=T, batch_size=2), ValueError, "the network's inputs"),
    (lambda e, x, y: e.fit(x, y + 5, num_steps=T, batch_size=2), ValueError, "training y"),
    (lambda e, x, y: e.fit(x, y, num_steps=T, batch_size=2, validation=(x, y[:1])), ValueError, "validation y"),
    (lambda e, x, y: e.fit(x, y, num_steps=T, batch_size=2, resume=True), ValueError, "resume"),
    (lambda e, x, y: e.fit(x, y, num_steps=T, batch_size=2, early_stopping=1), ValueError, "early_stopping"),
    (lambda e, x, y: e.fit(x, y, num_steps=T, batch_size=2, checkpoint="/proc/none"), OSError, "/proc/none"),
    (lambda e, x, y: sg.Network(0, [sg.Leaky(3, beta=0.9)]), ValueError, "number of inputs is 0"),
    (lambda e, x, y: sg.Network(3, []), ValueError, "number of layers is 0"),
    (lambda e, x, y: sg.Network(3, [None]), TypeError, "not a layer"),
    (lambda e, x, y: sg.Network(3, 7), TypeError, "iterable"),
    (lambda e, x, y: sg.Network(2**40, [sg.Leaky(2**40, beta=0.9)]), ValueError, "layer 1: size"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, beta=1.5)]), ValueError, "layer 1: beta is 1.5"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, beta=[0.5] * 3)]), ValueError, "one per neuron"),
    (lambda e, x, y: sg.Leaky(2, beta=[[0.5]]), ValueError, "a number, or \\[neurons\\]"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, 0.9, reset="soft")]), ValueError, "reset is 'soft'"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, 0.9, dynamics="no")]), ValueError, "dynamics is 'no'"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, 0.9, surrogate="atan")]), TypeError, "not a Surrogate"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, 0.9, surrogate=sg.Arctan(-1.0))]), ValueError, "arctan alpha"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, 0.9, recurrent="yes")]), TypeError, "layer 1: recurrent is yes; expected False, True or a"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, 0.9, recurrent=sg.Recurrence("ring"))]), ValueError, "layer 1: pattern is 'ring'; expected all_to_all"),
    (lambda e, x, y: sg.Recurrence("one_to_one", bias=True), ValueError, "bias is True with pattern one_to_one"),
    (lambda e, x, y: sg.Recurrence("one_to_one", diagonal=False), ValueError, "diagonal is False with pattern one_to_one"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, 0.9, init="zeros")]), TypeError, "layer 1: init is zeros; expected None or an Init"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, 0.9, init=sg.Init("zeros"))]), ValueError, "layer 1: init is 'zeros'"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, 0.9, init=sg.Init.scaled(-1.0))]), ValueError, "layer 1: initial weights.* is -1"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, 0.9, recurrent_init=sg.Init.tiled())]), ValueError, "layer 1: recurrent_init is .*; expected None"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, sg.Draw.uniform(0.5, 1.5))]), ValueError, "layer 1: beta is uniform from 0.5 to 1.5"),
    (lambda e, x, y: sg.Network(3, [sg.Leaky(2, sg.Draw("beta", (0, 1)))]), ValueError, "distribution is 'beta'; expected uniform or normal"),
    (lambda e, x, y: sg.Network(3, [sg.Alpha(2, 0.5, 0.6)]), ValueError, "layer 1: alpha is 0.5; expected a decay above beta"),
    (lambda e, x, y: sg.Network(3, [sg.AdLif(2, 0.5, 0.98)]), ValueError, "layer 1: alpha is 0.5"),
    (lambda e, x, y: sg.Network(3, [sg.Lapicque(2, -2.0, 0.1)]), ValueError, "layer 1: decay is -2"),
    (lambda e, x, y: e.scores(x, T, read_out=sg.WindowMembrane(-1)), ValueError, "first is -1; expected a step, from 0"),
    (lambda e, x, y: e.scores(x, T, read_out=sg.WindowMembrane(3, 3)), ValueError, "end is 3; expected None or a step after first, 3"),
    (lambda e, x, y: sg.Engine(e.network, loss=sg.CrossEntropyMeanMembrane(4, 2)), ValueError, "end is 2"),
    (lambda e, x, y: sg.Engine(e.network, loss=sg.CrossEntropyFirstSpike("square")), ValueError, "inverse is 'square'; expected negate"),
    (lambda e, x, y: sg.Engine(e.network, device="tpu"), ValueError, "device is tpu"),
    (lambda e, x, y: sg.Engine(e.network, device="cuda:99"), RuntimeError, "cuda:99"),
    (lambda e, x, y: sg.Engine(e.network, precision="float16"), ValueError, "precision is 'float16'"),
    (lambda e, x, y: sg.Engine(e.network, loss="mse"), TypeError, "not a Loss"),
    (lambda e, x, y: sg.Engine(e.network, optimizer=0.1), TypeError, "not an Optimizer"),
    (lambda e, x, y: sg.Engine(e.network, loss=sg.Mse("volts")), ValueError, "quantity is 'volts'"),
    (lambda e, x, y: sg.Engine(e.network, loss=sg.MseCount(2.0)), ValueError, "correct_rate is 2"),
    (lambda e, x, y: sg.Engine(e.network, optimizer=sg.Adam(schedule=sg.Schedule.step(0, 0.5))), ValueError, "schedule"),
    (lambda e, x, y: sg.Engine(e.network, optimizer=sg.Adam(schedule=sg.Schedule.cosine(-5))), ValueError, "schedule"),
    (lambda e, x, y: sg.Engine(e.network, optimizer=sg.Adam(groups=[(["fc7.bias"], sg.Adam())])), ValueError, "fc7.bias"),
    (lambda e, x, y: sg.Schedule("zigzag").rate(1.0, 0), ValueError, "zigzag"),
    (lambda e, x, y: sg.load("/nowhere/model.safetensors"), OSError, "cannot read /nowhere"),
    (lambda e, x, y: sg.load(__file__), sg.FormatError, "test_interface"),
    (lambda e, x, y: sg.save(e, "/nowhere/model.safetensors"), OSError, "/nowhere"),
    (lambda e, x, y: sg.save(e, "model", precision="bfloat16"), ValueError, "bfloat16"),
    (lambda e, x, y: sg.datasets.load_mnist("/nowhere"), OSError, "/nowhere"),
    (lambda e, x, y: sg.plot.loss(sg.History()), ValueError, "shape"),
    (lambda e, x, y: sg.plot.raster(e.forward(x, T, record="output"), layers=[0]), ValueError, "not recorded"),
    (lambda e, x, y: sg.gradcheck(e.network, x, y), ValueError, "num_steps is None"),
    (lambda e, x, y: sg.firing_rates(e.network, x), ValueError, "num_steps is None"),
    (lambda e, x, y: sg.firing_rates(e.network, x[:, :2], T), ValueError, "shape"),
    (lambda e, x, y: e.rest(0), ValueError, "batch size"),
    (lambda e, x, y: e.rest(1).reset(e.network, 4), ValueError, "sample of a state"),
    (lambda e, x, y: e.rest(1).set_layer(0, [np.zeros((1, 2))]), ValueError, "shape"),
    (lambda e, x, y: e.rest(1).set_layer(9, []), ValueError, "layer is 9"),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_bad_input_is_an_exception_and_changes_nothing(small, number):
    call, kind, message = BAD[number]
    net, x, y = small
    engine = engine_of(net, optimizer=sg.Adam(1e-2))
    engine.train_step(x, y, T)
    before = pickle.dumps(engine.state_dict())
    with pytest.raises(kind, match=message):
        call(engine, x, y)
    assert pickle.dumps(engine.state_dict()) == before
    assert np.isfinite(engine.train_step(x, y, T).loss)


def test_exceptions_are_also_pythons_own():
    assert issubclass(sg.InvalidInputError, ValueError) and issubclass(sg.FileError, OSError)
    with pytest.raises(sg.Error) as caught:
        sg.load("/nowhere/model.safetensors")
    assert caught.value.errno == 2 and str(caught.value.filename) == "/nowhere/model.safetensors"


# --- engines --------------------------------------------------------------------------------------


def test_a_step_comes_apart(small):
    net, x, y = small
    whole, parts = (engine_of(net, optimizer=sg.Adam(1e-2)) for _ in range(2))
    whole.train_step(x, y, T)
    for half in (slice(0, 3), slice(3, 6)):
        parts.accumulate(x[half], y[half], T, weight=0.5)
    gradients = parts.accumulated_gradients()
    parts.set_accumulated_gradients(gradients)
    parts.update()
    for name, tensor in whole.state_dict().items():
        np.testing.assert_allclose(tensor, parts.state_dict()[name], atol=1e-6)
    parts.accumulate(x, y, T)
    copy = pickle.loads(pickle.dumps(parts))
    parts.update()
    copy.update()
    assert parts.network == copy.network
    parts.measure_gradients()
    copy = pickle.loads(pickle.dumps(parts))
    assert copy.train_step(x, y, T).gradient_norms is not None
    parts.accumulate(x, y, T)
    parts.clear_gradients()
    # To read is not to accumulate.
    assert all((g == 0).all() for g in parts.accumulated_gradients().values())
    with pytest.raises(ValueError, match="accumulat"):
        parts.update()


def test_state_carries_the_bits_of_the_whole(small):
    net, x, y = small
    for precision in ("float32", "float64"):
        engine = engine_of(net, precision=precision)
        whole = engine.forward(x, T)
        state = engine.rest(6)
        for t in range(T):
            if t == 5:
                state = pickle.loads(pickle.dumps(state))
            step = engine.forward(x, 1, state=state)
            for k in range(2):
                assert np.array_equal(step.mem[k][0], whole.mem[k][t])
                assert np.array_equal(step.spk[k][0], whole.spk[k][t])
        kept = state.copy()
        state.reset(net, 2)
        assert (state.layers[0][0][2] == 0).all() and (kept.layers[0][0][2] != 0).any()
        state.set_layer(0, kept.layers[0])
        assert np.array_equal(state.layers[0][0], kept.layers[0][0])
        other = sg.Network(5, net.layers).rest(6, "float64" if precision == "float32" else "float32")
        with pytest.raises(ValueError, match="another precision"):
            engine.forward(x, 1, state=other)
    streamed = sg.Predictor(net)
    state = streamed.rest(6)
    steps = [streamed.forward(x, 1, state=state).mem[-1][0] for _ in range(T)]
    assert np.array_equal(steps, streamed.forward(x, T).mem[-1])


def test_truncated_training_from_a_state(small):
    net, x, y = small
    engine = engine_of(net)
    state = engine.rest(6)
    for _ in range(3):
        assert np.isfinite(engine.train_step(x, y, 4, state=state).loss)
    assert any((numbers != 0).any() for layer in state.layers for numbers in layer)


@pytest.mark.parametrize("optimizer", [sg.SGD(0.1, momentum=0.9), sg.Adam(1e-2), sg.AdamW(1e-2), sg.Adamax(1e-2)])
def test_pickled_engines_go_on(small, optimizer):
    net, x, y = small
    for precision in ("float32", "float64"):
        engine = engine_of(net, loss=sg.CrossEntropyCount(), optimizer=optimizer, precision=precision)
        engine.train_step(x, y, T)
        copy = pickle.loads(pickle.dumps(engine))
        for _ in range(3):
            assert engine.train_step(x, y, T) == copy.train_step(x, y, T)
        assert engine.network == copy.network and copy.optimizer == optimizer
        assert copy.optimizer_state()["steps"] == 4


def test_what_is_pickled_is_equal(small):
    net, x, y = small
    layers = [
        sg.Leaky(4, beta=[0.1, 0.2, 0.3, 0.4], learn_beta=True, surrogate=sg.FastSigmoid(7.0)),
        sg.Synaptic.spytorch(3, alpha=0.8, beta=0.9, gain=[0.5, 1.0, 2.0], learn_gain=True, surrogate=sg.Triangular()),
    ]
    net = sg.Network(5, layers, seed=3)
    assert net.layers == layers
    assert pickle.loads(pickle.dumps(net)) == net and net != sg.Network(5, layers, seed=4)
    report = engine_of(net).evaluate(x, y, T)
    assert pickle.loads(pickle.dumps(report)) == report
    predictor = sg.Predictor(net, read_out="spike_count")
    copy = pickle.loads(pickle.dumps(predictor))
    assert np.array_equal(copy.scores(x, T), predictor.scores(x, T))
    with pytest.raises(Exception, match="(?i)pickle"):
        pickle.dumps(engine_of(net, loss=sg.Loss.custom(lambda recording, targets: None)))


def test_schedules_and_rates(small):
    net, x, y = small
    engine = engine_of(net, optimizer=sg.Adam(1e-2, schedule=sg.Schedule.step(1, 0.5), clip_norm=1.0))
    assert engine.learning_rate == 1e-2
    engine.train_step(x, y, T)
    assert engine.learning_rate == 5e-3
    engine.learning_rate = 4e-2
    assert engine.learning_rate == 2e-2 and engine.optimizer.lr == 4e-2
    engine.set_optimizer(sg.Adam(1e-2), keep_state=True)
    assert engine.optimizer_state()["steps"] == 1
    with pytest.raises(ValueError, match="state of the optimizer"):
        engine.set_optimizer(sg.SGD(1e-2), keep_state=True)
    engine.set_optimizer(sg.SGD(1e-2))
    assert engine.optimizer_state() == {"steps": 0}
    assert sg.SGD(0.1, 0.9).momentum == 0.9 and sg.Adam(5e-4, [0.9, 0.99]) == sg.Adam(5e-4, betas=(0.9, 0.99))
    frozen = sg.Adam(1e-2, groups=[(["fc1.bias", "fc2.bias"], sg.Adam(0.0))])
    engine = engine_of(net, optimizer=frozen)
    engine.train_step(x, y, T)
    assert np.array_equal(engine.state_dict()["fc1.bias"], net.state_dict()["fc1.bias"].astype(np.float32))


def test_custom_loss(small):
    net, x, y = small

    def counted(recording, targets):
        assert targets.tolist() == y.tolist()
        count = recording.spk[-1].sum(axis=0)
        return float((count**2).mean()), sg.Adjoints(spk=np.broadcast_to(2 * count / count.size, recording.spk[-1].shape))

    loss = sg.Loss.custom(counted)
    assert sg.gradcheck(net, x[:2], y[:2], sg.Loss.custom(lambda r, t: (float((r.mem[-1] ** 2).sum()), sg.Adjoints(mem=2 * r.mem[-1]))), 4).passed
    for precision in ("float32", "float64"):
        engine = engine_of(net, loss=loss, precision=precision)
        assert engine.train_step(x, y, T).loss > 0
    hidden = sg.Loss.custom(lambda r, t: (0.0, sg.Adjoints(spk=[np.ones_like(r.spk[0]), None])))
    _, gradients = engine_of(net, loss=hidden).gradients(x, y, T)
    assert (gradients["fc1.weight"] != 0).any() and (gradients["fc2.weight"] == 0).all()


@pytest.mark.parametrize(
    "returned, kind, message",
    [
        (lambda r: None, TypeError, "must return its value and Adjoints"),
        (lambda r: (1.0, None), AttributeError, "spk"),
        (lambda r: (np.nan, sg.Adjoints()), sg.NonFiniteError, "loss"),
        (lambda r: (1.0, sg.Adjoints(mem=np.ones(3))), ValueError, "adjoints.mem has shape"),
        (lambda r: (1.0, sg.Adjoints(mem=np.ones((1, 1, 1)))), ValueError, "shape"),
        (lambda r: (1.0, sg.Adjoints(mem=[None])), ValueError, "one for each layer"),
        (lambda r: 1 / 0, ZeroDivisionError, "division"),
    ],
)
def test_wrong_custom_losses(small, returned, kind, message):
    net, x, y = small
    engine = engine_of(net, loss=sg.Loss.custom(lambda recording, targets: returned(recording)))
    before = engine.state_dict()
    with pytest.raises(kind, match=message):
        engine.train_step(x, y, T)
    assert all(np.array_equal(tensor, before[name]) for name, tensor in engine.state_dict().items())


def test_a_loss_cannot_call_its_engine(small):
    net, x, y = small
    engine = engine_of(net, loss=sg.Loss.custom(lambda recording, targets: engine.classify(x, T)))
    with pytest.raises(sg.UnsupportedError, match="a call from within a call"):
        engine.train_step(x, y, T)


def test_gradcheck(small):
    net, x, y = small
    report = sg.gradcheck(net, x[:2], y[:2], sg.CrossEntropyRate(), num_steps=4)
    assert report.passed and report.max_error < 1e-6 and "fc1.weight" in str(report)
    assert [tensor.name for tensor in report.tensors] == list(net.state_dict())


def test_firing_rates():
    # Independent spikes at a tenth of the steps, and membranes that are not reset.
    rng = np.random.default_rng(5)
    x = (rng.random((40, 64, 100)) < 0.1).astype(np.float32)
    init = sg.Init.fluctuation_driven(100, 0.1, beta=0.9, xi=1.5)
    first = sg.Leaky(50, 0.9, reset="none", bias=False, init=init)
    network = sg.Network(100, [first, sg.LeakyIntegrator(5, beta=0.9)])
    rates = sg.firing_rates(network, x)
    fired, output = rates.layers
    found = np.count_nonzero(spk := sg.Predictor(network).forward(x, record="all").spk[0]) / spk.size
    assert fired.neurons == 50 and fired.threshold == 1.0 and abs(fired.found - found) < 1e-9
    assert fired.expected == pytest.approx(found, rel=0.05) and fired.deviation > 0.5
    assert (output.threshold, output.expected, output.found, output.silent) == (None, None, 0.0, 5)
    assert "expected rate" in str(rates)


# --- layers, losses and read-outs ------------------------------------------------------------------

LAYERS = [
    lambda n, **more: sg.Leaky(n, 0.9, learn_beta=True, **more),
    lambda n, **more: sg.Synaptic(n, alpha=0.8, beta=0.9, reset="zero", surrogate=sg.Sigmoid(4.0), **more),
    lambda n, **more: sg.LeakyIntegrator(n, alpha=0.8, beta=0.9, gain=0.1, learn_alpha=True, **more),
    lambda n, **more: sg.LeakyIntegrator.spytorch(n, 0.8, 0.9, **more),
    lambda n, **more: sg.Encoder(n, 0.9, gain=[1.0 + i for i in range(n)], bias=0.2, learn_gain=True, learn_bias=True, **more),
    lambda n, **more: sg.Lapicque.circuit(n, 5.0, 4.0, learn_decay=True, surrogate=sg.Triangular(), **more),
    lambda n, **more: sg.Lapicque.snntorch(n, 0.9, dynamics="integrate_fire_reset", detach_reset=False, **more),
    lambda n, **more: sg.Alpha(n, 0.9, 0.5, reset="subtract", learn_threshold=True, **more),
    lambda n, **more: sg.Adaptive.bellec(n, 0.9, 0.95, adaptation=0.5, learn_rho=True, **more),
    lambda n, **more: sg.Adaptive.yin(n, 0.9, 0.95, detach_reset=True, surrogate=sg.StraightThrough(), **more),
    lambda n, **more: sg.Lsnn(n, 0.8, 0.9, 0.99, adaptation=0.3, detach_reset=True, **more),
    lambda n, **more: sg.AdLif(n, 0.9, 0.98, a=0.5, b=1.0, learn_a=True, **more),
]
SYNAPSES = [
    {},
    {"recurrent": True},
    {"recurrent": sg.Recurrence(bias=False, diagonal=False, learn=False), "fixed": True},
    {"recurrent": sg.Recurrence("one_to_one")},
    {"dropout": 0.25, "initial_membrane": (0.1, 0.2, 0.3, 0.4)},
]


@pytest.mark.parametrize("synapses", SYNAPSES, ids=["none", "all", "fixed", "one", "training and start"])
@pytest.mark.parametrize("make", LAYERS)
def test_every_layer_round_trips(make, synapses, tmp_path):
    for without in ({}, {"fc_bias": False} if make(1).kind == "encoder" else {"bias": False}):
        layers = [make(4, **synapses, **without), make(3, threshold=0.5) if hasattr(make(1), "threshold") else make(3)]
        net = sg.Network(5, layers, seed=1)
        assert net.layers == layers and ("fc1.bias" in net.state_dict()) is not bool(without)
        sg.save(net, tmp_path / "model.safetensors", precision="float64")
        loaded = sg.load(tmp_path / "model.safetensors")
        assert loaded == net and loaded.layers == layers
        assert pickle.loads(pickle.dumps(net)) == net and eval(repr(net), vars(sg)).layers == layers
        # It runs, and goes on from a state.
        x = np.random.default_rng(0).uniform(0, 4, (T, 6, 5)).astype(np.float32)
        engine = engine_of(net, loss=sg.CrossEntropyMembrane())
        whole, state = engine.forward(x), engine.rest(6)
        parts = [engine.forward(x[:5], state=state), engine.forward(x[5:], state=pickle.loads(pickle.dumps(state)))]
        for k in range(2):
            assert np.array_equal(np.concatenate([part.mem[k] for part in parts]), whole.mem[k])
        before = engine.state_dict()
        engine.train_step(x, np.arange(6) % 3)
        same = [name for name, tensor in engine.state_dict().items() if np.array_equal(tensor, before[name])]
        if "fixed" in synapses:
            assert {"fc1.weight", "lif1.recurrent.weight"} <= set(same)
            assert not np.diag(before["lif1.recurrent.weight"]).any()
        else:
            assert "fc2.bias" not in same
        assert "<svg" in str(sg.plot.traces(whole, net))


def test_training_drops_inputs_and_prediction_does_not():
    x = np.random.default_rng(0).uniform(0, 1, (6, 5)).astype(np.float32)
    y = np.arange(6) % 3
    layers = lambda rate: [sg.Leaky(40, beta=0.9, threshold=0.3), sg.Leaky(3, beta=0.9, dropout=rate)]  # noqa: E731
    dropped, plain = (sg.Engine(sg.Network(5, layers(rate), seed=1)) for rate in (0.5, 0.0))
    assert np.array_equal(dropped.forward(x, num_steps=T).mem[1], plain.forward(x, num_steps=T).mem[1])
    losses = [engine.train_step(x, y, num_steps=T).loss for engine in (dropped, plain)]
    assert losses[0] != losses[1] and np.isfinite(losses).all()
    with pytest.raises(ValueError, match="layer 2: dropout is 1; expected at least 0 and less than 1"):
        sg.Network(5, layers(1.0))


def test_membranes_begin_elsewhere():
    x = np.zeros((2, 3), np.float32)
    net = sg.Network(3, [sg.LeakyIntegrator(2, beta=0.5, initial_membrane=(1.0, -2.0), bias=False)])
    assert np.array_equal(net.rest(2).layers[0][0], [[1.0, -2.0]] * 2)
    for runs in (sg.Engine(net), sg.Predictor(net)):
        assert np.array_equal(runs.forward(x, num_steps=2).mem[0][:, 0], [[0.5, -1.0], [0.25, -0.5]])
    state = sg.Engine(net).rest(2)
    state.set_layer(0, [numbers * 0 for numbers in state.layers[0]])
    state.reset(net, 1)
    assert np.array_equal(state.layers[0][0], [[0, 0], [1.0, -2.0]])
    drawn = sg.Network(3, [sg.Leaky(50, beta=0.5, initial_membrane=sg.Draw.uniform(0.2, 0.4))], seed=3)
    assert 0.2 <= min(drawn.layers[0].initial_membrane) < max(drawn.layers[0].initial_membrane) <= 0.4


def test_constants_and_weights_are_drawn():
    def built(**settings):
        return sg.Network(6, [sg.Leaky(4, recurrent=True, **settings)], seed=7)

    drawn = built(beta=sg.Draw.normal(0.9, 0.01))
    assert len(set(drawn.layers[0].beta)) == 4 and drawn == built(beta=sg.Draw.normal(0.9, 0.01))
    assert drawn.layers == built(beta=drawn.layers[0].beta).layers
    orthogonal = built(beta=0.9, init=sg.Init.orthogonal(2.0), recurrent_init=sg.Init.orthogonal()).state_dict()
    for name, gain in (("fc1.weight", 4.0), ("lif1.recurrent.weight", 1.0)):
        assert np.allclose(orthogonal[name] @ orthogonal[name].T, gain * np.eye(4))
    weights = {
        sg.Init.constant(0.3): lambda w: (w == 0.3).all(),
        sg.Init.tiled(): lambda w: np.array_equal(w, np.eye(4, 6)),
        sg.Init.uniform(0.01): lambda w: (abs(w) <= 0.01).all() and w.any(),
        sg.Init.scaled(0.1): lambda w: 0 < w.std() < 0.1,
        sg.Init.normal(5.0, 0.1): lambda w: (abs(w - 5) < 1).all(),
        sg.Init.linear(): lambda w: np.array_equal(w, built(beta=0.9).state_dict()["fc1.weight"]),
        sg.Init.fluctuation_driven(6, 0.1, beta=0.9, alpha=0.8): lambda w: w.any(),
    }
    for init, holds in weights.items():
        net = built(beta=0.9, init=init)
        assert holds(net.state_dict()["fc1.weight"]) and net.layers[0].init is None
    adlif = sg.Network(6, [sg.AdLif.sparch(4, recurrent=sg.Recurrence(diagonal=False))])
    assert {"lif1.alpha", "lif1.beta", "lif1.a", "lif1.b"} <= set(adlif.state_dict())
    assert sg.decay(20.0, 1.0) == pytest.approx(np.exp(-0.05), rel=1e-15)


def test_losses_and_read_outs(small):
    net, x, y = small
    recording = engine_of(net, precision="float64").forward(x, T)
    mem, spk = recording.mem[-1], recording.spk[-1]
    first = np.where(spk.any(axis=0), spk.argmax(axis=0), T - 1)
    expected = {
        "spike_count": spk.sum(axis=0),
        "membrane": mem.sum(axis=0),
        "max_membrane": mem.max(axis=0),
        "last_membrane": mem[-1],
        "first_spike": -first,
        sg.WindowMembrane(4, 9): mem[4:9].sum(axis=0),
        sg.WindowMembrane(4): mem[4:].sum(axis=0),
    }

    def cross_entropy(z):
        return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y])

    losses = {
        sg.CrossEntropyMaxMembrane(): ("max_membrane", cross_entropy(mem.max(axis=0))),
        sg.CrossEntropyLastMembrane(): ("last_membrane", cross_entropy(mem[-1])),
        sg.CrossEntropyMeanMembrane(4, 9): (sg.WindowMembrane(4, 9), cross_entropy(mem[4:9].mean(axis=0))),
        sg.CrossEntropyMeanMembrane(): ("membrane", cross_entropy(mem.mean(axis=0))),
        sg.CrossEntropyFirstSpike(): ("first_spike", cross_entropy(-first)),
        sg.CrossEntropyFirstSpike("reciprocal"): ("first_spike", cross_entropy(1 / (first + 1))),
    }
    for precision, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        engine = engine_of(net, precision=precision)
        for read_out, scores in expected.items():
            assert np.allclose(engine.scores(x, T, read_out=read_out), scores, atol=10 * tolerance)
        for loss, (read_out, value) in losses.items():
            engine = engine_of(net, loss=loss, precision=precision)
            assert engine.evaluate(x, y, T).loss == pytest.approx(value, rel=tolerance)
            # The loss has its read-out.
            assert np.allclose(engine.scores(x, T), expected[read_out], atol=10 * tolerance)
            assert pickle.loads(pickle.dumps(engine)).loss == loss
    for loss in list(losses)[:4]:
        assert sg.gradcheck(net, x[:2], y[:2], loss, num_steps=10).passed
    aims = np.where(np.arange(3) == y[:, None], 2, T - 1)
    engine = engine_of(net, loss=sg.MseFirstSpike(on_target=2), precision="float64")
    assert engine.evaluate(x, y, T).loss == pytest.approx((((first - aims) / T) ** 2).mean())
    for read_out, scores in expected.items():
        predictor = pickle.loads(pickle.dumps(sg.Predictor(net, read_out=read_out)))
        assert np.allclose(predictor.scores(x, T), scores, atol=1e-4)
        assert np.array_equal(predictor.classify(x, T), predictor.scores(x, T).argmax(axis=1))


# --- files ----------------------------------------------------------------------------------------


def test_files(small, tmp_path):
    net, x, y = small
    engine = engine_of(net)
    engine.train_step(x, y, T)
    sg.save(engine, tmp_path / "model.safetensors")
    loaded = sg.load(tmp_path / "model.safetensors")
    assert loaded == engine.network
    sg.save(net, str(tmp_path / "double.safetensors"), precision="float64")
    assert sg.load(tmp_path / "double.safetensors") == net
    other = sg.Network(5, [sg.Leaky(8, beta=0.9), sg.Leaky(3, beta=0.7)])
    with pytest.raises(sg.FormatError, match="lif2.beta is 0.8"):
        other.with_file(tmp_path / "double.safetensors")
    assert other.with_file(tmp_path / "double.safetensors", "take_over") == net
    kept = other.with_file(tmp_path / "double.safetensors", "keep")
    assert kept.layers[1].beta == 0.7 and np.array_equal(kept.state_dict()["fc1.bias"], net.state_dict()["fc1.bias"])


# --- training -------------------------------------------------------------------------------------


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 64)
    x = rng.uniform(0, 1, (64, 5)).astype(np.float32)
    x[np.arange(64), y] += 2
    return x, y


def fit(engine, data, **settings):
    x, y = data
    settings = {"batch_size": 16, "num_steps": T, "epochs": 3, "progress": False, **settings}
    return engine.fit(x, y, **settings)


def test_fit_learns_and_reports(small, data, capsys):
    engine = engine_of(small[0], optimizer=sg.Adam(1e-2))
    seen = []
    history = fit(engine, data, epochs=10, validation=data, progress=True, callback=seen.append)
    assert len(history.batches) == 40 and len(history.epochs) == 10 and len(seen) == 50
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
    assert history.epochs[-1].validation.accuracy_membrane > 0.8
    assert seen[4] == history.epochs[0] and seen[0] == history.batches[0]
    printed = capsys.readouterr().out
    assert printed.count("epoch") == 10 and "by membrane" in printed
    assert history.losses.shape == (40,) and len(repr(history)) < 100
    for plot in (sg.plot.loss(history), sg.plot.accuracy(history), sg.plot.learning_rate(history)):
        assert plot.startswith("<svg") and plot._repr_svg_() == plot


def test_fit_takes_every_kind_of_data(small, data):
    """Of constant inputs, sequences and values; in parts, and in windows."""
    x, y = data
    steps = np.repeat(x[:, None], T, axis=1)
    constant, sequence = (engine_of(small[0], optimizer=sg.Adam(1e-2)) for _ in range(2))
    first = fit(constant, data)
    second = fit(sequence, (steps, y), num_steps=None)
    assert np.allclose(first.losses, second.losses, rtol=1e-5)
    parts, windows = (engine_of(small[0], optimizer=sg.Adam(1e-2)) for _ in range(2))
    assert np.allclose(fit(parts, data, accumulate=4).losses[:4], first.losses[:4], rtol=1e-4)
    with pytest.warns(UserWarning, match="truncate is 5"):
        assert len(fit(windows, data, truncate=5).batches) == 12
    assert windows.optimizer_state()["steps"] == 36
    values = engine_of(sg.Network(5, [sg.Leaky(3, beta=0.9)]), loss=sg.Mse("membrane"))
    assert np.isfinite(fit(values, (steps, np.ones((64, T, 3))), num_steps=None).losses).all()


def test_fit_draws_from_functions(small, data):
    x, y = data
    arrays, drawn = (engine_of(small[0], optimizer=sg.Adam(1e-2)) for _ in range(2))
    epochs = []

    def source(numbers, epoch):
        epochs.append(epoch)
        return x[numbers], y[numbers].tolist()

    expected = fit(arrays, data, validation=data)
    found = fit(drawn, (source, 64), validation=(lambda numbers, _: (x[numbers], y[numbers]), 64))
    assert np.array_equal(expected.losses, found.losses) and sorted(set(epochs)) == [0, 1, 2]
    assert [e.validation for e in expected.epochs] == [e.validation for e in found.epochs]
    steps = np.repeat(x[:, None], 5, axis=1)
    sequences = fit(drawn, (lambda numbers, _: (steps[numbers], y[numbers]), 64), num_steps=None)
    assert {record.num_steps for record in sequences.batches} == {5}

    def fails(numbers, epoch):
        raise OSError("the disk is gone")

    for wrong, kind, message in (
        (fails, OSError, "the disk is gone"),
        (lambda numbers, _: x[numbers], TypeError, "expected \\(x, y\\)"),
        (lambda numbers, _: (x, y), ValueError, "returned 64 samples; expected 16"),
        (lambda numbers, _: (x[numbers], y[numbers] + 9), ValueError, "expected a class below 3"),
        (lambda numbers, _: (x[numbers, :2], y[numbers]), ValueError, "the network's inputs"),
        (lambda numbers, _: (fails, 16), ValueError, "returned a function"),
    ):
        with pytest.raises(kind, match=message):
            fit(engine_of(small[0]), (wrong, 64))
    with pytest.raises(TypeError, match="y is not a whole number"):
        fit(engine_of(small[0]), (source, y))


def test_callbacks_stop_change_and_fail(small, data):
    engine = engine_of(small[0])

    def callback(record):
        assert engine.classify(data[0], T).shape == (64,)
        engine.learning_rate = 1e-4
        return not (isinstance(record, sg.BatchRecord) and (record.epoch, record.batch) == (1, 1))

    history = fit(engine, data, callback=callback)
    assert len(history.batches) == 6 and history.batches[1].learning_rate == 1e-4
    again = fit(engine, data, history=history)
    assert again is history and len(history.batches) == 12 and len(history.epochs) == 3

    def fails(record):
        raise KeyError("of one's own")

    with pytest.raises(TypeError, match="expected None or a bool"):
        fit(engine, data, callback=lambda record: "no")
    failed = sg.History()
    with pytest.raises(KeyError, match="of one's own"):
        fit(engine, data, callback=fails, history=failed)
    assert len(failed.batches) == 1


def test_early_stopping_goes_back_to_the_best(small, data):
    engine = engine_of(small[0], optimizer=sg.Adam(0.05))
    other = (data[1] + 1) % 3  # what the network learns makes this worse
    history = fit(engine, data, epochs=60, validation=(data[0], other), early_stopping=3)
    losses = [record.validation.loss for record in history.epochs]
    assert len(losses) < 60 and int(np.argmin(losses)) == len(losses) - 4
    batches = [engine.evaluate(data[0][i : i + 16], other[i : i + 16], T).loss for i in range(0, 64, 16)]
    assert np.isclose(np.mean(batches), min(losses))


def test_runs_resume_to_the_same_bits(small, data, tmp_path):
    whole = engine_of(small[0], optimizer=sg.Adam(1e-2))
    expected = fit(whole, data)
    folder = tmp_path / "checkpoints"

    def until(record):
        if isinstance(record, sg.BatchRecord) and (record.epoch, record.batch) == (1, 2):
            raise RuntimeError("the power fails")

    with pytest.raises(RuntimeError, match="the power fails"):
        fit(engine_of(small[0], optimizer=sg.Adam(1e-2)), data, checkpoint=folder, callback=until)
    rest = engine_of(small[0], optimizer=sg.Adam(1e-2))
    history = fit(rest, data, checkpoint=folder, resume=True)
    assert np.array_equal(history.losses, expected.losses) and len(history.epochs) == 3
    for name, tensor in whole.state_dict().items():
        assert np.array_equal(tensor, rest.state_dict()[name])
    with pytest.raises(ValueError, match="python.lr"):
        fit(engine_of(small[0], optimizer=sg.Adam(0.3)), data, checkpoint=folder, resume=True)
    with pytest.raises(sg.UnsupportedError, match="float64"):
        fit(engine_of(small[0], precision="float64"), data)


def test_warnings_are_pythons(small, data):
    with pytest.warns(UserWarning, match="num_steps is 1"):
        fit(engine_of(small[0]), data, num_steps=1)
    engine = engine_of(small[0])
    with warnings.catch_warnings(), pytest.raises(UserWarning):
        warnings.simplefilter("error")
        fit(engine, data, num_steps=1)
    assert engine.optimizer_state()["steps"] == 0


INTERRUPTED = """
import sys, numpy as np, spikegrad as sg
net = sg.Network(784, [sg.Leaky(1000, beta=0.95), sg.Leaky(10, beta=0.95)])
x, y = np.random.default_rng(0).random((2560, 784), np.float32), np.arange(2560) % 10
engine = sg.Engine(net, device="cpu")
def told(record): print("running", flush=True)
try:
    if sys.argv[1] == "fit":
        engine.fit(x, y, epochs=100000, num_steps=25, progress=False, callback=told, checkpoint=sys.argv[2])
    elif sys.argv[1] == "classify":
        print("running", flush=True)
        engine.classify(np.broadcast_to(x[:1], (10**7, 784)), 25)
    else:
        print("running", flush=True)
        sg.gradcheck(net, x[:2], y[:2], num_steps=25)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("call", ["fit", "classify", "gradcheck"])
def test_ctrl_c_ends_a_long_call(call, tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, call, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "running\n"
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    rest, _ = child.communicate(timeout=60)
    assert rest.endswith("interrupted\n") and child.returncode == 0
    if call == "fit":  # the run is kept where it stood
        assert any(name.endswith(".safetensors") for name in os.listdir(tmp_path))


def test_early_stopping_resumes_with_the_best(small, data, tmp_path):
    other = (data[0], (data[1] + 1) % 3)
    settings = {"epochs": 60, "validation": other, "early_stopping": 4}
    whole = engine_of(small[0], optimizer=sg.Adam(0.05))
    expected = fit(whole, data, **settings)

    def until(record):
        if isinstance(record, sg.EpochRecord) and record.epoch == 2:
            raise RuntimeError("the power fails")

    folder = tmp_path / "checkpoints"
    with pytest.raises(RuntimeError, match="the power fails"):
        fit(engine_of(small[0], optimizer=sg.Adam(0.05)), data, checkpoint=folder, callback=until, **settings)
    for _ in range(2):  # the second run has nothing left to do
        rest = engine_of(small[0], optimizer=sg.Adam(0.05))
        history = fit(rest, data, checkpoint=folder, resume=True, **settings)
        assert len(history.epochs) == len(expected.epochs)
        for name, tensor in whole.state_dict().items():
            assert np.array_equal(tensor, rest.state_dict()[name])
    with pytest.raises(ValueError, match="early_stopping"):
        fit(rest, data, history=history, **settings)


def test_windows_of_a_failed_batch_are_not_kept(small, data, tmp_path):
    calls = []

    def mse(recording, targets):
        calls.append(1)
        if len(calls) == failing:
            raise RuntimeError("the power fails")
        mem = recording.mem[-1]
        return float((mem**2).mean()), sg.Adjoints(mem=2 * mem / mem.size)

    def run(**settings):
        calls.clear()
        engine = engine_of(small[0], loss=sg.Loss.custom(mse), optimizer=sg.Adam(1e-2))
        return engine, lambda: fit(engine, data, truncate=4, **settings)

    failing = 0
    whole, go = run()
    go()
    failing = 4 * 3 + 8  # in the second epoch, in the second window of its third batch
    _, go = run(checkpoint=tmp_path)
    with pytest.raises(RuntimeError, match="the power fails"):
        go()
    failing = 0
    rest, go = run(checkpoint=tmp_path, resume=True)
    go()
    assert rest.optimizer_state()["steps"] == whole.optimizer_state()["steps"] == 36
    for name, tensor in whole.state_dict().items():
        assert np.array_equal(tensor, rest.state_dict()[name])


def test_runs_that_a_callback_ends_are_kept(small, data, tmp_path):
    engine = engine_of(small[0])
    fit(engine, data, checkpoint=tmp_path, callback=lambda r: not (isinstance(r, sg.BatchRecord) and r.epoch == 1))
    rest = engine_of(small[0])
    seen = []
    fit(rest, data, checkpoint=tmp_path, resume=True, callback=seen.append)
    assert (seen[0].epoch, seen[0].batch) == (1, 1)
    with pytest.raises(ValueError, match="resume=True to go on"):
        fit(engine_of(small[0]), data, checkpoint=tmp_path)


@pytest.mark.parametrize("out", [None, object()])
def test_output_that_cannot_be_written_ends_no_run(small, out, monkeypatch):
    x = np.ones((512, 5), np.float32)

    def slow(record):
        time.sleep(0.03)

    monkeypatch.setattr(sys, "stdout", out)
    history = engine_of(small[0]).fit(x, [0] * 512, epochs=1, batch_size=32, num_steps=4, callback=slow)
    assert len(history.batches) == 16


def test_rates_that_a_callback_sets_resume(small, data, tmp_path):
    def halve(record):
        if isinstance(record, sg.EpochRecord):
            current.learning_rate *= 0.5

    current = whole = engine_of(small[0], optimizer=sg.Adam(1e-2))
    fit(whole, data, epochs=4, callback=halve)
    assert whole.optimizer.lr == 1e-2 / 16
    current = engine_of(small[0], optimizer=sg.Adam(1e-2))
    fit(current, data, epochs=2, callback=halve, checkpoint=tmp_path)
    current = engine_of(small[0], optimizer=sg.Adam(1e-2))
    fit(current, data, epochs=4, callback=halve, checkpoint=tmp_path, resume=True)
    assert current.optimizer.lr == 1e-2 / 16
    for name, tensor in whole.state_dict().items():
        assert np.array_equal(tensor, current.state_dict()[name])
    with pytest.raises(ValueError, match="python.x"):
        fit(engine_of(small[0], optimizer=sg.Adam(1e-2)), (data[0][:48], data[1][:48]), epochs=5, checkpoint=tmp_path, resume=True)


# --- threads and memory ---------------------------------------------------------------------------


def test_threads_share_an_engine(small):
    net, x, y = small
    alone, shared = engine_of(net), engine_of(net, optimizer=sg.Adam(0.0))
    expected = alone.classify(x, T)
    wrong = []

    def work():
        for _ in range(50):
            if not np.array_equal(shared.classify(x, T), expected):
                wrong.append(1)
            shared.train_step(x, y, T)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and not any(thread.is_alive() for thread in threads)
    assert shared.optimizer_state()["steps"] == 400


def within(seconds, work):
    """The answer of a call that must not hang."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    return answers[0]


def test_a_loss_of_ones_own_waits_for_nobody(small):
    """Its call holds the engine and wants the GIL, while others hold the GIL and want the engine."""
    net, x, y = small

    def slow(recording, targets):
        time.sleep(0.002)
        return 1.0, sg.Adjoints(mem=np.zeros_like(recording.mem[-1]))

    engine = engine_of(net, loss=sg.Loss.custom(slow))
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            engine.learning_rate, engine.device, engine.network, engine.state_dict(), repr(engine)
            engine.optimizer_state(), engine.accumulated_gradients(), engine.clear_gradients()
            engine.measure_gradients(False)
            engine.learning_rate = 1e-3
        return True

    asking = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for thread in asking:
        thread.start()
    within(60, lambda: [engine.train_step(x, y, 4) for _ in range(50)])
    stop.set()
    for thread in asking:
        thread.join(60)
        assert not thread.is_alive()


def test_exceptions_stay_on_their_threads(small):
    net, x, y = small

    def fails(recording, targets):
        raise KeyError("of the loss")

    engine = engine_of(net, loss=sg.Loss.custom(fails))
    seen = {"train": set(), "classify": set()}

    def work(kind, call):
        for _ in range(300):
            try:
                call()
            except Exception as error:
                seen[kind].add(type(error))

    threads = [
        threading.Thread(target=work, args=("train", lambda: engine.train_step(x, y, 4))),
        threading.Thread(target=work, args=("classify", lambda: engine.classify(x[:, :2], 4))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == {"train": {KeyError}, "classify": {sg.InvalidInputError}}


def test_a_state_is_not_held_while_python_runs(small):
    net, *_ = small
    state = net.rest(2)

    class Curious:
        def __array__(self, dtype=None, copy=None):
            assert len(state.layers) == 2 and state.batch == 2
            return np.ones((2, 8), np.float32)

    within(20, lambda: state.set_layer(0, [Curious()]))
    assert (state.layers[0][0] == 1).all()


FORKED = """
import multiprocessing, sys, numpy as np, spikegrad as sg
net = sg.Network(5, [sg.Leaky(3, beta=0.9)])
x = np.ones((64, 5), np.float32)
def child(answers):
    try:
        answers.put(str(sg.Engine(net, device="cpu").classify(x, 10).shape))
    except Exception as error:
        answers.put(f"{type(error).__name__}: {error}")
if __name__ == "__main__":
    if sys.argv[1] == "used":
        sg.Engine(net, device="cpu").classify(x, 10)
    context = multiprocessing.get_context(sys.argv[2])
    answers = context.Queue()
    process = context.Process(target=child, args=(answers,))
    process.start()
    print(answers.get(timeout=60))
    process.join()
"""


@pytest.mark.parametrize(
    "used, method, answer",
    [("used", "fork", 'DeviceError: .*"spawn"'), ("unused", "fork", "\\(64,\\)"), ("used", "spawn", "\\(64,\\)")],
)
def test_forked_processes_do_not_hang(used, method, answer, tmp_path):
    script = tmp_path / "forked.py"
    script.write_text(FORKED)
    run = subprocess.run([sys.executable, str(script), used, method], capture_output=True, text=True, timeout=120)
    assert re.match(answer, run.stdout), run.stdout + run.stderr


def test_the_gil_is_free_while_an_engine_works():
    net = sg.Network(784, [sg.Leaky(1000, beta=0.95), sg.Leaky(10, beta=0.95)])
    engine, x, y = engine_of(net), np.ones((512, 784), np.float32), np.zeros(512, int)
    ticks, done = 0, False

    def train():
        nonlocal done
        for _ in range(5):
            engine.train_step(x, y, 50)
        done = True

    thread = threading.Thread(target=train)
    thread.start()
    while not done:
        ticks += 1
        time.sleep(0.0005)
    thread.join()
    assert ticks > 20


def test_predictors_serve_many_threads(small):
    net, x, _ = small
    predictor = sg.Predictor(net)
    expected = predictor.classify(x, T)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(predictor.classify(x, T))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 16 and all(np.array_equal(answer, expected) for answer in answers)


def test_no_call_leaks(small):
    net, x, y = small
    engine = engine_of(net, loss=sg.Loss.custom(lambda r, t: (1.0, sg.Adjoints(mem=np.zeros_like(r.mem[-1])))))
    plain = engine_of(net)

    def calls(count):
        for _ in range(count):
            engine.train_step(x, y, 4)
            plain.gradients(x, y, 4)
            plain.forward(x, 4, state=plain.rest(6))
            plain.classify(x, 4)
            plain.state_dict()
            with pytest.raises(ValueError):
                plain.classify(x[:, :2], 4)

    def resident():
        gc.collect()
        with open("/proc/self/statm") as pages:
            return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    calls(500)
    tracemalloc.start()
    calls(10)
    gc.collect()
    before, traced = resident(), tracemalloc.get_traced_memory()[0]
    calls(1000)
    gc.collect()
    assert tracemalloc.get_traced_memory()[0] - traced < 100_000
    tracemalloc.stop()
    calls(9000)
    assert resident() - before < 8 << 20


def test_cycles_are_collected(small):
    class Owner:
        def __init__(self):
            self.engine = engine_of(small[0], loss=sg.Loss.custom(self.loss))

        def loss(self, recording, targets):
            return 1.0, sg.Adjoints()

    kept = [weakref.ref(Owner()) for _ in range(20)]
    gc.collect()
    assert not [owner for owner in kept if owner() is not None]


def test_nothing_is_warned_about_by_import():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        subprocess.run([sys.executable, "-W", "error", "-c", "import spikegrad"], check=True)
