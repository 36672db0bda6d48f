"""MNIST from Python trains the bits of the Rust example."""

import os
from pathlib import Path

import pytest

import spikegrad as sg

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_bits_of_the_example(tmp_path):
    """`SPIKEGRAD_EXAMPLE_MODEL` names the `model.safetensors` of
    `cargo run --release --example mnist -- --epochs N`, `SPIKEGRAD_EXAMPLE_EPOCHS` is N."""
    expected = os.environ.get("SPIKEGRAD_EXAMPLE_MODEL")
    if expected is None:
        pytest.skip("SPIKEGRAD_EXAMPLE_MODEL does not name a model of the Rust example")
    (x, y), test = sg.datasets.load_mnist(ROOT / "examples" / "data" / "mnist")
    net = sg.Network(784, [sg.Leaky(1000, beta=0.95), sg.Leaky(10, beta=0.95)], seed=0)
    engine = sg.Engine(net, sg.CrossEntropyMembrane(), sg.Adam(5e-4), device="cpu")
    epochs = int(os.environ.get("SPIKEGRAD_EXAMPLE_EPOCHS", "5"))
    engine.fit(x, y, epochs=epochs, num_steps=25, validation=test, progress=False)
    sg.save(engine, tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").read_bytes() == Path(expected).read_bytes()
