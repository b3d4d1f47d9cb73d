"""What drawn phantom images look like, clean and perturbed."""

import numpy as np

from compute.data.phantom.dataset import class_parts
from compute.recording.perturbations import perturb_array


def test_objects_stand_out_from_their_background(phantom):
    images, masks = phantom.validation.images.astype(float), phantom.validation.masks
    contrast = np.array(
        [np.abs(image[mask].mean(0) - image[~mask].mean(0)).max() for image, mask in zip(images, masks, strict=True)]
    )
    assert np.median(contrast) > 60
    assert np.mean(contrast < 12) < 0.02


def test_bgr_of_red_images_shows_blue_objects(phantom):
    validation = phantom.validation
    red = np.array([class_parts(label)[1] == "red" for label in validation.labels])
    swapped = perturb_array("bgr", validation.images[red], numbers=np.flatnonzero(red), seed=0)
    for image, mask in zip(swapped, validation.masks[red], strict=True):
        assert image[mask].mean(0).argmax() == 2


def test_blur_turns_striped_into_plain(phantom):
    validation = phantom.validation
    detail = {}
    for name in ("clean", "blur5"):
        gray = perturb_array(name, validation.images, numbers=range(len(validation)), seed=0).astype(float).mean(-1)
        detail[name] = np.array([_detail(image, mask) for image, mask in zip(gray, validation.masks, strict=True)])
    striped = np.array([class_parts(label)[2] == "striped" for label in validation.labels])
    assert np.median(detail["clean"][striped]) > 4 * np.median(detail["clean"][~striped])
    assert np.median(detail["blur5"][striped]) < 0.25 * np.median(detail["clean"][striped])


def _detail(image: np.ndarray, mask: np.ndarray) -> float:
    """Mean difference between pixels two apart, well inside of the object."""
    inside = mask.copy()
    for axis in (0, 1):
        for step in (-2, 2):
            inside &= np.roll(mask, step, axis)
    differences = np.hypot(image - np.roll(image, 2, 0), image - np.roll(image, 2, 1))
    return float(differences[inside].mean()) if inside.any() else 0.0
