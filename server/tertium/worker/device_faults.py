"""Errors during a job, described for the user, and the detection of a device that is lost or out of memory."""

from typing import Any

from tertium.errors import TertiumError
from tertium.safe_files import DISK_FULL

LOST = (
    "cuda error", "cuda driver error", "cudnn_status", "cudnn error", "cublas_status", "cufft error", "nccl error", "hip error",
    "device-side assert", "device lost", "mps backend out of memory", "command buffer execution failed", "mps error",
)  # fmt: skip
"""Parts of error messages after which a device cannot be used again in this process, as after a suspend, a driver
reset or a failed kernel. Metal's out-of-memory error is among them, since Metal does not release memory before the
process ends."""


def described(error: Exception) -> dict[str, Any]:
    """Return an exception as the fields of the protocol's error."""
    if isinstance(error, TertiumError):
        value = error.value if isinstance(error.value, int | float | str | None) else str(error.value)
        return {
            "code": error.code,
            "message": " ".join([error.message, *getattr(error, "__notes__", ())]),
            "field": error.field,
            "value": value,
            "remedy": error.remedy,
        }
    if ran_out_of_memory(error):
        remedy = "Use a shorter sound, or close other programs that use the device. The daemon keeps running."
        return {"code": "out_of_memory", "message": "There was not enough memory for this job.", "remedy": remedy}
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        remedy = "Make room on that disk and send the request again."
        return {"code": "disk_full", "message": f"The disk is full: {error}.", "remedy": remedy}
    remedy = "The daemon's log has the details; please report them."
    return {"code": "internal", "message": f"{type(error).__name__}: {error}"[:500], "remedy": remedy}


def ran_out_of_memory(error: BaseException) -> bool:
    """Return whether the computer or the device ran out of memory.

    PyTorch raises its own exception on devices, and RuntimeError on the CPU.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or (
        isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
    )


def lost_the_device(error: BaseException) -> bool:
    """Return whether the device can no longer be used by this process.

    Running out of memory on CUDA does not count: memory can be freed there.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    if "OutOfMemoryError" in names and "mps" not in str(error).lower():
        return False
    return "AcceleratorError" in names or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in LOST)
    )
