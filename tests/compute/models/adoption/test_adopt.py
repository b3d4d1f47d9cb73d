import pytest
import torch
from torch import nn
from torchvision import models

from compute.errors import BadModel
from compute.models import build
from compute.models.adoption import adopt
from compute.models.adoption.adopt import TOLERANCE, relative_error


class Tiny(nn.Module):
    """Two channels of 2x2 cells from the image's red and green, averaged, into three classes."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool2d(2)
        self.fc = nn.Linear(2, 3)
        with torch.no_grad():
            self.fc.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, -1.0]]))
            self.fc.bias.copy_(torch.tensor([0.0, 0.5, -1.0]))

    def forward(self, x):
        return self.fc(self.pool(x[:, :2]).mean((2, 3)))


def test_the_maps_of_a_tiny_head_are_those_computed_by_hand():
    x = torch.zeros(2, 3, 4, 4)
    x[0, 0, :2, :2] = 3.0  # red 3 in the upper left cell
    x[0, 1, 2:, 2:] = 2.0  # green 2 in the lower right one
    x[1, 0] = 1.0
    network = adopt(Tiny(), x)
    red = [[3.0, 0.0], [0.0, 0.0]]  # 1 * red
    green = [[0.5, 0.5], [0.5, 4.5]]  # 2 * green + 0.5
    both = [[2.0, -1.0], [-1.0, -3.0]]  # red - green - 1
    assert torch.allclose(network(x)[0], torch.tensor([red, green, both]))
    assert network.evidence.kind == "exact"
    assert (network.evidence.layer, network.evidence.map_shape, network.evidence.affine) == ("pool", (2, 2), True)


def test_the_means_of_an_adopted_resnets_maps_are_its_logits():
    model, x = models.resnet18(num_classes=5).train(), torch.randn(3, 3, 64, 64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network = adopt(model, x)
    assert (network.evidence.kind, network.evidence.layer, network.evidence.images) == ("exact", "layer4", 3)
    assert network.evidence.error <= TOLERANCE
    with torch.inference_mode():
        maps = network(x)
    assert maps.shape == (3, 5, 2, 2)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    with torch.no_grad():
        assert relative_error(maps.mean((-1, -2)), model.eval()(x)) <= TOLERANCE


def test_maps_follow_weights_that_are_trained_further():
    model, x = models.resnet18(num_classes=5), torch.randn(3, 3, 64, 64)
    network = adopt(model, x)
    with torch.no_grad():
        network(x)  # from here on the head is known, as it was
        model.fc.weight.mul_(-2.0)
        assert relative_error(network(x).mean((-1, -2)), model.eval()(x)) <= TOLERANCE
    model.fc.weight.data.mul_(-2.0)  # not counted by PyTorch, so the network is looked at again by eval()
    network.eval()
    with torch.no_grad():
        assert relative_error(network(x).mean((-1, -2)), model(x)) <= TOLERANCE


def test_a_model_without_a_grid_is_refused_and_recorded_without_maps_if_asked():
    model, x = nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), torch.randn(4, 3, 4, 4)
    with pytest.raises(BadModel, match="no layer with a grid of cells decides the logits"):
        adopt(model, x)
    network = adopt(model, x, maps=False)
    assert network.evidence.kind == "none"
    assert torch.equal(network(x)[:, :, 0, 0], model(x))


class Head(nn.Module):
    """A convolution of stride 4 with a head of any kind behind it."""

    def __init__(self, *head, channels=3):
        super().__init__()
        self.backbone = nn.Conv2d(3, channels, 4, 4)
        self.head = nn.Sequential(*head)

    def forward(self, x):
        return self.head(self.backbone(x))


POOL = (nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_a_linear_layer_over_the_flattened_grid_gives_every_cell_weights_of_its_own():
    model, x = Head(nn.Flatten(), nn.Linear(12, 4)), torch.randn(3, 3, 8, 8)
    network = adopt(model, x)
    assert (network.evidence.kind, network.evidence.layer) == ("exact", "backbone")
    with torch.no_grad():
        weight = model.head[1].weight.view(4, 3, 2, 2)
        expected = 4 * torch.einsum("nfyx,cfyx->ncyx", model.backbone(x), weight) + model.head[1].bias[:, None, None]
        assert torch.allclose(network(x), expected, atol=1e-5)


def test_a_norm_after_the_pooling_is_held_at_the_values_of_each_image():
    model, x = Head(*POOL, nn.LayerNorm(3), nn.Linear(3, 4)), torch.randn(3, 3, 8, 8)
    network = adopt(model, x)
    assert network.evidence.kind == "frozen_norm"
    with torch.no_grad():
        grid = model.backbone(x)
        pooled = grid.mean((-1, -2))
        scale = (pooled.var(1, unbiased=False) + 1e-5).rsqrt()[:, None, None, None]
        normed = (grid - pooled.mean(1)[:, None, None, None]) * scale
        expected = torch.einsum("nfyx,cf->ncyx", normed, model.head[3].weight) + model.head[3].bias[:, None, None]
        assert torch.allclose(network(x), expected, atol=1e-5)


def test_the_tangent_of_a_squared_average_is_twice_the_cell_and_the_rest_spread_evenly():
    model, x = Head(*POOL, Apply(torch.square)), torch.randn(3, 3, 8, 8)
    network = adopt(model, x)
    assert (network.evidence.kind, network.evidence.affine) == ("linearised", False)
    with torch.inference_mode():
        grid = model.backbone(x)
        mean = grid.mean((-1, -2), keepdim=True)
        assert torch.allclose(network(x), 2 * mean * grid - mean.square(), atol=1e-5)


def test_both_directions_of_the_derivative_give_the_same_maps_also_under_inference_mode():
    torch.manual_seed(0)
    model = Head(*POOL, nn.Linear(3, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 30))
    x = torch.randn(3, 3, 8, 8)
    network, also = adopt(model, x), torch.tensor([[29], [6], [7]])
    assert network.evidence.kind == "linearised"
    with torch.inference_mode():
        maps = network(x)  # 30 classes and 4 cells: forwards
        few = network.strongest_maps(x, 3, also)  # 5 passes: backwards
    logits = maps.mean((-1, -2))
    chosen = torch.cat([logits.topk(3).indices, also], 1)[:, :, None, None].expand(-1, -1, 2, 2)
    assert torch.allclose(few.gather(1, chosen), maps.gather(1, chosen), atol=1e-5)
    assert torch.allclose(few.mean(1), maps.mean(1), atol=1e-5)
    assert torch.allclose(few.mean((-1, -2)), logits, atol=1e-5)
    assert not torch.allclose(few, maps, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_type_are_widened_in_a_copy(dtype):
    model, x = models.resnet18(num_classes=3).to(dtype), torch.randn(2, 3, 64, 64)
    network = adopt(model, x)
    assert (network.evidence.kind, next(model.parameters()).dtype) == ("exact", dtype)
    with torch.no_grad():
        model.fc.bias.add_(1.0)
    before = network(x)
    assert torch.allclose(network.eval()(x), before + 1, atol=0.05)  # the copy follows the model


class Returns(nn.Module):
    def __init__(self, as_output):
        super().__init__()
        self.body, self.as_output = Tiny(), as_output

    def forward(self, x):
        return self.as_output(self.body(x))


@pytest.mark.parametrize(
    "as_output",
    [
        lambda logits: (logits, logits * 2),
        lambda logits: {"loss": None, "logits": logits},
        lambda logits: (logits.softmax(1), logits),
        lambda logits: [logits],
    ],
    ids=["auxiliary", "mapping", "softmax beside logits", "list"],
)
def test_the_logits_are_found_in_what_a_model_returns(as_output):
    x = torch.rand(3, 3, 4, 4)
    network = adopt(Returns(as_output), x)
    assert network.evidence.layer == "body.pool"
    with torch.no_grad():
        assert torch.allclose(network(x).mean((-1, -2)), Tiny()(x), atol=1e-6)


def test_what_cannot_be_adopted_is_refused_with_what_was_found():
    x = torch.rand(3, 3, 64, 64)
    with pytest.raises(BadModel, match="returns probabilities"):
        adopt(Returns(lambda logits: logits.softmax(1)), x)
    for one in (lambda logits: logits[:, 0], lambda logits: logits[:, :1]):
        with pytest.raises(BadModel, match=r"one number for an image.*torch\.zeros_like\(z\), z"):
            adopt(Returns(one), x)
    with pytest.raises(BadModel, match="an object of type str"):
        adopt(Returns(lambda logits: "logits"), x)
    with pytest.raises(BadModel, match="at least two images"):
        adopt(Tiny(), x[:1])
    model = models.resnet18(num_classes=3)
    with pytest.raises(BadModel, match=r"ResNet has no layer 'layer5'. Its layers: conv1, bn1"):
        adopt(model, x, "layer5")
    with pytest.raises(BadModel, match=r"'layer4\.0\.conv1' alone"):
        adopt(model, x, "layer4.0.conv1")
    with pytest.raises(BadModel, match=r"'fc' gives a tensor of shape \(2, 3\)"):
        adopt(model, x, "fc")
    with pytest.raises(BadModel, match="run 2 times"):
        adopt(model, x, "layer4.0.relu")
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_named_layer_is_taken_and_its_input_too():
    model, x = models.resnet18(num_classes=3), torch.randn(2, 3, 64, 64)
    assert adopt(model, x, "avgpool:in").evidence.kind == "exact"
    earlier = adopt(model, x, "layer3").evidence
    assert (earlier.kind, earlier.layer, earlier.map_shape) == ("linearised", "layer3", (4, 4))


def test_images_that_are_not_square_keep_their_shape_in_grids_and_tokens():
    assert adopt(models.resnet18(num_classes=3), torch.randn(2, 3, 64, 160)).evidence.map_shape == (2, 5)
    tokens = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.Flatten(2), Tokens(), nn.Linear(6, 3))
    evidence = adopt(tokens, torch.randn(2, 3, 8, 20)).evidence
    assert (evidence.kind, evidence.map_shape) == ("exact", (2, 5))


class Tokens(nn.Module):
    def forward(self, rows):
        return rows.mean(2)


def test_a_wrapped_model_is_adopted_as_the_model_inside():
    network = adopt(nn.DataParallel(Tiny()), torch.rand(2, 3, 4, 4))
    assert isinstance(network.body, Tiny)


def test_adopting_the_cam_network_gives_the_maps_that_it_makes_itself():
    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = build("cam", 5)

        def forward(self, x):
            return self.network(x).mean((-1, -2))

    model, x = Logits().eval(), torch.randn(3, 3, 64, 64)
    network = adopt(model, x)
    assert (network.evidence.kind, network.evidence.layer) == ("exact", "network")  # its own maps are the last grid
    features = adopt(model, x, "network.dropout")
    assert features.evidence.kind == "exact"
    with torch.inference_mode():
        own = model.network(x)
        assert torch.equal(network(x), own)
        difference = (features(x) - own).abs().max()
    assert difference <= 2e-6 * own.abs().max()


@pytest.mark.parametrize(("head", "kind"), [(nn.Identity(), "exact"), (nn.Tanh(), "linearised")])
def test_a_model_whose_logits_are_nearly_equal_is_proved_relative_to_how_they_differ(head, kind):
    class Deep(nn.Module):  # before its first step, as every deep network without shortcuts
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(*[layer for c in (3, *[8] * 11) for layer in (nn.Conv2d(c, 8, 3), nn.SiLU())])
            self.fc = nn.Linear(8, 5)

        def forward(self, x):
            return self.fc(head(self.body(x).mean((2, 3))))

    torch.manual_seed(0)
    model, x = Deep(), torch.rand(4, 3, 32, 32)
    logits = model(x)
    assert (logits - logits[0]).abs().max() <= 1e-6 * logits.abs().max()
    network = adopt(model, x)
    evidence = network.evidence
    assert (evidence.kind, evidence.layer) == (kind, "body")
    with torch.no_grad():  # the error is that of float32, in which maps are recorded
        assert 1e-9 < evidence.error == pytest.approx(relative_error(network(x).mean((-1, -2)), model(x)))


def test_a_model_whose_logits_are_equal_is_refused():
    model = Tiny()
    nn.init.zeros_(model.fc.weight)
    with pytest.raises(BadModel, match="its logits hardly differ between the 4 images"):
        adopt(model, torch.rand(4, 3, 16, 16))


class Detached(Tiny):
    """A second grid adds to the logits, and autograd does not see that it comes from the images, too."""

    def __init__(self):
        super().__init__()
        self.side = nn.AvgPool2d(2)

    def forward(self, x):
        return super().forward(x) + self.side(x.detach()).mean((2, 3))


def test_a_layer_is_looked_for_with_images_that_differ():
    images = torch.rand(4, 3, 16, 16)
    images[1] = images[0]
    assert adopt(Tiny(), images).evidence.kind == "exact"
    with pytest.raises(BadModel, match="no layer with a grid of cells decides the logits"):
        adopt(Detached(), images)


class Sometimes(nn.Module):
    """What a head does for some images alone; for the others it is the average of the cells."""

    def __init__(self, extra):
        super().__init__()
        self.extra = extra

    def forward(self, grid):
        return grid.mean((-1, -2)) + self.extra(grid)


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, values):
        return self.function(values)


def bright_images(*levels):
    """An image for each level, which is that of its upper left cell in all channels."""
    x = 0.1 * torch.rand(len(levels), 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for image, level in zip(x, levels, strict=True):
        image[:, :4, :4] = level
    return x


def averaging(*head):
    """The image's own 2x2 cells with a head behind them."""
    model = Head(*head)
    model.backbone = nn.AvgPool2d(4)
    return model


@pytest.mark.parametrize(
    "head",
    [
        # of three images the first two, which a layer is looked for with, are averaged: the third decides
        (Sometimes(lambda grid: 1e-3 * (grid.amax((-1, -2)) - 5).relu()),),
        # averages are small enough to pass, a cell alone is not: the head does not give its share of the logit
        (*POOL, nn.Hardtanh(-3, 3)),
    ],
    ids=["one image", "one cell"],
)
def test_a_head_that_is_affine_for_most_images_alone_is_linearised(head):
    evidence = adopt(averaging(*head), bright_images(1.0, -8.0, 6.0)).evidence
    assert evidence.kind == "linearised"


def test_a_head_whose_tangent_does_not_see_the_grid_is_refused():
    with pytest.raises(BadModel, match="has no class maps"):
        adopt(averaging(*POOL, Apply(torch.round)), bright_images(4.0, -8.0, 9.0))


def test_an_error_that_is_no_number_counts_as_endless():
    assert relative_error(torch.tensor([[1.0, 2.0], [float("nan"), 1.0]]), torch.ones(2, 2)) == float("inf")
