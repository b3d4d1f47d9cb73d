import torch
from torch.nn import functional

from compute.models import build


def test_cam_maps_have_the_logits_of_average_pooling_and_a_linear_layer_as_means():
    torch.manual_seed(2)
    network = build("cam", 7).eval()
    x = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        features = network.encoder(x)
        expected = network.fc(functional.adaptive_avg_pool2d(features, 1).flatten(1))
        maps = network(x)
    assert network.signed
    assert torch.allclose(maps.mean((-1, -2)), expected, atol=1e-5)
    by_equation_6 = torch.einsum("kj,njyx->nkyx", network.fc.weight, features) + network.fc.bias[:, None, None]
    assert torch.allclose(maps, by_equation_6, atol=1e-5)
