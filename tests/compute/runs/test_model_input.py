import json

import pytest

from compute.errors import BadOption
from compute.models.library import ModelSpec
from compute.runs.model_input import ModelInput, model_input


def test_torchvisions_published_preparation_is_taken():
    assert model_input(ModelSpec("torchvision:resnet18")) == ModelInput()
    found = model_input(ModelSpec("torchvision:efficientnet_b3"))
    assert (found.size, found.resize, found.interpolation) == ((300, 300), 320, "bicubic")


def test_timms_data_configuration_is_taken_and_an_image_size_counts():
    pytest.importorskip("timm")
    found = model_input(ModelSpec("timm:resnet50.a1_in1k"))
    assert (found.size, found.resize, found.interpolation) == ((224, 224), 235, "bicubic")
    assert model_input(ModelSpec("timm:vit_tiny_patch16_224", {"img_size": 96})).size == (96, 96)
    assert model_input(ModelSpec("my.code:net"), "timm").size == (224, 224)


@pytest.mark.parametrize(
    ("written", "size", "resize", "crop"),
    [
        ({"size": {"height": 224, "width": 192}}, (224, 192), 256, False),
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}, (224, 224), 256, True),
        ({"size": 160}, (160, 160), 160, True),
    ],
)
def test_hugging_faces_preparation_is_read(tmp_path, written, size, resize, crop):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(written), encoding="utf-8")
    found = model_input(ModelSpec(f"hf:{tmp_path}"))
    assert (found.size, found.resize, found.crop) == (size, resize, crop)


@pytest.mark.parametrize("written", ["[1]", "{", '{"size": {"depth": 3}}'])
def test_a_preparation_that_cannot_be_read_is_refused(tmp_path, written):
    (tmp_path / "preprocessor_config.json").write_text(written, encoding="utf-8")
    with pytest.raises(BadOption, match="does not say how images are prepared"):
        model_input(ModelSpec(f"hf:{tmp_path}"))
