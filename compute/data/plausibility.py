"""Do the images look as their owner believes? What is odd about them is said in the plan, with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compute.data.dataset import ImageSet, image_digests, spread
from compute.data.decode import OF_8_BITS, STRETCHED, WHITE, Preparation, open_image, top_level
from compute.errors import BadImage
from store.format.description import ClassInfo
from store.rates import percent

_DEPTHS = tuple(2**bits - 1 for bits in (8, 10, 12, 14))  # of cameras and scanners whose files have 16 bits
_DEEP_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".pgm", ".pnm", ".jp2", ".j2k", ".jpx"})
_LOOKED_AT = 64  # files whose depth is looked at before any is decoded
_SAMPLE = 500  # images whose pixels are looked at
_SAMPLE_SIDE = 32  # pixels of each, about, across the shorter side
_UNEVEN = 10  # times as many images as another class has
_CROPPED = 0.25  # share of the area that may be cut off without a word


def white_level(paths: Sequence[Path]) -> int:
    """The level that is white in the 16-bit gray files of a set: 65535, unless most files are such and none uses it.

    A camera with 12 bits writes levels up to 4095 into 16-bit files, which would be shown nearly black.
    """
    candidates = [path for path in paths if path.suffix.lower() in _DEEP_SUFFIXES]
    if 2 * len(candidates) < len(paths):
        return WHITE
    rows = spread(len(candidates), _LOOKED_AT)
    levels = [level for row in rows if (level := _top_level(candidates[row])) >= 0]
    if 2 * len(levels) < len(rows):
        return WHITE
    return next((depth for depth in _DEPTHS if max(levels) <= depth), WHITE)


def _top_level(path: Path) -> int:
    """The highest level of a gray file, see `top_level`; one that can't be read counts as one of 8 bits."""
    try:
        with open_image(path.read_bytes(), str(path)) as image:
            return top_level(image)
    except (BadImage, OSError):  # decoding all files names it
        return OF_8_BITS


def file_notes(facts: np.ndarray, preparation: Preparation) -> tuple[str, ...]:
    """What is odd about the files: levels, crop and size.

    Args:
        facts: int (N, 3), width, height and top level of each file, see `DecodedImage`.
    """
    levels = facts[:, 2]
    return (
        *_depth_notes(levels, preparation.white_level),
        *_stretch_notes(levels),
        *_shape_notes(facts[:, :2], preparation),
    )


def _depth_notes(levels: np.ndarray, white: int) -> list[str]:
    deep = levels[levels >= 0]
    if not len(deep):
        return []
    shown = f"{len(deep):,} gray files have 16 bits, but no level above {deep.max():,}"
    if 0 < white < WHITE:
        brighter = int((deep > white).sum())
        if brighter:
            shown = (
                f"{brighter:,} of {len(deep):,} gray files with 16 bits have levels above {white:,}, which become white"
            )
        return [f"{shown}: {white:,} is taken as white. Choose another level with --set data.white_level={WHITE}."]
    fitting = next((depth for depth in _DEPTHS if deep.max() <= depth), None)
    return [] if fitting is None else [f"{shown}: they become nearly black. Set data.white_level={fitting}."]


def _stretch_notes(levels: np.ndarray) -> list[str]:
    stretched = int((levels == STRETCHED).sum())
    if not stretched:
        return []
    return [
        f"{stretched:,} of {len(levels):,} files have levels that are floats, negative or above {WHITE:,}. Each is "
        "stretched over its own range, so brightness can't be compared between images: convert all of them to 8 or 16 "
        "bits to keep it."
    ]


def _shape_notes(sizes: np.ndarray, preparation: Preparation) -> list[str]:
    if not len(sizes):
        return []
    kinds, counts = np.unique(sizes, axis=0, return_counts=True)
    places = [preparation.placement(int(width), int(height)) for width, height in kinds]
    width, height = (int(each) for each in np.median(sizes, axis=0))
    size, notes = "×".join(map(str, preparation.size)), []
    cropped = float(np.average([place.share_cropped for place in places], weights=counts))
    if cropped > _CROPPED:
        notes.append(
            f"Cutting out the centre drops {percent(cropped, 0)} of an image on average (median {width}×{height} "
            "pixels). Keep all of it with data.crop=false, or its shape with data.size=[height, width] "
            "(compute record: --resize or --crop HEIGHT WIDTH)."
        )
    enlarged = float(np.average([min(place.scale) > 2 for place in places], weights=counts))
    if enlarged > 0.5:
        notes.append(
            f"{percent(enlarged, 0)} of the images are enlarged more than twice, to {size} (median {width}×{height} "
            "pixels). A smaller data.size (compute record: --crop) says the same in less time."
        )
    return notes


def image_notes(train: ImageSet | None, validation: ImageSet, classes: Sequence[ClassInfo]) -> tuple[str, ...]:
    """What is odd about the prepared images: levels, colours, repetitions, and how many each class has."""
    splits = {"training": train, "validation": validation}
    given = {name: split for name, split in splits.items() if split is not None and len(split)}
    notes = _pixel_notes(list(given.values())) if given else []
    notes += _repetition_notes(given)
    for name, split in given.items():
        counts = np.bincount(split.labels, minlength=len(classes))
        few = [label for label in np.argsort(counts, kind="stable") if counts[label] * _UNEVEN <= counts.max()]
        if few:
            shown = ", ".join(f"'{classes[label].name}' ({counts[label]:,})" for label in few[:5])
            shown += f" and {len(few) - 5} more" if len(few) > 5 else ""
            notes.append(
                f"Some classes have few {name} images: {shown}; '{classes[int(counts.argmax())].name}' has "
                f"{counts.max():,}. Read the balanced accuracy."
            )
    return tuple(notes)


def _pixel_notes(splits: Sequence[ImageSet]) -> list[str]:
    """Levels and colours of a sample, spread evenly over all images."""
    # Every few pixels are enough, and a sample of whole images of 224 pixels would take a gigabyte as floats.
    step = max(1, min(splits[0].images.shape[1:3]) // _SAMPLE_SIDE)
    sample = np.concatenate(
        [split.images[spread(len(split), _SAMPLE // len(splits)), ::step, ::step] for split in splits]
    )
    low, high = (int(each) for each in np.percentile(sample, (0.1, 99.9)))
    notes, levels = [], f"The images use the levels {low} to {high} of 0 to 255"
    if high < 64 or low > 191:
        notes.append(f"{levels}: they are nearly {'black' if high < 64 else 'white'}. Check how they were exported.")
    elif high - low < 32:
        notes.append(f"{levels}: they have hardly any contrast. Check how they were exported.")
    if len(sample) > 1 and float(sample.std(axis=0).mean()) < 1:
        notes.append("All images look alike: a pixel hardly differs between them. Check that they are the right files.")
    if (sample == sample[..., :1]).all():
        notes.append("All images are gray: variants that change colours change nothing.")
    return notes


def _repetition_notes(splits: dict[str, ImageSet]) -> list[str]:
    """Images that occur more than once, by their pixels: within a split, in both, and under several classes."""
    digests = {
        name: _as_keys(image_digests(split.images) if split.digests is None else split.digests)
        for name, split in splits.items()
    }
    notes = []
    for name, keys in digests.items():
        repeated = len(keys) - len(np.unique(keys))
        if repeated:
            first = int(np.setdiff1d(np.arange(len(keys)), np.unique(keys, return_index=True)[1])[0])
            notes.append(
                f"{repeated:,} of {len(keys):,} {name} images repeat another one, for instance "
                f"'{splits[name].names[first]}'."
            )
    if len(digests) == 2:
        both = np.flatnonzero(np.isin(digests["validation"], digests["training"]))
        if len(both):
            notes.append(
                f"{len(both):,} of {len(digests['validation']):,} validation images are also training images, for "
                f"instance '{splits['validation'].names[both[0]]}': the accuracy on them says nothing. Remove them "
                "from one of the two."
            )
    keys = np.concatenate(list(digests.values())) if digests else np.empty(0, np.uint8)
    labels = np.concatenate([split.labels for split in splits.values()]) if digests else np.empty(0, np.int64)
    pairs = np.unique(np.rec.fromarrays([keys, labels]))
    contradictory = len(pairs) - len(np.unique(keys))
    if contradictory:
        notes.append(
            f"Images that occur in more than one class, of whose labels at most one is right: {contradictory:,}."
        )
    return notes


def _as_keys(digests: np.ndarray) -> np.ndarray:
    """Digests uint8 (N, 32) as an array (N,) that can be sorted: 8 bytes tell images apart."""
    return np.ascontiguousarray(digests[:, :8]).view("<u8").ravel()
