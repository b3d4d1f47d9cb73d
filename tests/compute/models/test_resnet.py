import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import resnet18

from compute.errors import BadModel
from compute.models import build, describe
from compute.models.resnet import CHANNELS, ResNetEncoder, convolve

WIDE = {"in_channels": CHANNELS, "out_channels": 7, "kernel_size": 3, "padding": 1, "bias": False}


def layer(dtype=torch.float64, **form) -> nn.Conv2d:
    torch.manual_seed(1)
    return nn.Conv2d(**(WIDE | form)).to(dtype)


def both_ways(conv, x, upstream):
    """Output and gradients by the matrix product, and by PyTorch's convolution with the same weights."""
    results = []
    for y in (convolve(conv, x), functional.conv2d(x, conv.weight, padding=1)):
        results.append((y, *torch.autograd.grad(y, (x, conv.weight), upstream)))
    return zip(*results, strict=True)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_matrix_product_equals_the_convolution_in_output_and_gradients(layout):
    conv = layer().to(memory_format=layout)
    x = torch.randn(6, CHANNELS, 2, 2, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    for ours, theirs in both_ways(conv, x, torch.randn(6, 7, 2, 2, dtype=torch.float64)):
        assert torch.allclose(ours, theirs, atol=1e-11)


def test_the_matrix_product_is_taken_for_two_by_two_cells_of_512_channels_only(monkeypatch):
    by_pytorch = []
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: by_pytorch.append(1) or x)
    convolve(layer(), torch.zeros(1, CHANNELS, 2, 2, dtype=torch.float64))
    assert not by_pytorch
    convolve(layer(), torch.zeros(1, CHANNELS, 2, 3, dtype=torch.float64))
    for form in ({"stride": 2}, {"padding": 0}, {"kernel_size": 1}):
        convolve(layer(**form), torch.zeros(1, CHANNELS, 2, 2, dtype=torch.float64))
    convolve(layer(in_channels=5), torch.zeros(1, 5, 2, 2, dtype=torch.float64))
    assert len(by_pytorch) == 5


def test_in_bfloat16_the_matrix_product_is_as_exact_as_the_convolution():
    conv = layer(torch.float32)
    x, upstream = torch.randn(20, CHANNELS, 2, 2), torch.randn(20, 7, 2, 2)
    exact = list(both_ways(conv, x.clone().requires_grad_(), upstream))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = list(both_ways(conv, x.clone().requires_grad_(), upstream.to(torch.bfloat16)))
    for (ours, theirs), (reference, _) in zip(rounded, exact, strict=True):
        assert ours.dtype == theirs.dtype
        assert (ours - reference).abs().max() <= 0.02 * reference.abs().max()


def test_the_encoder_gives_what_torchvision_does():
    torch.manual_seed(0)
    encoder = ResNetEncoder().eval()
    torch.manual_seed(0)
    theirs = resnet18(num_classes=1).eval()  # draws the same weights in the same order
    trunk = nn.Sequential(*list(theirs.children())[:-2])
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(encoder(x), trunk(x), atol=1e-4)


def test_an_unknown_stem_is_refused():
    with pytest.raises(BadModel, match="no stem 'wide'"):
        build("grid", 3, stem="wide")


@pytest.mark.parametrize(
    ("name", "options", "maps"),
    [
        ("cam", {}, (2, 2)),
        ("cam", {"stem": "stride1"}, (8, 8)),
        ("grid", {}, (8, 8)),
        ("grid", {"stem": "stride2"}, (8, 8)),
    ],
)
def test_the_other_networks_have_the_map_sizes_they_promise(name, options, maps):
    network = build(name, 3, **options)
    assert describe(network, image_shape=(64, 64), classes=3).maps == maps


@pytest.mark.parametrize(("name", "options"), [("paper", {}), ("grid", {"stem": "stride2"}), ("grid", {})])
def test_the_names_in_checkpoints_stay_what_they_were(name, options):
    """Recorded runs are resumed and opened on the Live page by these names: whoever changes one must read both."""
    names = build(name, 3, **options).state_dict().keys()
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    encoded = norm[:2] if name == "paper" else norm  # InstanceNorm keeps no statistics
    head = {"encoded.conv.weight", *(f"encoded.norm.{each}" for each in encoded)}
    for part in ("decoder", "class_maps"):
        head |= {f"{part}.conv.weight", *(f"{part}.norm.{each}" for each in norm)}
    trunk = {f"encoder.{each}" for each in resnet18(weights=None).state_dict() if not each.startswith("fc.")}
    assert set(names) == head | trunk
