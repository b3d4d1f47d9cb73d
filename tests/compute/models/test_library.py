import pytest
import torch
from torchvision.models import resnet18

from compute.errors import BadModel
from compute.models.library import ModelSpec, build_recorded_model, classes_of, library_name


def shapes(state):
    return lambda name: tuple(state[name].shape)


def test_the_number_of_classes_is_read_from_the_weights():
    state = resnet18(num_classes=37).state_dict()
    assert classes_of(ModelSpec("torchvision:resnet18"), state, shapes(state)) == 37
    assert classes_of(ModelSpec("torchvision:resnet18"), {}, shapes(state)) is None


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("torchvision:resnet18", {"weights": "DEFAULT"}),
        ("torchvision:resnet18", {"progress": True}),
        ("torchvision:maskrcnn_resnet50_fpn", {}),
        ("timm:resnet18", {"pretrained": True}),
        ("timm:resnet18", {"checkpoint_path": "/etc/passwd"}),
        ("timm:vit_tiny_patch16_224", {"img_size": 10**6}),
        ("timm:vit_tiny_patch16_224", {"img_size": True}),
        ("timm:vit_tiny_patch16_224", {"global_pool": "everything"}),
        ("timm:vit_tiny_patch16_224", {"global_pool": ["avg"]}),
        ("timm:hf-hub:someone/network", {}),
        ("timm:local-dir:/tmp", {}),
        ("hf:/tmp", {}),
        ("os:system", {}),
        ("tests.compute.cases:TinyNetwork", {}),
    ],
)
def test_no_run_builds_anything_but_listed_classifiers_within_their_limits(name, options):
    if name.startswith("timm"):
        pytest.importorskip("timm")
    with pytest.raises(BadModel):
        build_recorded_model({"name": name, "options": options}, resnet18(num_classes=3).state_dict(), classes=3)


def test_the_size_of_a_listed_classifier_is_compared_with_its_weights_before_it_is_built():
    state = resnet18(num_classes=3).state_dict()
    settings = {"name": "torchvision:resnet18", "options": {}}
    assert torch.equal(build_recorded_model(settings, state, classes=3).fc.bias, state["fc.bias"])
    with pytest.raises(BadModel, match=r"fc.weight is \(3, 512\)"):
        build_recorded_model(settings, state, classes=60000)
    with pytest.raises(BadModel, match="does not fit"):
        build_recorded_model(settings | {"name": "torchvision:vit_h_14"}, state, classes=3)


def test_an_operator_lets_runs_name_a_factory(monkeypatch):
    state = resnet18(num_classes=3).state_dict()
    settings = {"name": "tests.compute.models.test_library:three_classes", "options": {}}
    with pytest.raises(BadModel, match="CLASSPRINT_NETWORKS"):
        build_recorded_model(settings, state, classes=3)
    monkeypatch.setenv("CLASSPRINT_NETWORKS", settings["name"])
    assert build_recorded_model(settings, state, classes=3).fc.out_features == 3


def test_an_operator_lets_runs_name_a_folder_without_options(monkeypatch, tmp_path):
    name = f"hf:{tmp_path}"
    monkeypatch.setenv("CLASSPRINT_NETWORKS", name)
    with pytest.raises(BadModel, match="its folder says what it is"):
        build_recorded_model({"name": name, "options": {"num_labels": 3}}, {}, classes=3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("builtins:str", "returned a str, not a torch.nn.Module"),
        ("torchvision:resnet19", "torchvision has no classifier 'resnet19'. Did you mean resnet1"),
        ("resnet18", "There is no model 'resnet18'. Did you mean torchvision:resnet18"),
        ("hf:nowhere", "'nowhere' is no folder of a Hugging Face model: it has no config.json"),
    ],
)
def test_what_is_no_classifier_is_refused_with_what_is_near(name, message):
    with pytest.raises(BadModel, match=message):
        ModelSpec(name).build(3)


def three_classes():
    return resnet18(num_classes=3)


@pytest.mark.parametrize("name", ["torchvision:resnet18", "torchvision:mobilenet_v3_small", "torchvision:vgg11_bn"])
def test_a_librarys_classifier_is_recognised_by_its_shape(name):
    with torch.device("meta"):
        model = ModelSpec(name).build(7)
        assert library_name(model, 7) == name
        model.extra = torch.nn.Linear(2, 2)
        assert library_name(model, 7) == ""
        assert library_name(torch.nn.Linear(3, 7), 7) == ""
