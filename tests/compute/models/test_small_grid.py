from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from compute.models import build
from compute.models.small_grid import SmallGridConv2d, shorten


def layer(dtype=torch.float64, **form) -> SmallGridConv2d:
    torch.manual_seed(1)
    made = nn.Conv2d(5, 7, **({"kernel_size": 3, "padding": 1, "bias": False} | form)).to(dtype)
    shorten(made)
    return made


def both_ways(made, x, upstream):
    """Output and gradients of the layer, and of PyTorch's convolution with the same weights."""
    results = []
    for convolve in (made, lambda x: functional.conv2d(x, made.weight, made.bias, made.stride, made.padding)):
        y = convolve(x)
        results.append((y, *torch.autograd.grad(y, (x, made.weight), upstream)))
    return zip(*results, strict=True)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_short_way_equals_the_convolution_in_output_and_gradients(layout):
    made = layer().to(memory_format=layout)
    x = torch.randn(6, 5, 2, 2, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    for ours, theirs in both_ways(made, x, torch.randn(6, 7, 2, 2, dtype=torch.float64)):
        assert torch.allclose(ours, theirs, atol=1e-12)


def test_the_short_way_is_taken_for_two_by_two_cells_and_no_others(monkeypatch):
    made, taken = layer(), []
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: taken.append("long") or x)
    made(torch.zeros(1, 5, 2, 2, dtype=torch.float64))
    assert taken == []
    made(torch.zeros(1, 5, 2, 3, dtype=torch.float64))
    for form in ({"stride": 2}, {"bias": True}, {"padding": 0}):
        layer(**form)(torch.zeros(1, 5, 2, 2, dtype=torch.float64))
    assert taken == ["long"] * 4


def test_in_bfloat16_it_is_as_far_from_the_truth_as_the_convolution():
    made = layer(torch.float32)
    x, upstream = torch.randn(20, 5, 2, 2), torch.randn(20, 7, 2, 2)
    true_class = list(both_ways(made, x.clone().requires_grad_(), upstream))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = list(both_ways(made, x.clone().requires_grad_(), upstream.to(torch.bfloat16)))
    for (ours, theirs), (exact, _) in zip(rounded, true_class, strict=True):
        assert ours.dtype == theirs.dtype
        scale = exact.abs().max()
        assert (ours - exact).abs().max() <= 0.02 * scale


def test_a_resnet_takes_it_where_its_grid_is_two_by_two_and_gives_what_torchvision_does():
    network = build("paper", 3).eval()
    shortened = [name for name, module in network.named_modules() if isinstance(module, SmallGridConv2d)]
    assert shortened == [f"encoder.layer4.{block}.conv{number}" for block in (0, 1) for number in (1, 2)]
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        ours = network(x)
        for module in network.modules():
            if isinstance(module, SmallGridConv2d):
                module.__class__ = nn.Conv2d
        assert torch.allclose(ours, network(x), atol=1e-4)
