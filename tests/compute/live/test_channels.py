import numpy as np
import pytest
import torch

from compute.errors import BadOption
from compute.live.channels import CLASSES, Channels, channel_layers, deconvolution, maximise
from compute.models import build
from tests.compute.live.conftest import HandMade, predictor_of

pytestmark = pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")


@pytest.mark.parametrize(
    ("layer", "channel", "place", "colour"),
    [
        # the mean of pooled channel 1, green minus blue: 1/4 goes back to where each 2x2 block has its maximum
        ("pool", 1, np.s_[::2, ::2], (0, 0.25, -0.25)),
        # class 0 sends 2/4 back to where red was largest; its -1/4 for green dies in the ReLU
        (CLASSES, 0, np.s_[1::2, 1::2], (0.5, 0, 0)),
        # class 1 sends 3/4 back to green and -3/4 to blue, also in the lower half, where the ReLU was shut: there is no
        # gate of the forward pass. Of equal values the first of a block is its maximum.
        (CLASSES, 1, np.s_[::2, ::2], (0, 0.75, -0.75)),
    ],
)
def test_the_deconvnet_equals_the_hand_worked_value(image, layer, channel, place, colour):
    expected = np.zeros((4, 4, 3))
    expected[place] = colour
    assert np.allclose(deconvolution(predictor_of(HandMade()), image, layer=layer, channel=channel), expected)


def test_the_paper_networks_layers_have_the_channels_that_it_draws():
    torch.manual_seed(0)
    predictor = predictor_of(build("paper", 3), (64, 64))
    layers = channel_layers(predictor)
    assert list(layers) == ["bn1", "layer1", "layer2", "layer3", "layer4", "encoder", "decoder", "class maps", CLASSES]
    assert [Channels(predictor, layer).count for layer in layers] == [64, 64, 128, 256, 512, 3, 3, 3, 3]
    assert deconvolution(predictor, np.full((64, 64, 3), 90, np.uint8), channel=2).shape == (64, 64, 3)


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


def test_the_network_is_left_as_it_was(image):
    network = HandMade()
    before, _ = predictor_of(network).predict(image[None])
    deconvolution(predictor_of(network), image, channel=0)
    after, _ = predictor_of(network).predict(image[None])
    assert np.array_equal(before, after)
    assert network.encoder.relu.inplace
    assert network.encoder.conv.weight.grad is None


def test_an_unknown_layer_or_channel_is_refused(image):
    predictor = predictor_of(HandMade())
    with pytest.raises(BadOption, match="no layer 'layer9'"):
        Channels(predictor, "layer9")
    with pytest.raises(BadOption, match="no channel 2 in 'pool': it has 2"):
        maximise(predictor, layer="pool", channel=2)
    with pytest.raises(BadOption, match="no channel -1"):
        deconvolution(predictor, image, layer="pool", channel=-1)
    with pytest.raises(BadOption, match="no channel 2 in 'classes': it has 2"):
        deconvolution(predictor, image, channel=2)
    with pytest.raises(BadOption, match=r"Images must be uint8 \(n, 4, 4, 3\)"):
        deconvolution(predictor, image[:3], channel=0)
