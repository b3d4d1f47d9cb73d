"""What programs and notebooks of your own import from Classprint.

    from classprint import open_run, Recorder, adopt, record, from_predictions

Reading needs no PyTorch: it is imported only with the first name that computes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from classprint.packages import refuse_other_packages

refuse_other_packages()

from store import Run, open_run  # noqa: E402  checked first: another package of that name would fail obscurely
from store.version import VERSION  # noqa: E402

if TYPE_CHECKING:
    from compute.models.adoption import adopt
    from compute.recording.callbacks.hugging_face import HuggingFaceRecorder
    from compute.recording.callbacks.lightning import LightningRecorder
    from compute.recording.callbacks.ultralytics import record_ultralytics
    from compute.recording.predictions import from_predictions
    from compute.recording.recorder import Recorder, record

__version__ = VERSION
__all__ = [
    "HuggingFaceRecorder",
    "LightningRecorder",
    "Recorder",
    "Run",
    "adopt",
    "from_predictions",
    "open_run",
    "record",
    "record_ultralytics",
]

_COMPUTE = {
    "HuggingFaceRecorder": "compute.recording.callbacks.hugging_face",
    "LightningRecorder": "compute.recording.callbacks.lightning",
    "Recorder": "compute.recording.recorder",
    "adopt": "compute.models.adoption",
    "from_predictions": "compute.recording.predictions",
    "record": "compute.recording.recorder",
    "record_ultralytics": "compute.recording.callbacks.ultralytics",
}


def __getattr__(name: str) -> Any:
    """A name of compute, imported when it is first asked for."""
    if name not in _COMPUTE:
        raise AttributeError(f"classprint has no {name!r}. It has {', '.join(__all__)}.")
    try:
        found = globals()[name] = getattr(importlib.import_module(_COMPUTE[name]), name)
    except ModuleNotFoundError as err:
        if err.name not in ("torch", "torchvision"):
            raise
        raise ImportError(
            f"{name} needs PyTorch, and {err.name!r} is not installed. In Classprint's folder: pip install '.[compute]'"
        ) from err
    return found


def __dir__() -> list[str]:
    """The public names."""
    return __all__
