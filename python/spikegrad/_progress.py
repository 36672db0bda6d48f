"""The lines that ``fit`` prints."""

from __future__ import annotations

import sys

from .recording import EpochRecord


class Progress:
    """Prints a line for each epoch, and on a terminal the present batch. Output that cannot be written is no reason
    to end a run."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.width = len(str(epochs))
        self.shown = 0

    def batch(self, epoch: int, batch: int, batches: int, loss: float) -> None:
        """After a batch, now and then."""
        is_terminal = getattr(sys.stdout, "isatty", None)
        if is_terminal is not None and is_terminal():
            line = f"epoch {epoch + 1:>{self.width}}/{self.epochs}  batch {batch}/{batches}  loss {loss:.4g}"
            self._clear()
            self._write(line)
            self.shown = len(line)

    def epoch(self, record: EpochRecord) -> None:
        """After an epoch."""
        self._clear()
        line = f"epoch {record.epoch + 1:>{self.width}}/{self.epochs}  {record.seconds:.1f} s  loss {record.train_loss:.4f}"
        if record.validation is not None:
            line += f"  validation: loss {record.validation.loss:.4f}"
            count, membrane = record.validation.accuracy_spike_count, record.validation.accuracy_membrane
            if count > 0 or membrane > 0:
                line += f", accuracy {count:.2%} by spike count, {membrane:.2%} by membrane"
        self._write(line + "\n")

    def close(self) -> None:
        """At the end of the run."""
        self._clear()

    def _clear(self) -> None:
        if self.shown:
            self._write("\r" + " " * self.shown + "\r")
            self.shown = 0

    def _write(self, text: str) -> None:
        try:
            print(text, end="", flush=True)
        except (AttributeError, OSError, ValueError):
            pass
