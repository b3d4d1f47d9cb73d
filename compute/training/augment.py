"""Augmentation of a whole batch at once on the device, and the conversion of uint8 images to the network's input."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from compute.config.settings import AugmentationSettings
from compute.runs.device import to_device


class Normaliser:
    """uint8 images (N, h, w, 3) -> float (N, 3, h, w), channels last in memory, (value / 255 - mean) / sd.

    With one mean and one sd the network sees gray images (N, 1, h, w): the first channel alone.
    """

    def __init__(self, mean: Sequence[float], sd: Sequence[float], device: torch.device) -> None:
        self.mean = 255 * torch.tensor(mean, device=device).view(1, -1, 1, 1)
        self.sd = 255 * torch.tensor(sd, device=device).view(1, -1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """The network's input from uint8 images."""
        return self.normalise(images.permute(0, 3, 1, 2)[:, : self.mean.shape[1]].float())

    def normalise(self, values: Tensor) -> Tensor:
        """The network's input from values 0..255 (N, 3, h, w)."""
        return ((values - self.mean) / self.sd).contiguous(memory_format=torch.channels_last)


class RandomNumbers:
    """Uniform numbers for this process's part of a batch.

    They are drawn on the CPU for the whole batch, so a seed gives the same on every device and with any number of
    processes.
    """

    def __init__(self, generator: torch.Generator, batch: int, part: range | None = None) -> None:
        self.generator = generator
        self.batch = batch
        self.part = part if part is not None else range(batch)

    def uniform(self) -> Tensor:
        """One number in [0, 1) for each image of the part: (n,) float32."""
        # for the whole batch, though a part is used: each process draws as many numbers as a single one would
        return torch.rand(self.batch, generator=self.generator)[self.part.start : self.part.stop]


class Augmenter:
    """Random rotation, mirror image, shift, zoom, brightness and erased square, drawn separately for each image."""

    def __init__(self, settings: AugmentationSettings, normaliser: Normaliser) -> None:
        self.settings = settings
        self.normaliser = normaliser

    def __call__(self, images: Tensor, random: RandomNumbers) -> Tensor:
        """The network's input (N, 3, h, w) from uint8 images (N, h, w, 3)."""
        settings = self.settings
        values = images.permute(0, 3, 1, 2).float()
        if settings.rotation or settings.shift or settings.zoom:  # one resampling, so that an image is blurred once
            values = self._warped(values.contiguous(), random)
        elif settings.flip:
            mirrored = random.uniform() < settings.flip
            values = torch.where(to_device(mirrored, values.device).view(-1, 1, 1, 1), values.flip(3), values)
        if settings.brightness:
            factor = 1 + settings.brightness * (2 * random.uniform() - 1)
            values = (values * to_device(factor, values.device).view(-1, 1, 1, 1)).clamp(0, 255)
        x = self.normaliser.normalise(values)
        return self._erased(x, random) if settings.erase else x

    def _warped(self, values: Tensor, random: RandomNumbers) -> Tensor:
        """Rotated, mirrored, shifted and zoomed in one resampling."""
        count, _, height, width = values.shape
        rows = to_device(affine_rows(self.settings, random, (height, width)), values.device)
        x = ((2 * torch.arange(width, device=values.device) + 1) / width - 1).view(1, 1, width)
        y = ((2 * torch.arange(height, device=values.device) + 1) / height - 1).view(1, height, 1)
        rows = rows.view(count, 6, 1, 1)
        grid = torch.stack(
            [rows[:, 0] * x + rows[:, 1] * y + rows[:, 2], rows[:, 3] * x + rows[:, 4] * y + rows[:, 5]], -1
        )
        mode, border = self.settings.interpolation, self.settings.border
        return functional.grid_sample(values, grid, mode=mode, padding_mode=border, align_corners=False)

    def _erased(self, x: Tensor, random: RandomNumbers) -> Tensor:
        """One square of each image set to 0, the mean; its centre anywhere in the image."""
        height, width = x.shape[2:]
        half = self.settings.erase * max(height, width) / 2
        top = to_device(random.uniform() * height, x.device).view(-1, 1, 1)
        left = to_device(random.uniform() * width, x.device).view(-1, 1, 1)
        rows = (torch.arange(height, device=x.device).view(1, -1, 1) - top).abs() < half
        columns = (torch.arange(width, device=x.device).view(1, 1, -1) - left).abs() < half
        return x.masked_fill((rows & columns).unsqueeze(1), 0.0)


def affine_rows(settings: AugmentationSettings, random: RandomNumbers, shape: tuple[int, int]) -> Tensor:
    """(n, 6) float32: for each image the matrix (a b c; d e f) from output to input in grid_sample's -1..1.

    In pixels: rotation by the drawn angle about the centre, divided by the zoom, mirrored where drawn, shifted.
    """
    height, width = shape
    angle = math.radians(settings.rotation) * (2 * random.uniform() - 1)
    mirror = torch.where(random.uniform() < settings.flip, -1.0, 1.0)
    zoom = 1 + settings.zoom * (2 * random.uniform() - 1)
    across, down = (2 * settings.shift * (2 * random.uniform() - 1) for _ in range(2))
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    ratio = height / width
    return torch.stack([mirror * cosine, mirror * -sine * ratio, across, sine / ratio, cosine, down], 1)
