"""A run as an xarray.Dataset, for selections by name and arithmetic along named axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from store.format.schema import IMAGE_COLUMNS

if TYPE_CHECKING:
    import xarray

    from store.read.run import ClassSelection, Run, Selection


def to_xarray(
    run: Run,
    *,
    epochs: Sequence[int] | None = None,
    variants: Sequence[str] | None = None,
    images: Selection = None,
    classes: ClassSelection = None,
    maps: bool = False,
) -> xarray.Dataset:
    """What was recorded as labelled arrays in memory.

    Args:
        epochs, variants: which, None for all; epochs may count from the end.
        images, classes: as in `Run.maps`.
        maps: also the probabilities (epoch, variant, image, class) and the class maps (..., y, x), float32. 10,000
            images of 200 classes with 8×8 maps are 0.5 GB for each epoch and variant.

    Returns:
        A column of every image over (epoch, variant, image), such as prediction and confidence; top5 and
        top5_probability have the axis `rank` (1 = most probable). Coordinates: epoch, variant, image, name and label of
        the images, class (the names), class_id.

    Raises:
        ImportError: xarray is not installed.
        NotInRun: something that was chosen is not in the run.
    """
    try:
        import xarray
    except ImportError as err:
        raise ImportError("to_xarray needs xarray, which is not installed. Run: pip install xarray") from err
    rows, columns = run.image_rows(images), run.class_rows(classes)
    columns = np.arange(len(run.classes)) if columns is None else columns
    chosen = list(run.epochs) if epochs is None else [run.epoch_number(epoch) for epoch in epochs]
    named = list(run.variants) if variants is None else list(variants)
    axes, content = ("epoch", "variant", "image"), {}

    def stacked(read: Any) -> np.ndarray:
        return np.stack([np.stack([read(epoch=epoch, variant=variant) for variant in named]) for epoch in chosen])

    for field in IMAGE_COLUMNS:
        values = stacked(lambda field=field, **at: run.column(field.name, **at)[rows])
        content[field.name] = ((*axes, "rank")[: values.ndim], values)
    if maps:
        which: dict[str, Any] = {"images": rows, "classes": columns}
        content["probabilities"] = ((*axes, "class"), stacked(lambda **at: run.probabilities(**at, **which)))
        content["maps"] = ((*axes, "class", "y", "x"), stacked(lambda **at: run.maps(**at, **which)))
    coordinates = {"epoch": chosen, "variant": named, **_coordinates(run, rows, columns)}
    coordinates["rank"] = np.arange(1, 1 + content["top5"][1].shape[-1])
    return xarray.Dataset(content, coordinates, {"run": run.name, "identity": run.id})


def _coordinates(run: Run, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> dict[str, Any]:
    """Names and labels of the images, names and ids of the classes."""
    return {
        "image": rows,
        "name": ("image", np.array(run.image_names, dtype=object)[rows]),
        "label": ("image", run.labels[rows]),
        "class": run.classes["name"].to_numpy(dtype=object)[columns],
        "class_id": ("class", run.classes["id"].to_numpy(dtype=object)[columns]),
    }
