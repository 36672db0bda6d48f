"""Readers of data sets."""

from __future__ import annotations

import os
from typing import Any, Optional, Tuple, Union

import numpy as np

from ._spikegrad import _load_mnist

__all__ = ["load_mnist"]

Split = Tuple["np.ndarray[Any, np.dtype[np.float32]]", "np.ndarray[Any, np.dtype[np.int64]]"]


def load_mnist(
    folder: Union[str, "os.PathLike[str]"], split: Optional[str] = None
) -> Tuple[Split, Split]:
    """The four idx files of MNIST, Fashion-MNIST, KMNIST, EMNIST or QMNIST in a folder, raw or gzipped.

    Args:
        folder: The folder.
        split: Which of several data sets, as ``"letters"`` of EMNIST.

    Returns:
        ``(x, y)`` of the training set and of the test set: images ``[N, height * width]``, ``float32`` from 0 to
        1, and classes ``[N]``.
    """
    return _load_mnist(folder, split)
