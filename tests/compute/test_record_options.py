"""The options of `compute record` become settings of the images, or are refused before anything is read."""

import argparse

import pytest
from torchvision import transforms

from compute.errors import BadOption
from compute.record_options import add_record_options, default_name, request_of

PIXELS_ALONE = transforms.Compose([transforms.Resize((8, 8)), transforms.ToTensor()])
PREPARED = transforms.Compose([PIXELS_ALONE, transforms.Normalize((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))])
HERE = "tests.compute.test_record_options"


def request(*words, data="photos", split=""):
    """The request of a command line about torchvision's ResNet-18."""
    parser = argparse.ArgumentParser()
    add_record_options(parser)
    always = ["--model", "torchvision:resnet18", "--checkpoint", "a.pt", "--data", data]
    return request_of(parser.parse_args([*always, *words]), split)


@pytest.mark.parametrize(
    ("words", "size", "resize", "crop"),
    [
        ((), (224, 224), 256, True),  # as torchvision publishes it with the weights
        (("--crop", "112"), (112, 112), 128, True),  # as much is cut off as of 256
        (("--crop", "112", "160"), (112, 160), 0, True),
        (("--resize", "300"), (224, 224), 300, True),
        (("--resize", "30", "40"), (30, 40), 0, False),
    ],
)
def test_resize_and_crop_change_what_the_library_publishes(words, size, resize, crop):
    data = request(*words).profile.data
    assert (data.size, data.resize, data.crop) == (size, resize, crop)


def test_the_phantom_is_drawn_at_its_own_size_and_a_split_belongs_to_the_source(tmp_path):
    assert request(data="phantom").profile.data.size == (64, 64)
    assert request(data="hf:photos", split="test").profile.data.source == "hf:photos:test"
    (tmp_path / "val").mkdir()
    assert request(data=str(tmp_path), split="val").profile.data.source == str(tmp_path / "val")
    assert [default_name(name) for name in ("timm:resnet18.a1", "hf:models/vit/", "grid")] == [
        "resnet18.a1", "vit", "grid",
    ]  # fmt: skip


def test_a_transform_of_ones_own_says_what_the_networks_input_went_through():
    found = request("--transform", f"{HERE}:PREPARED")
    assert found.transform is PREPARED
    assert found.profile.data.mean == pytest.approx((0.1, 0.2, 0.3))
    assert found.profile.data.sd == pytest.approx((0.4, 0.5, 0.6))
    given = request("--transform", f"{HERE}:PIXELS_ALONE", "--mean", "0", "0", "0", "--sd", "1", "1", "1")
    assert given.profile.data.sd == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--crop", "1", "2", "3"), "--crop takes one number, or height and width"),
        (("--resize", "10", "12", "--crop", "8"), "squeezes the whole image: leave --crop out"),
        (("--option", "img_size"), "--option 'img_size' is not KEY=VALUE"),
        (("--top", "-1"), "--top -1 is invalid: the least is 0"),
        (("--every", "0"), "--every 0 is invalid: the least is 1"),
        (("--transform", f"{HERE}:PREPARED", "--crop", "8"), "--resize and --crop have no effect beside --transform"),
        (("--transform", f"{HERE}:PIXELS_ALONE"), "does not end in a Normalize"),
        (("--transform", "keras"), "There is no transform 'keras'"),
    ],
)
def test_options_that_contradict_each_other_are_refused(words, message):
    with pytest.raises(BadOption, match=message):
        request(*words)


def test_the_validation_split_of_tiny_imagenet_is_read_with_its_list_of_labels(tmp_path):
    (tmp_path / "val" / "images").mkdir(parents=True)
    (tmp_path / "wnids.txt").write_text("n01443537\n")
    assert request(data=str(tmp_path), split="val").profile.data.source == str(tmp_path)


def test_a_split_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(BadOption, match="--split val: there is no folder"):
        request(data=str(tmp_path), split="val")
