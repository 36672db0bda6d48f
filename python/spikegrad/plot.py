"""Plots as SVG: a notebook shows what these functions return, ``save`` writes it to a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from ._spikegrad import (
    Engine,
    Network,
    _plot_accuracy,
    _plot_gradients,
    _plot_learning_rate,
    _plot_loss,
    _plot_raster,
    _plot_signals,
    _plot_traces,
)
from .recording import History, Recording, _recorded

__all__ = ["Svg", "accuracy", "gradients", "learning_rate", "loss", "raster", "signals", "traces"]


class Svg(str):
    """The text of a plot."""

    def _repr_svg_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"<SVG of {len(self)} characters>"

    def save(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Writes it to a file."""
        Path(path).write_text(self, encoding="utf-8")


def loss(history: History, label: str = "validation") -> Svg:
    """The loss of every batch, and of the validation after each epoch."""
    return Svg(_plot_loss(history, label))


def accuracy(history: History, label: str = "validation") -> Svg:
    """The accuracy of every batch by spike count, and of the validation by spike count and by membrane."""
    return Svg(_plot_accuracy(history, label))


def learning_rate(history: History) -> Svg:
    """The learning rate of every batch."""
    return Svg(_plot_learning_rate(history))


def gradients(history: History) -> Svg:
    """Each layer's gradient norm, where ``measure_gradients`` was on."""
    return Svg(_plot_gradients(history))


def signals(series: Mapping[str, Any]) -> Svg:
    """Values over the steps, ``[T]`` each, by name.

    >>> signals({"target": [0.0, 0.5, 1.0], "membrane": [0.1, 0.4, 0.9]})[:4]
    '<svg'
    """
    rows = [(name, np.asarray(values, dtype=np.float64).ravel().tolist()) for name, values in series.items()]
    return Svg(_plot_signals(rows))


def raster(
    recording: Recording,
    sample: int = 0,
    layers: Optional[Sequence[int]] = None,
    neurons: int = 100,
    image: Any = None,
    image_label: str = "",
    title: str = "",
) -> Svg:
    """The spikes of one sample.

    Args:
        recording: What ``forward`` returned.
        sample: The sample, from 0.
        layers: The layers, from 0; by default those that were recorded, the output first.
        neurons: Most neurons of a layer, spread over it.
        image: Its image, ``[height, width]`` from 0 to 1, drawn beside it.
        image_label: The text under the image.
        title: The title.
    """
    if layers is None:
        layers = [k for k in reversed(range(len(recording.spk))) if recording.spk[k] is not None]
    panels: List[Tuple[str, List[int], Any]] = []
    for layer in layers:
        spikes = _recorded(recording.spk, layer)
        total = spikes.shape[2]
        shown = _spread(total, neurons)
        count = f"{len(shown)} of {total}" if len(shown) < total else f"{total}"
        plural = "" if total == 1 else "s"
        label = f"{_name(recording, layer)}: {count} neuron{plural}"
        panels.append((label, shown, np.ascontiguousarray(spikes[:, sample, shown], dtype=np.float32)))
    drawn = None
    if image is not None:
        pixels = np.asarray(image, dtype=np.float32)
        if pixels.ndim != 2:
            raise ValueError(f"image has shape {list(pixels.shape)}; expected [height, width]")
        drawn = (pixels.ravel(), pixels.shape[0], pixels.shape[1], image_label)
    return Svg(_plot_raster(panels, drawn, title))


def traces(
    recording: Recording,
    network: Union[Network, Engine],
    layer: int = -1,
    sample: int = 0,
    neurons: Optional[Sequence[int]] = None,
    target: Optional[int] = None,
    title: str = "",
) -> Svg:
    """The membranes of one sample, with their thresholds if they have some.

    Args:
        recording: What ``forward`` returned.
        network: The network or engine, whose thresholds are drawn.
        layer: The layer, from 0; by default the output.
        sample: The sample, from 0.
        neurons: Up to 20 neurons; by default ten, spread over the layer.
        target: A neuron that is drawn too, with emphasis.
        title: The title.
    """
    mem = _recorded(recording.mem, layer)
    shown = _spread(mem.shape[2], 10) if neurons is None else list(neurons)
    if target is not None and target not in shown:
        shown = sorted([*shown, target])
    index = layer % len(recording.mem)
    network = network.network if isinstance(network, Engine) else network
    threshold = network.constants(index).get("threshold", np.zeros(0))
    each = threshold[shown] if len(threshold) > 1 else threshold
    kind = "output" if index + 1 == len(recording.mem) else "neuron"
    values = np.ascontiguousarray(mem[:, sample, shown], dtype=np.float32)
    names = [f"{kind} {n}" for n in shown]
    place = None if target is None else shown.index(target)
    return Svg(_plot_traces(values, names, each.tolist(), place, _name(recording, layer), title))


def _name(recording: Recording, layer: int) -> str:
    index = layer % len(recording.spk)
    return f"layer {index + 1} (output)" if index + 1 == len(recording.spk) else f"layer {index + 1}"


def _spread(total: int, most: int) -> List[int]:
    shown = min(total, max(most, 1))
    return [i * total // shown for i in range(shown)]
