"""Networks of others adopted: which maps each architecture has, and what they cost. `python -m bench adoption`

The table: architectures of torchvision, timm, Hugging Face and Ultralytics with random weights on random images, each
with the tier that the proof found and its largest error. The cost (`--cost`): maps of all classes for 50 images of 224
pixels with ResNet-50, in processor time, beside the bare forward pass, TorchCAM's CAM and pytorch-grad-cam, which are
asked for the map of one class alone. The blocks of docs/adoption.md are replaced; `--only NAME ...` prints some lines
of the table instead.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torchvision import models

from bench import document
from bench.compute import alternate
from compute.config.settings import RecordingSettings
from compute.errors import BadModel
from compute.models.adoption import adopt
from compute.recording.epoch_recorder import EpochRecorder
from compute.recording.recorded_images import RecordedImages
from compute.recording.recorder import Recorder
from compute.runs.device import use_threads
from compute.training.augment import Normaliser
from store import open_run, resume_run

CLASSES, IMAGES, SIDE = 10, 4, 96
COST_IMAGES, COST_SIDE, COST_BATCH, COST_CLASSES, COST_ROUNDS = 50, 224, 25, 1000, 3

# library: architectures, with @SIDE where they accept no other size of image
ARCHITECTURES = {
    "torchvision": (
        "alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3@128 maxvit_t@224 "
        "mnasnet0_5 mobilenet_v2 mobilenet_v3_small regnet_y_400mf resnet18 resnet50 resnext50_32x4d "
        "shufflenet_v2_x0_5 squeezenet1_1 swin_t swin_v2_t vgg11 vit_b_32@224 wide_resnet50_2"
    ),
    "timm": (
        "caformer_s18 coatnet_nano_rw_224@224 convnext_atto convnextv2_atto cspresnet50 davit_tiny "
        "deit_tiny_patch16_224@224 edgenext_xx_small efficientformer_l1@224 efficientnet_lite0 efficientvit_b0 "
        "fastvit_t8 ghostnet_100 hgnetv2_b0 hrnet_w18_small inception_next_atto levit_128s@224 mixer_s32_224@224 "
        "mobilenetv4_conv_small mobileone_s0 poolformer_s12 pvt_v2_b0 regnetx_002 repvit_m0_9 resnetv2_50 rexnet_100 "
        "shvit_s1 swiftformer_xs swin_tiny_patch4_window7_224@224 tresnet_m vit_small_patch32_224@224 "
        "xcit_nano_12_p16_224@224"
    ),
    "transformers": (
        "beit@224 convnext convnextv2 cvt@224 deit@224 dinov2@224 efficientnet focalnet@224 hiera@224 levit@224 "
        "mobilenet_v1 mobilenet_v2 mobilevit@256 poolformer@224 pvt@224 regnet resnet segformer swin@224 swinv2@224 "
        "vit@224 vit_msn@224"
    ),
    "ultralytics": "yolov8n-cls yolo11n-cls",
}
DISTILLED = {"deit": "DeiTForImageClassification", "levit": "LevitForImageClassificationWithTeacher"}
SHORTENED = {"beit", "deit", "dinov2", "vit", "vit_msn"}  # Hugging Face configurations, to 4 layers


def build(library: str, name: str) -> nn.Module:
    """A classifier with random weights."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return randomise(BUILDERS[library](name))


def randomise(model: nn.Module) -> nn.Module:
    """The model with no weight at 0 and no statistics at 0 and 1: what depends on what would be hidden by them."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    for parameter in model.parameters():
        if parameter.is_floating_point() and not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    return model


def _torchvision(name: str) -> nn.Module:
    options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    return models.get_model(name, num_classes=CLASSES, **options)


def _timm(name: str) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False, num_classes=CLASSES)


def _transformers(name: str) -> nn.Module:
    from transformers import AutoConfig, AutoModelForImageClassification

    options = {"num_hidden_layers": 4} if name in SHORTENED else {}
    config = AutoConfig.for_model(name, num_labels=CLASSES, **options)
    if name in DISTILLED:  # else the library cannot choose between the model with one head and that with two
        config.architectures = [DISTILLED[name]]
    return AutoModelForImageClassification.from_config(config)


def _ultralytics(name: str) -> nn.Module:
    from ultralytics.nn.tasks import ClassificationModel

    return ClassificationModel(f"{name}.yaml", nc=CLASSES, verbose=False)


BUILDERS: dict[str, Callable[[str], nn.Module]] = {
    "torchvision": _torchvision,
    "timm": _timm,
    "transformers": _transformers,
    "ultralytics": _ultralytics,
}


def architecture_row(library: str, entry: str) -> tuple[str, ...]:
    """Library, architecture, tier, error, layer and the map's shape: one line of the table."""
    name, _, side = entry.partition("@")
    images = torch.randn(IMAGES, 3, *(2 * (int(side or SIDE),)), generator=torch.Generator().manual_seed(1))
    try:
        evidence = adopt(build(library, name), images).evidence
    except BadModel as err:
        return library, name, "refused", str(err)[:90], "", ""
    shape = "x".join(map(str, evidence.map_shape))
    return library, name, evidence.kind, f"{evidence.error:.1e}", f"`{evidence.layer}`", shape


def architectures_table(wanted: Sequence[str] = ()) -> str:
    """The table in Markdown, of all architectures or of those whose names are wanted."""
    rows = []
    for library, entries in ARCHITECTURES.items():
        for entry in entries.split():
            if not wanted or entry.partition("@")[0] in wanted:
                rows.append(architecture_row(library, entry))
                print(*rows[-1], file=sys.stderr, flush=True)
    headings = ("library", "architecture", "maps", "largest error", "layer", "cells")
    return document.table(headings, rows, text_columns=3)


def cost_table() -> str:
    """Processor seconds for the maps of 50 images with ResNet-50: the bare forward pass beside four ways to maps."""
    model = build("torchvision", "resnet50")
    model.fc = nn.Linear(2048, COST_CLASSES)
    # as the recorder runs it: channels first would make the bare pass slower
    model.eval().to(memory_format=torch.channels_last)
    pixels = torch.randint(0, 256, (COST_IMAGES, 3, COST_SIDE, COST_SIDE), generator=torch.Generator().manual_seed(1))
    images = (pixels.float() / 255).contiguous(memory_format=torch.channels_last)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        sides = cost_sides(model, images, Path(folder))
        times = alternate({name: partial(_processor_seconds, work) for name, (work, _) in sides.items()}, COST_ROUNDS)
    bare = next(iter(times.values()))
    for name, values in times.items():
        more = median(own / alone - 1 for own, alone in zip(values, bare, strict=True))
        rows.append((name, f"{sides[name][1]:,}", f"{median(values):.2f}", f"{more:+.1%}"))
    headings = ("what", "classes an image", "processor seconds", "beside the bare pass, median of the rounds")
    return document.table(headings, rows)


def _processor_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()  # other programs on the machine count less than by the clock
    work()
    return time.process_time() - started


def cost_sides(model: nn.Module, images: Tensor, folder: Path) -> dict[str, tuple[Callable[[], object], int]]:
    """What is timed, the bare pass first: work on all images, and the number of classes whose maps it makes."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from torchcam.methods import CAM

    network, batches, epochs = adopt(model, images[:2]), images.split(COST_BATCH), count(1)
    path, data = folder / "cost", TensorDataset(images, torch.arange(len(images)))
    Recorder(path, model, data, variants=["clean"], checkpoints="none", quiet=True).close()
    writer = resume_run(path)
    recorder = EpochRecorder(
        RecordedImages(open_run(path), range(len(images)), torch.device("cpu")),
        settings=RecordingSettings(batch=COST_BATCH),
        normalise=Normaliser((0, 0, 0), (1, 1, 1), torch.device("cpu")),
        quiet=True,
    )

    def bare() -> None:
        with torch.inference_mode():
            for batch in batches:
                model(batch)

    def adopted() -> None:
        with torch.inference_mode():
            for batch in batches:
                network(batch)

    def recorded() -> None:
        with writer.epoch(next(epochs)) as epoch:
            recorder.record(network, epoch, title="")

    def torchcam() -> None:
        for batch in batches:
            with CAM(model, "layer4", "fc") as cam, torch.no_grad():
                cam(model(batch).argmax(1).tolist())

    def grad_cam() -> None:
        for batch in batches:
            with GradCAM(model=model, target_layers=[model.get_submodule("layer4")]) as cam:
                cam(input_tensor=batch, targets=[ClassifierOutputTarget(0)] * len(batch))

    return {
        "bare forward pass, no maps": (bare, 0),
        "Classprint, adopted": (adopted, COST_CLASSES),
        "Classprint, recorded into a complete file": (recorded, COST_CLASSES),
        "TorchCAM `CAM`": (torchcam, 1),
        "pytorch-grad-cam `GradCAM`": (grad_cam, 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Refresh the document, or print some lines of the table."""
    parser = document.parser("adoption", __doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="print these architectures")
    parser.add_argument("--cost", action="store_true", help="refresh the cost instead of the table")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=document.ROOT / "docs" / "adoption.md")
    options = parser.parse_args(arguments)
    use_threads(options.threads)
    if options.only:
        print(architectures_table(options.only))
        return 0
    before, name = document.load(), "cost" if options.cost else "architectures"
    body = cost_table() if options.cost else architectures_table()
    command = f"python -m bench adoption{' --cost' if options.cost else ''}"
    body += f"\n\n`{command}`, {document.now()}, {document.machine()}, {options.threads} thread, load before: {before}."
    document.refresh(options.output, {name: f"\n{body}\n"})
    return 0
