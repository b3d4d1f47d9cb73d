"""Real classes of torchvision, timm, Hugging Face and Ultralytics, with random weights and small images."""

import importlib
from functools import partial

import pytest
import torch
from torchvision import models
from torchvision.models.convnext import CNBlockConfig

from bench.adoption import randomise
from compute.models.adoption import adopt
from compute.models.adoption.adopt import TOLERANCE, relative_error
from compute.models.adoption.split import logits_of

CLASSES = 4


def of_torchvision(name, **options):
    return partial(models.get_model, name, num_classes=CLASSES, **options)


def of_timm(name, **options):
    return lambda: pytest.importorskip("timm").create_model(name, pretrained=False, num_classes=CLASSES, **options)


def of_hugging_face(name, **options):
    def build():
        library = pytest.importorskip("transformers")
        config = getattr(library, f"{name}Config")(num_labels=CLASSES, **options)
        return getattr(library, f"{name}ForImageClassification")(config)

    return build


def of_ultralytics():
    pytest.importorskip("ultralytics")
    return importlib.import_module("ultralytics.nn.tasks").ClassificationModel(
        "yolov8n-cls.yaml", nc=CLASSES, verbose=False
    )


TRANSFORMER = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SMALL_VIT = {"image_size": 32, "patch_size": 8, **TRANSFORMER}
STAGES = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}

# name: (how it is built, side of the images, what its maps are, the layer)
CASES = {
    "torchvision ResNet-18": (of_torchvision("resnet18"), 64, "exact", "layer4"),
    "torchvision RegNet": (of_torchvision("regnet_y_400mf"), 64, "exact", "trunk_output"),
    "torchvision MobileNetV2": (of_torchvision("mobilenet_v2"), 64, "exact", "features"),
    "torchvision ShuffleNet": (of_torchvision("shufflenet_v2_x0_5"), 64, "exact", "conv5"),
    "torchvision MNASNet": (of_torchvision("mnasnet0_5"), 64, "exact", "layers"),
    "torchvision SqueezeNet": (of_torchvision("squeezenet1_1"), 64, "exact", "classifier.2"),
    "torchvision GoogLeNet": (of_torchvision("googlenet", init_weights=False), 64, "exact", "inception5b"),
    "torchvision DenseNet": (
        lambda: models.DenseNet(8, (2, 2), 16, num_classes=CLASSES), 64, "exact", "features"
    ),
    "torchvision Swin": (
        lambda: models.SwinTransformer([4, 4], 16, [1, 1], [1, 2], [4, 4], num_classes=CLASSES), 32, "exact", "permute"
    ),
    "torchvision ConvNeXt": (
        lambda: models.ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=CLASSES),
        32, "frozen_norm", "features",
    ),
    "torchvision MobileNetV3": (of_torchvision("mobilenet_v3_small"), 64, "linearised", "features"),
    "torchvision ViT": (
        lambda: models.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=CLASSES),
        32, "linearised", "encoder.layers.encoder_layer_0",
    ),
    "torchvision MaxViT": (
        lambda: models.MaxVit((64, 64), 8, 2, [8, 16], [1, 1], 8, 0.0, num_classes=CLASSES),
        64, "linearised", "blocks.1",
    ),
    "timm ResNet": (of_timm("resnet10t"), 64, "exact", "layer4"),
    "timm EfficientNet": (of_timm("efficientnet_lite0"), 64, "exact", "bn2"),
    "timm RepViT": (of_timm("repvit_m0_9"), 64, "exact", "stages"),
    "timm SHViT": (of_timm("shvit_s1"), 128, "exact", "stages"),
    "timm LeViT": (of_timm("levit_128s", img_size=128), 128, "exact", "stages"),
    "timm SwiftFormer": (of_timm("swiftformer_xs"), 64, "exact", "norm"),
    "timm ConvNeXt": (of_timm("convnext_atto"), 64, "frozen_norm", "stages"),
    "timm EdgeNeXt": (of_timm("edgenext_xx_small"), 64, "frozen_norm", "stages"),
    "timm ViT, mean of tokens": (
        of_timm("vit_tiny_patch16_224", img_size=64, depth=2, global_pool="avg"), 64, "frozen_norm", "norm"
    ),
    "timm DeiT": (of_timm("deit_tiny_patch16_224", img_size=64, depth=2), 64, "linearised", "blocks.0"),
    "timm MobileNetV4": (of_timm("mobilenetv4_conv_small"), 64, "linearised", "blocks"),
    "timm HGNetV2": (of_timm("hgnetv2_b0"), 64, "linearised", "stages"),
    "Hugging Face ResNet": (of_hugging_face("ResNet", **STAGES), 32, "exact", "resnet.encoder.stages.1"),
    "Hugging Face RegNet": (
        of_hugging_face("RegNet", **STAGES, groups_width=8), 32, "exact", "regnet.encoder.stages.1"
    ),
    "Hugging Face Swin": (
        of_hugging_face("Swin", image_size=32, embed_dim=16, depths=[1, 1], num_heads=[1, 2], window_size=4),
        32, "exact", "swin.pooler:in",
    ),
    "Hugging Face ConvNeXt": (
        of_hugging_face("ConvNext", num_stages=2, hidden_sizes=[8, 16], depths=[1, 1]),
        32, "frozen_norm", "convnext.encoder.stages.1",
    ),
    "Hugging Face BEiT": (of_hugging_face("Beit", **SMALL_VIT), 32, "frozen_norm", "beit.layernorm"),
    "Hugging Face ViT": (of_hugging_face("ViT", **SMALL_VIT), 32, "linearised", "vit.layers.0"),
    "Ultralytics Classify": (of_ultralytics, 64, "exact", "model.9.conv"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", CASES)
def test_what_the_maps_of_an_architecture_are(name):
    build, side, kind, layer = CASES[name]
    torch.manual_seed(0)
    model, x = randomise(build()), torch.randn(3, 3, side, side)
    network = adopt(model, x)
    assert (network.evidence.kind, network.evidence.layer) == (kind, layer)
    assert network.evidence.error <= TOLERANCE
    assert network.evidence.affine == (kind == "exact")
    with torch.inference_mode():
        maps = network(x)
        logits = logits_of(model.eval()(x))
    assert maps.shape == (3, CLASSES, *network.evidence.map_shape)
    assert relative_error(maps.mean((-1, -2)), logits) <= TOLERANCE
    if kind == "linearised":  # gradient times activation is 0 where a norm follows, unless its deviation is held
        assert maps.std((-1, -2)).amax() > 1e-5 * logits.abs().max()
