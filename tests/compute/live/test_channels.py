import numpy as np
import pytest
import torch

from compute.errors import BadOption
from compute.live.channels import CLASSES, channel_count, channel_deconvolution, channel_layers, maximise
from compute.live.explain import deconvolution
from compute.models import build
from tests.compute.live.test_explain import HandMade, image, predictor_of  # noqa: F401 - image is a fixture

pytestmark = pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")


def test_the_deconvnet_of_a_channel_equals_the_hand_worked_value(image):  # noqa: F811 - the fixture
    """The mean of pooled channel 1, green minus blue: 1/4 goes back to where each 2x2 block has its maximum."""
    seen = channel_deconvolution(predictor_of(HandMade()), image, layer="pool", channel=1)
    expected = np.zeros((4, 4, 3))
    expected[::2, ::2, 1], expected[::2, ::2, 2] = 0.25, -0.25
    assert np.allclose(seen, expected)


def test_the_channels_of_the_classes_are_the_logits(image):  # noqa: F811 - the fixture
    predictor = predictor_of(HandMade())
    seen = channel_deconvolution(predictor, image, layer=CLASSES, channel=1)
    assert np.array_equal(seen, deconvolution(predictor, image, class_index=1))
    assert channel_count(predictor, CLASSES) == 2


def test_the_paper_networks_layers_have_the_channels_that_it_draws():
    torch.manual_seed(0)
    predictor = predictor_of(build("paper", 3), (64, 64))
    layers = channel_layers(predictor)
    assert list(layers) == ["bn1", "layer1", "layer2", "layer3", "layer4", "encoder", "decoder", "class maps", CLASSES]
    assert [channel_count(predictor, layer) for layer in layers] == [64, 64, 128, 256, 512, 3, 3, 3, 3]


@pytest.mark.parametrize(("layer", "channel", "colour"), [("pool", 0, [1, 0, 0]), ("pool", 1, [0, 1, 0])])
def test_the_image_that_drives_a_channel_most_has_its_colour(layer, channel, colour):
    """Channel 0 is red, channel 1 green minus blue; what a channel does not see stays near the start."""
    pixels, before, after = maximise(predictor_of(HandMade()), layer=layer, channel=channel, steps=600)
    assert after > before + 20
    mean = pixels.mean((0, 1))
    assert mean[np.argmax(colour)] == mean.max() > 20
    assert pixels.dtype == np.uint8 and pixels.shape == (4, 4, 3)


def test_maximisation_raises_a_class_of_a_real_network_and_repeats():
    torch.manual_seed(0)
    predictor = predictor_of(build("cam", 3), (32, 32))
    first, before, after = maximise(predictor, layer=CLASSES, channel=2, steps=6)
    assert after > before
    assert np.array_equal(first, maximise(predictor, layer=CLASSES, channel=2, steps=6)[0])


def test_an_unknown_layer_or_channel_is_refused(image):  # noqa: F811 - the fixture
    predictor = predictor_of(HandMade())
    with pytest.raises(BadOption, match="no layer 'layer9'"):
        channel_count(predictor, "layer9")
    with pytest.raises(BadOption, match="no channel 2 in 'pool': it has 2"):
        maximise(predictor, layer="pool", channel=2)
    with pytest.raises(BadOption, match="no channel -1"):
        channel_deconvolution(predictor, image, layer="pool", channel=-1)
