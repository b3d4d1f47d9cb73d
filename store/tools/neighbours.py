"""What other tools read of a run: cleanlab, Dataset Cartography, Spotlight and FiftyOne, and any reader of HDF5.

Each function writes a new folder or file and returns the paths; one that is there already is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from store.format.hdf5_file import atomic_path
from store.read.run import Run
from store.tools.csv_table import to_csv
from store.tools.new_place import local_folder, unused

BLOCK = 1024  # images in memory at once


def export_cleanlab(run: Run, folder: str | Path, *, epoch: int = -1, variant: str = "clean") -> list[Path]:
    """pred_probs.npy (N, C) float32 and labels.npy (N,) int64: `find_label_issues(labels, pred_probs)` reads them.

    The images were not trained on, so the probabilities are out of sample, as cleanlab asks for.
    """
    arrays: dict[str, np.ndarray] = {
        "pred_probs": run.probabilities(epoch=epoch, variant=variant),
        "labels": run.labels,
    }
    targets = {name: unused(local_folder(folder) / f"{name}.npy") for name in arrays}
    for name, path in targets.items():
        with atomic_path(path) as part, part.open("wb") as file:
            np.save(file, arrays[name], allow_pickle=False)
    return list(targets.values())


def export_cartography(run: Run, folder: str | Path, *, variant: str = "clean") -> list[Path]:
    """training_dynamics/dynamics_epoch_0.jsonl, ..., a line per image: guid, logits_epoch_0, gold.

    The names are counted from 0 over the run's epochs without the untrained network, as Dataset Cartography expects
    (Swayamdipta et al. 2020; its repository's README). They are of the validation images.
    """
    target = unused(local_folder(folder) / "training_dynamics")
    epochs, labels = [epoch for epoch in run.epochs if epoch > 0], run.labels.tolist()
    written = [target / f"dynamics_epoch_{number}.jsonl" for number in range(len(epochs))]
    for number, (epoch, path) in enumerate(zip(epochs, written, strict=True)):
        with atomic_path(path) as part, part.open("w", encoding="utf-8") as file:
            for start in range(0, len(labels), BLOCK):
                logits = run.logits(epoch=epoch, variant=variant, images=slice(start, start + BLOCK))
                for image, row in enumerate(logits.tolist(), start):
                    line = {"guid": image, f"logits_epoch_{number}": row, "gold": labels[image]}
                    file.write(json.dumps(line) + "\n")
    return written


def export_thumbnails(run: Run, folder: str | Path, *, epoch: int = -1, variant: str = "clean") -> list[Path]:
    """images/000000.png, ... and labels.csv with a row per image: filepath, and the columns of `Run.predictions`.

    Spotlight shows the table (`spotlight.show("labels.csv", dtype={"filepath": spotlight.Image})`); FiftyOne imports
    the folder as a `CSVDataset`.
    """
    place = local_folder(folder)
    images, target = unused(place / "images"), unused(place / "labels.csv")
    table = run.predictions(epoch=epoch, variant=variant)
    table.insert(0, "filepath", [f"images/{image:06d}.png" for image in table["image"]])
    for start in range(0, len(table), BLOCK):
        for image, pixels in enumerate(run.pixels(slice(start, start + BLOCK), variant=variant), start):
            with atomic_path(images / f"{image:06d}.png") as part, part.open("wb") as file:
                Image.fromarray(pixels).save(file, "PNG")
    with atomic_path(target) as part, part.open("w", encoding="utf-8", newline="") as file:
        to_csv(table, file)
    return [target, images]


def export_gzip(run: Run, folder: str | Path, *, epoch: int = -1, variant: str = "clean") -> list[Path]:
    """record.h5: pixels, labels, names, probabilities and decoded maps (N, C, H, W) float32, compressed with gzip,
    which every HDF5 library reads without a plugin. Maps of a signed run are relative to `mean_maps`.
    """
    path, count = unused(local_folder(folder) / "record.h5"), len(run.labels)
    at: dict[str, Any] = {"epoch": run.epoch_number(epoch), "variant": variant}
    shapes: dict[str, tuple[int, ...]] = {
        "pixels": (*run.image_shape, 3),
        "probabilities": (len(run.classes),),
        "maps": (len(run.classes), *run.map_shape),
        "mean_maps": run.map_shape,
    }
    if not run.has_maps:
        shapes = {name: shape for name, shape in shapes.items() if "maps" not in name}
    run.read(at["epoch"], lambda data: None)
    run.variant_index(variant)
    with atomic_path(path) as part, h5py.File(part, "w") as file:
        file.attrs.update(run=run.name, run_id=run.id, **at)
        file["labels"] = run.labels
        for name in ("image_names", "class_names"):
            file[name] = list(run.image_names if name == "image_names" else run.classes["name"])
        for name, shape in shapes.items():
            kind = np.uint8 if name == "pixels" else np.float32
            packed = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
            array = file.create_dataset(name, (count, *shape), kind, chunks=(min(count, 16), *shape), **packed)
            for start in range(0, count, BLOCK):
                chosen = slice(start, start + BLOCK)
                array[chosen] = (
                    run.pixels(chosen, variant) if name == "pixels" else getattr(run, name)(images=chosen, **at)
                )
    return [path]


EXPORTS: dict[str, Callable[..., list[Path]]] = {
    "cleanlab": export_cleanlab,
    "cartography": export_cartography,
    "thumbnails": export_thumbnails,
    "gzip": export_gzip,
}
