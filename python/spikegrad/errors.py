"""The exceptions that this package raises, with the library's messages."""

__all__ = [
    "DeviceError",
    "Error",
    "FileError",
    "FormatError",
    "InvalidInputError",
    "NonFiniteError",
    "OutOfMemoryError",
    "UnsupportedError",
]


class Error(Exception):
    """The base of all exceptions of this package."""


class InvalidInputError(Error, ValueError):
    """A setting out of its range, an array of the wrong shape, or a target that is no class of the network."""


class NonFiniteError(InvalidInputError):
    """NaN or infinity where numbers must be finite: in an input, a loss, a gradient or a parameter."""


class FormatError(Error, ValueError):
    """A file that does not have the expected format, or whose tensors do not fit the network."""


class FileError(Error, OSError):
    """A file that cannot be read or written; ``errno`` and ``filename`` say which and why."""

    def __str__(self) -> str:
        return str(self.args[0])


class DeviceError(Error, RuntimeError):
    """A device that is not available, or has failed."""


class UnsupportedError(Error, NotImplementedError):
    """Something that a part of the library does not support."""


class OutOfMemoryError(Error, MemoryError):
    """Arrays that do not fit into memory."""
