"""torchvision's usual transforms, and the same images prepared without them."""

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms
from torchvision.models import ResNet50_Weights
from torchvision.transforms import v2

from compute.data.decode import Preparation, prepare_image
from compute.data.standard_transform import standard_preparation

BICUBIC = transforms.InterpolationMode.BICUBIC
NORMALISE = transforms.Normalize((0.5,) * 3, (0.2,) * 3)
USUAL = {
    "crop": transforms.Compose([transforms.Resize(40), transforms.CenterCrop(32), transforms.ToTensor(), NORMALISE]),
    "whole": transforms.Compose([transforms.Resize((24, 40), BICUBIC), transforms.ToTensor()]),
    "nested": transforms.Compose([transforms.Compose([transforms.Resize([40]), transforms.CenterCrop((32, 36))])]),
    "v2": v2.Compose([v2.Resize(40), v2.CenterCrop(32), v2.ToImage()]),
    "preset": ResNet50_Weights.IMAGENET1K_V2.transforms(crop_size=32, resize_size=40),
}
PREPARED = {
    "crop": Preparation((32, 32), 40, interpolation="bilinear"),
    "whole": Preparation((24, 40), crop=False),
    "nested": Preparation((32, 36), 40, interpolation="bilinear"),
    "v2": Preparation((32, 32), 40, interpolation="bilinear"),
    "preset": Preparation((32, 32), 40, interpolation="bilinear"),
}


@pytest.mark.parametrize("name", USUAL)
def test_a_usual_transform_and_its_preparation_give_the_same_pixels(name):
    assert standard_preparation(USUAL[name]) == PREPARED[name]
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    made = USUAL[name](image)
    if name == "preset":
        made = made.permute(1, 2, 0).numpy() * (0.229, 0.224, 0.225) + (0.485, 0.456, 0.406)
    elif name == "crop":
        made = made.permute(1, 2, 0).numpy() * 0.2 + 0.5
    elif name in ("whole", "v2"):
        made = made.permute(1, 2, 0).numpy()
    made = np.asarray(made)
    expected = np.rint(made * 255).astype(np.uint8) if made.dtype != np.uint8 else made
    np.testing.assert_array_equal(prepare_image(image, PREPARED[name]), expected)


class OwnCrop(transforms.CenterCrop):
    pass


@pytest.mark.parametrize(
    "transform",
    [
        None,
        str.upper,
        transforms.Resize(40),
        transforms.Compose([transforms.ToTensor(), transforms.Resize(40), transforms.CenterCrop(32)]),
        transforms.Compose([transforms.Resize(40), transforms.CenterCrop(32), transforms.Grayscale()]),
        transforms.Compose([transforms.Resize(40), OwnCrop(32)]),
        transforms.Compose([transforms.Resize(20), transforms.CenterCrop(32)]),
        transforms.Compose([transforms.Resize((40, 40)), transforms.CenterCrop(32)]),
        transforms.Compose([transforms.Resize(40, transforms.InterpolationMode.NEAREST), transforms.CenterCrop(32)]),
    ],
)
def test_all_others_stay_what_they_are(transform):
    assert standard_preparation(transform) is None
