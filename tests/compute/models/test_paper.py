import pytest
import torch
from torch import nn
from torch.nn import functional

from compute.config.profile import load_profile
from compute.errors import BadModel
from compute.models import ClassMapNetwork, build, describe
from compute.models.paper import DepthwiseUpsampling
from compute.models.resnet import ResNetEncoder
from compute.training.optimizers import make_optimizer


@pytest.fixture(scope="module")
def paper() -> ClassMapNetwork:
    torch.manual_seed(0)
    return build("paper", 200)


def test_the_paper_network_has_11_92_million_parameters(paper):
    assert sum(each.numel() for each in paper.parameters()) == 11_923_312  # 11,176,512 encoder + 746,800 decoder


def test_the_paper_network_has_the_shapes_of_the_paper(paper):
    shapes = describe(paper, image_shape=(64, 64), classes=200)
    assert shapes.maps == (8, 8)
    assert shapes.layers == {"encoder": (200, 2, 2), "decoder": (200, 4, 4)}
    assert shapes.stages == {"stem": (32, 32), "layer1": (16, 16), "layer2": (8, 8), "layer3": (4, 4), "layer4": (2, 2)}


def test_describe_leaves_the_network_in_training_mode(paper):
    paper.train()
    describe(paper, image_shape=(64, 64), classes=200)
    assert paper.training


def test_the_defaults_of_the_paper_network_are_the_papers_settings(paper):
    assert isinstance(paper.encoded.norm, nn.InstanceNorm2d)
    assert paper.encoded.norm.affine
    assert paper.dropout.p == 0.3
    assert torch.equal(paper.class_maps.norm.weight, torch.ones(200))


def test_scale_sets_the_last_batch_norms_weight_and_nothing_else():
    network = build("paper", 5, scale=6.0)
    assert torch.equal(network.class_maps.norm.weight, torch.full((5,), 6.0))
    assert torch.equal(network.decoder.norm.weight, torch.ones(5))


def test_new_layers_are_drawn_from_a_gaussian(paper):
    values = paper.decoder.conv.weight.detach().flatten()
    standardised = (values - values.mean()) / values.std()
    assert abs(standardised.pow(4).mean().item() - 3) < 0.05  # a uniform distribution would give 1.8


@pytest.mark.parametrize("name, stem", [("paper", "imagenet"), ("grid", "stride1"), ("cam", "imagenet")])
def test_a_seed_gives_every_network_the_same_encoder(name, stem):
    """So a seed's random numbers do not depend on what is built after the encoder, nor on how."""
    torch.manual_seed(3)
    encoder = ResNetEncoder(stem)
    torch.manual_seed(3)
    assert torch.equal(build(name, 4).encoder.layer4[1].conv2.weight, encoder.layer4[1].conv2.weight)


def test_layers_are_what_stands_after_the_relu(paper):
    paper.eval()
    with torch.inference_mode():
        trace = paper.trace(torch.randn(2, 3, 64, 64))
    assert all((layer >= 0).all() for layer in trace.layers.values())
    assert (trace.maps >= 0).all()
    assert trace.maps.dtype == torch.float32


def test_no_class_leaks_into_another_classes_map_after_the_grouped_layer(paper):
    paper.eval()
    decoded = torch.rand(1, 200, 4, 4, requires_grad=True)
    paper.class_maps(decoded)[0, 17].sum().backward()
    touched = decoded.grad[0].abs().sum((1, 2)) > 0
    assert touched.nonzero().flatten().tolist() in ([17], [])  # [] where the ReLU shuts the whole map
    with torch.no_grad():
        before = paper.class_maps(decoded)
        changed = decoded.detach().clone()
        changed[:, 17] += 1
        different = (paper.class_maps(changed) != before).flatten(2).any(2)[0]
    assert different.nonzero().flatten().tolist() == [17]


def test_a_network_that_recorded_first_can_train_afterwards():
    network = build("paper", 3)
    describe(network, image_shape=(64, 64), classes=3)
    network(torch.randn(2, 3, 64, 64)).sum().backward()
    assert network.class_maps.conv.weight.grad is not None


def test_classes_do_mix_in_the_layer_before(paper):
    paper.eval()
    encoded = torch.rand(1, 200, 2, 2)
    changed = encoded.clone()
    changed[:, 17] += 1
    with torch.no_grad():
        different = (paper.decoder(changed) != paper.decoder(encoded)).flatten(2).any(2)
    assert different.sum() > 50


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (4, 4), (3, 5), (8, 8), (9, 9)])
def test_the_upsampling_equals_pytorchs_grouped_transposed_convolution(shape):
    torch.manual_seed(1)
    fast = DepthwiseUpsampling(6).double()
    nn.init.normal_(fast.weight)
    x = torch.randn(3, 6, *shape, dtype=torch.float64, requires_grad=True)
    expected = functional.conv_transpose2d(x, fast.weight, stride=2, padding=1, groups=6)
    drawn = fast(x)
    assert torch.allclose(drawn, expected, atol=1e-12)
    upstream = torch.randn_like(expected)
    for a, b in zip(
        torch.autograd.grad(drawn, (x, fast.weight), upstream),
        torch.autograd.grad(expected, (x, fast.weight), upstream),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-11)


def test_the_upsampling_of_one_cell_is_the_kernels_middle():
    layer = DepthwiseUpsampling(1)
    nn.init.zeros_(layer.weight)
    with torch.no_grad():
        layer.weight[0, 0] = torch.arange(16.0).view(4, 4)
        drawn = layer(torch.full((1, 1, 1, 1), 2.0))
    assert drawn[0, 0].tolist() == [[10.0, 12.0], [18.0, 20.0]]  # twice [[5, 6], [9, 10]]


def test_one_training_step_equals_hand_written_pytorch():
    """The paper's step, written out with PyTorch's own layers: Eq. 8, Eq. 9, SGD with momentum and weight decay."""
    torch.manual_seed(3)
    network = build("paper", 4, dropout=0.0).train()
    torch.manual_seed(3)
    twin = build("paper", 4, dropout=0.0).train()
    x, labels = torch.randn(4, 3, 64, 64), torch.tensor([0, 1, 2, 3])

    def written_out(model):
        r = model.encoder
        h = functional.max_pool2d(functional.relu(r.bn1(r.conv1(x))), 3, 2, 1)
        h = r.layer4(r.layer3(r.layer2(r.layer1(h))))
        h = functional.relu(
            functional.instance_norm(
                functional.conv2d(h, model.encoded.conv.weight),
                weight=model.encoded.norm.weight,
                bias=model.encoded.norm.bias,
            )
        )
        h = functional.relu(model.decoder.norm(functional.conv_transpose2d(h, model.decoder.conv.weight, None, 2, 1)))
        last = model.class_maps
        h = functional.conv_transpose2d(h, last.conv.weight, None, 2, 1, groups=4)
        h = functional.relu(last.norm(h))
        return functional.log_softmax(h.mean((2, 3)), 1)

    optimizer = make_optimizer(network, load_profile("paper").training)
    loss = functional.cross_entropy(network(x).mean((-1, -2)), labels)
    loss.backward()
    optimizer.step()

    golden = -written_out(twin)[range(4), labels].mean()
    golden.backward()
    assert torch.allclose(loss, golden, atol=1e-6)
    with torch.no_grad():
        for name, weight in twin.named_parameters():
            weight -= 1e-4 * (weight.grad + 1e-4 * weight)  # the momentum is still empty in the first step
            assert torch.allclose(weight, network.get_parameter(name), atol=1e-7), name


def test_images_too_small_for_instance_norm_are_refused_before_training():
    with pytest.raises(BadModel, match="to a single cell"):
        describe(build("paper", 3), image_shape=(32, 32), classes=3)


def test_class_maps_stay_float32_under_autocast():
    layer = build("paper", 3).class_maps
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.rand(2, 3, 4, 4)).dtype == torch.float32


@pytest.mark.parametrize("kernel", ["own", "shared", "bilinear"])
@pytest.mark.parametrize("grouped", [1, 2])
def test_every_kind_of_kernel_is_pytorchs_grouped_layer(kernel, grouped):
    torch.manual_seed(0)
    network = build("paper", 3, grouped=grouped, kernel=kernel).eval()
    layers = [network.class_maps, *([network.decoder] if grouped == 2 else [])]
    for layer in layers:
        maps = torch.randn(2, 3, 4, 4)
        weight = layer.conv.weight.expand(3, 1, 4, 4)
        expected = functional.conv_transpose2d(maps, weight, stride=2, padding=1, groups=3)
        assert torch.allclose(layer.conv(maps), expected, atol=1e-6)
        assert layer.conv.weight.shape[0] == (3 if kernel == "own" else 1)


def test_a_bilinear_kernel_is_pytorchs_upsampling_and_is_not_learned():
    layer = DepthwiseUpsampling(2, "bilinear")
    maps = torch.randn(1, 2, 5, 6)
    expected = functional.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
    inside = (..., slice(1, -1), slice(1, -1))  # at the border PyTorch repeats cells where padding has zeros
    assert torch.allclose(layer(maps)[inside], expected[inside], atol=1e-6)
    assert not list(layer.parameters())
    assert "weight" in layer.state_dict()


def test_with_no_grouped_layer_classes_influence_each_others_maps():
    network = build("paper", 3, grouped=0).eval()
    decoded = torch.rand(1, 3, 4, 4)
    changed = decoded.clone()
    changed[:, 1] += 1
    with torch.no_grad():
        different = network.class_maps.conv(changed) != network.class_maps.conv(decoded)
    assert different.flatten(2).any(2).all()


def test_with_two_grouped_layers_a_class_depends_on_its_own_encoder_map_alone():
    network = build("paper", 3, grouped=2, dropout=0.0).eval()
    encoded = torch.rand(1, 3, 2, 2)
    changed = encoded.clone()
    changed[:, 1] += 1
    with torch.no_grad():
        before, after = (network.class_maps.conv(network.decoder(each)) for each in (encoded, changed))
    assert (before != after).flatten(2).any(2)[0].tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder_norm": "layer"}, "no encoder_norm 'layer'. Available: instance, batch"),
        ({"kernel": "cubic"}, "no kernel 'cubic'"),
        ({"grouped": 3}, "no grouped '3'"),
        ({"grouped": 0, "kernel": "shared"}, "of grouped layers"),
    ],
)
def test_an_option_that_does_not_exist_is_refused(options, message):
    with pytest.raises(BadModel, match=message):
        build("paper", 3, **options)
