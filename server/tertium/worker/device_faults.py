"""What goes wrong while a job is computed, in words, and whether the device that computes is still there."""

from typing import Any

from tertium.errors import TertiumError
from tertium.safe_files import DISK_FULL

LOST = (
    "cuda error", "cuda driver error", "cudnn_status", "cudnn error", "cublas_status", "cufft error", "nccl error", "hip error",
    "device-side assert", "device lost", "mps backend out of memory", "command buffer execution failed", "mps error",
)  # fmt: skip
"""Words of a device that will not compute again in this process: after a sleep, a driver's reset, a broken kernel. What Metal calls
want of memory is among them, since it keeps what it has as long as the process lives."""


def told(error: Exception) -> dict[str, Any]:
    """An exception as the fields of an error."""
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
        remedy = "Use a shorter sound, or close what else uses the device; the daemon goes on."
        return {"code": "out_of_memory", "message": "There was not enough memory for this job.", "remedy": remedy}
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        remedy = "Make room on that disk and send the request again."
        return {"code": "disk_full", "message": f"The disk is full: {error}.", "remedy": remedy}
    remedy = "The daemon's log has the details; please report them."
    return {"code": "internal", "message": f"{type(error).__name__}: {error}"[:500], "remedy": remedy}


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether the computer or the device had no memory left. PyTorch has its own exception on devices and a RuntimeError on the CPU."""
    names = {kind.__name__ for kind in type(error).__mro__}
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or (
        isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
    )


def lost_the_device(error: BaseException) -> bool:
    """Whether the device can no longer be used by this process. Want of memory on CUDA is no such thing: what is kept there can be given back."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "OutOfMemoryError" in names and "mps" not in str(error).lower():
        return False
    return "AcceleratorError" in names or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in LOST)
    )
