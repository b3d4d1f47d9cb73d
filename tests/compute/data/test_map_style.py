"""Data sets of other libraries as images that can be recorded, and what is refused before anything is."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset, TensorDataset
from torchvision import datasets as torchvision_datasets
from torchvision import transforms

from compute.data.map_style import MapStyleImages, Normalisation
from compute.errors import BadImage, BadLayout, BadOption

MEAN, SD = (0.48, 0.45, 0.4), (0.23, 0.22, 0.25)
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 8, 3), np.uint8)
LABELS = (2, 0, 1, 0, 2, 1)
ORDER = [1, 3, 2, 5, 0, 4]  # sorted by label


class Pairs:
    """Image and label by number; `convert` makes the image of its bytes."""

    def __init__(self, convert=lambda image: image, labels=LABELS) -> None:
        self.convert, self.given = convert, labels

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, index: int):
        return self.convert(PIXELS[index]), self.given[index]


def tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)


from_image = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, SD)])


def normalised(image):
    return from_image(Image.fromarray(image))


@pytest.mark.parametrize(
    "convert",
    [
        lambda image: image,
        Image.fromarray,
        tensor,
        lambda image: tensor(image).float() / 255,
        lambda image: image.astype(np.float32) / 255,
        normalised,
    ],
    ids=["bytes", "PIL", "tensor of bytes", "tensor 0..1", "array 0..1", "normalised tensor"],
)
def test_images_of_every_form_become_the_same_bytes_sorted_by_class(convert):
    images = MapStyleImages(Pairs(convert), Normalisation(MEAN, SD))
    assert images.labels.tolist() == [0, 0, 1, 1, 2, 2] and images.image_shape == (9, 8)
    assert np.array_equal(images[0:6], PIXELS[ORDER])
    assert np.array_equal(images[2:4], PIXELS[ORDER[2:4]])
    assert images.names == tuple(f"{row}" for row in ORDER)
    assert [info.name for info in images.classes(3)] == ["0", "1", "2"]


def test_gray_images_have_one_channel_and_are_shown_in_three():
    images = MapStyleImages(Pairs(lambda image: tensor(image)[:1].float() / 255))
    assert images.channels == 1 and images.normalisation == Normalisation((0.0,), (1.0,))
    assert np.array_equal(images[0:6], np.repeat(PIXELS[ORDER][..., :1], 3, axis=3))
    flat = MapStyleImages(Pairs(lambda image: image[..., 0]))
    assert np.array_equal(flat[0:6], images[0:6])


def test_a_loader_a_subset_and_a_tensor_data_set_are_data_sets_too():
    data = TensorDataset(torch.from_numpy(PIXELS).permute(0, 3, 1, 2), torch.tensor(LABELS))
    images = MapStyleImages(DataLoader(Subset(Subset(data, [5, 4, 3, 2]), [0, 2, 3]), batch_size=2, shuffle=True))
    assert images.labels.tolist() == [0, 1, 1]
    assert np.array_equal(images[0:3], PIXELS[[3, 5, 2]])


def test_a_folder_of_classes_gives_names_of_images_and_classes(tmp_path):
    for number, (image, label) in enumerate(zip(PIXELS, LABELS, strict=True)):
        (tmp_path / f"kind {label}").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / f"kind {label}" / f"{number}.png")
    folder = torchvision_datasets.ImageFolder(tmp_path, transform=from_image)
    images = MapStyleImages(Subset(folder, [0, 2, 5]), Normalisation(MEAN, SD))
    assert images.names == ("kind 0/1.png", "kind 1/2.png", "kind 2/4.png")
    assert [info.name for info in images.classes(3)] == ["kind 0", "kind 1", "kind 2"]
    assert images.preparation is not None and "Normalize(mean=(0.48, 0.45, 0.4)" in images.preparation
    assert " at 0x" not in images.preparation


def test_a_table_of_hugging_faces_datasets_is_a_data_set():
    tables = pytest.importorskip("datasets")
    features = tables.Features({"img": tables.Image(), "label": tables.ClassLabel(names=["a", "b", "c"])})
    columns = {"img": [Image.fromarray(image) for image in PIXELS], "label": list(LABELS)}
    table = tables.Dataset.from_dict(columns, features=features)
    images = MapStyleImages(table)
    assert np.array_equal(images[0:6], PIXELS[ORDER])
    assert [info.name for info in images.classes(3)] == ["a", "b", "c"]
    prepared = table.with_transform(
        lambda rows: {"pixel_values": [from_image(image) for image in rows["img"]], "label": rows["label"]}
    )
    assert np.array_equal(MapStyleImages(prepared, Normalisation(MEAN, SD))[0:6], PIXELS[ORDER])


def test_labels_that_are_listed_need_no_image_and_are_checked_when_it_is_read():
    read = []

    class Listed(Pairs):
        targets = LABELS

        def __getitem__(self, index: int):
            read.append(index)
            return super().__getitem__(index)

    images = MapStyleImages(Listed(labels=(*LABELS[:5], 0)))  # the last one is not as listed
    assert images.labels.tolist() == [0, 0, 1, 1, 2, 2] and len(read) == 6 + 3  # a sample, the first three twice
    with pytest.raises(BadLayout, match="Image 5 has the label 0, but the data set's list of labels says 1"):
        images[0:6]


def items(**columns):
    """Two items of a data set of mappings."""
    return [columns, columns]


class Iterable:
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("data", "normalisation", "error", "message"),
    [
        (Iterable(), None, BadLayout, "A Iterable cannot be recorded"),
        (Pairs(labels=()), None, BadLayout, "a length that is not 0"),
        ([7, 8], None, BadLayout, "returned a int for number 0. Each item is"),
        (items(image=PIXELS[0], left=0), None, BadLayout, "the columns 'image', 'left'. Leave one of images"),
        (items(image=PIXELS[0], img=PIXELS[0], label=0), None, BadLayout, "the columns 'image', 'img', 'label'"),
        (Pairs(labels=(0, -1)), None, BadLayout, "A label is -1"),
        (Pairs(labels=("cat", "dog")), None, BadLayout, "The label of image 0 is 'cat'"),
        (Pairs(labels=(0.5, 1)), None, BadLayout, "labels are numbers of classes"),
        (PIXELS.tolist(), None, BadLayout, "labels are numbers"),
        (Pairs(normalised), None, BadOption, "they are normalised, or not divided by 255"),
        (Pairs(normalised), Normalisation((0.1,) * 3, (1.0,) * 3), BadImage, "must be from 0 to 1"),
        (Pairs(lambda image: image.astype(float)), Normalisation(MEAN, SD), BadImage, "must be from 0 to 1"),
        (Pairs(lambda image: image[: 5 + image[0, 0, 0] % 2]), None, BadImage, "Bring all to one size"),
        (Pairs(lambda image: image[..., :2]), None, BadImage, "with 1 or 3 channels"),
        (Pairs(lambda image: image.astype(np.uint16)), None, BadImage, "values of type uint16"),
        (Pairs(lambda image: image * np.float32("nan")), None, BadImage, "not finite"),
        (Pairs(lambda image: torch.rand(3, 9, 8)), None, BadImage, "Leave random augmentation out"),
    ],
)
def test_what_cannot_be_recorded_is_refused_with_what_was_found(data, normalisation, error, message):
    with pytest.raises(error, match=message):
        MapStyleImages(data, normalisation)


def test_classes_that_do_not_fit_the_network_are_refused():
    images = MapStyleImages(Pairs())
    assert [info.id for info in images.classes(3, ["x", "x", "y"])] == ["0 x", "1 x", "2 y"]
    for count, names in ((2, None), (3, ["a", "b"])):
        with pytest.raises(BadLayout, match=f"The network has {count} outputs"):
            images.classes(count, names)


def test_a_digest_follows_images_labels_and_names():
    first = MapStyleImages(Pairs()).digest()
    assert MapStyleImages(Pairs()).digest() == first
    assert MapStyleImages(Pairs(lambda image: 255 - image)).digest() != first
    assert MapStyleImages(Pairs(labels=(0, 0, 1, 0, 2, 1))).digest() != first
