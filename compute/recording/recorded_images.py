"""The validation images of a run as it recorded them: what the network is run on, in every epoch the same bytes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compute.data.dataset import ImageSet
from compute.data.plausibility import image_notes
from compute.runs.device import has_room, to_device
from store import Run


class RecordedImages:
    """One process's part of a run's images on the device, variant by variant.

    They are read from run.h5: that takes as long as perturbing them again (10 ms for 250 images of 64 pixels), needs
    no memory, and a set of any size is streamed in this way.

    Args:
        run: where the images are.
        part: consecutive images of the run.
        device: where the network runs. A GPU with room for all of them keeps them.
    """

    def __init__(self, run: Run, part: range, device: torch.device) -> None:
        self.run, self.part, self.device = run, part, device
        self.labels = torch.from_numpy(run.labels[part.start : part.stop].copy()).to(device)
        height, width = run.image_shape
        self._keeps = has_room(device, len(run.variants) * len(part) * height * width * 3)
        self._kept: dict[tuple[str, int, int], Tensor] = {}

    def __len__(self) -> int:
        return len(self.part)

    @property
    def variants(self) -> tuple[str, ...]:
        """The run's variants, "clean" first."""
        return self.run.variants

    def batch(self, variant: str, rows: slice) -> Tensor:
        """uint8 (n, h, w, 3): rows of the part, counted from 0."""
        key = (variant, rows.start, rows.stop)
        if key not in self._kept:
            pixels = self.run.pixels(range(self.part.start + rows.start, self.part.start + rows.stop), variant)
            images = to_device(torch.from_numpy(pixels), self.device)
            if not self._keeps:
                return images
            self._kept[key] = images
        return self._kept[key]


def recorded_image_notes(run: Run) -> tuple[str, ...]:
    """What is odd about the clean images of a run, in sentences; see `image_notes`."""
    images = ImageSet(_CleanPixels(run), run.labels, run.image_names, digests=run.image_sha256())  # type: ignore[arg-type]
    return image_notes(None, images, run.description.classes)


class _CleanPixels:
    """The clean images of a run, indexed as an array (N, h, w, 3) by rows and steps; only these are read."""

    def __init__(self, run: Run) -> None:
        self.run, self.shape = run, (len(run.labels), *run.image_shape, 3)

    def __getitem__(self, index: tuple[NDArray[np.int64], slice, slice]) -> NDArray[np.uint8]:
        rows, y, x = index
        return self.run.pixels(rows)[:, y, x]
