"""The options of `python -m compute record`, and the request that they make."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compute.config.profile import parse_profile, toml_value
from compute.errors import BadOption

if TYPE_CHECKING:  # at run time torch is loaded only by the commands that need it
    from compute.runs.record import RecordRequest

VARIANTS = ("clean", "gray", "blur3", "blur5")  # of those that the paper's perturbations have at any image size
BATCH = 32  # images of 224 pixels per pass: a ResNet-50 takes about 2 GB


def add_record_options(command: argparse.ArgumentParser) -> None:
    """Adds what only `record` takes."""
    _add_network_options(command)
    _add_image_options(command)
    record = command.add_argument_group("the record")
    record.add_argument(
        "--variants",
        nargs="+",
        default=list(VARIANTS),
        metavar="NAME",
        help=f"clean, perturbations, and functions as package.module:function (default: {' '.join(VARIANTS)})",
    )
    record.add_argument("--top", type=int, default=0, metavar="K", help="keep the maps of the K strongest classes only")
    record.add_argument("--batch", type=int, default=BATCH, help=f"images per pass (default: {BATCH})")
    record.add_argument("--plan", action="store_true", help="check everything and print the plan, record nothing")


def _add_network_options(command: argparse.ArgumentParser) -> None:
    network = command.add_argument_group("the network")
    network.add_argument(
        "--model",
        required=True,
        help="torchvision:NAME, timm:NAME, hf:FOLDER, package.module:factory, or paper, cam, grid",
    )
    network.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the model's builder; repeatable",
    )
    network.add_argument(
        "--classes", type=int, default=0, help="outputs of the network (default: as the checkpoint says)"
    )
    network.add_argument("--layer", help="layer whose grid the maps have; NAME:in for its input (default: found)")
    network.add_argument("--probabilities-only", action="store_true", help="record no maps, only what is predicted")
    weights = command.add_argument_group("its weights")
    weights.add_argument(
        "--checkpoint",
        nargs="+",
        required=True,
        metavar="FILE",
        help="files, patterns in quotes or folders; each file becomes an epoch, numbered by its name or content",
    )
    weights.add_argument("--every", type=int, default=1, metavar="N", help="record every n-th checkpoint and the last")
    weights.add_argument(
        "--first-epoch", type=int, metavar="N", help="number of the first checkpoint, where the files count otherwise"
    )
    weights.add_argument("--entry", default="", help="entry of the checkpoint to take, for instance state_dict_ema")
    weights.add_argument("--prefix", default="", help="what precedes the network's names, for instance model.")
    weights.add_argument("--no-checkpoints", action="store_true", help="keep no weights in the run; no page Live then")


def _add_image_options(command: argparse.ArgumentParser) -> None:
    images = command.add_argument_group("its images")
    images.add_argument(
        "--data",
        required=True,
        help="a folder of class folders, or one with splits; an archive; phantom; torchvision:NAME; hf:FOLDER",
    )
    images.add_argument(
        "--split",
        nargs="+",
        help="split of --data to record, for instance test; of several, each becomes a run NAME-SPLIT",
    )
    images.add_argument("--class-names", type=Path, metavar="FILE", help="the class folder of each output, a line each")
    images.add_argument(
        "--per-class", type=int, default=0, metavar="N", help="record N images of each class (default: all)"
    )
    images.add_argument(
        "--transform", default="", help="how images are prepared: torchvision, timm, hf, or module:function of your own"
    )
    images.add_argument("--resize", type=int, nargs="+", metavar="PIXELS", help="shorter side, or height and width")
    images.add_argument(
        "--crop", type=int, nargs="+", metavar="PIXELS", help="side of the central square, or both sides"
    )
    images.add_argument("--mean", type=float, nargs=3, metavar="M", help="of red, green and blue in 0..1")
    images.add_argument("--sd", type=float, nargs=3, metavar="S", help="standard deviation, likewise")
    images.add_argument("--seed", type=int, default=0, help="of the random variants (default: 0)")


def default_name(model: str) -> str:
    """The name of a run of the model, where none is given."""
    return model.rstrip("/").replace("/", ":").rpartition(":")[2]


def request_of(options: argparse.Namespace, split: str) -> RecordRequest:
    """The request that the options make for one split of the images ("" = the usual one).

    Raises:
        BadOption: an option contradicts another one or is out of range.
        BadModel: the model's library does not know it.
    """
    from compute.models.library import ModelSpec
    from compute.runs.record import RecordRequest

    for name, least in (("classes", 0), ("top", 0), ("every", 1), ("per_class", 0), ("first_epoch", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise BadOption(f"--{name.replace('_', '-')} {value} is invalid: the least is {least}.")
    spec = ModelSpec(options.model, dict(_option(text) for text in options.option))
    variants = tuple(_variant(name) for name in options.variants)
    profile = parse_profile(
        {
            "data": {
                "source": _source(options.data, split),
                "class_order": "text",  # as torchvision's ImageFolder numbers the classes
                "validation_per_class": options.per_class,
                "seed": options.seed,
                **_input_settings(options, spec),
            },
            "model": {"name": spec.name, "options": dict(spec.options)},
            "training": {"precision": "float32"},
            "recording": {"batch": options.batch, "layers": ":" not in spec.name},
        }
    )
    return RecordRequest(
        spec=spec,
        checkpoints=tuple(options.checkpoint),
        profile=profile,
        variants=variants,
        classes=options.classes,
        class_names=options.class_names,
        entry=options.entry,
        prefix=options.prefix,
        transform=_own_transform(options),
        first_epoch=options.first_epoch,
        every=options.every,
        layer=options.layer,
        maps=not options.probabilities_only,
        top=options.top,
        keep_weights=not options.no_checkpoints,
    )


def _input_settings(options: argparse.Namespace, spec: Any) -> dict[str, Any]:
    """The settings of `data` that say how images are prepared: the model's own, changed by the options."""
    from compute.runs.model_input import model_input

    own = _own_transform(options)
    if own is not None:
        return _normalisation(options, own)
    settings = model_input(spec, options.transform).as_settings()
    if options.data == "phantom":
        settings |= {"size": [64, 64], "resize": 0}  # drawn at that size
    for name in ("resize", "crop"):
        if len(getattr(options, name) or ()) > 2:
            raise BadOption(f"--{name} takes one number, or height and width.")
    if options.crop:
        height, width = options.crop[0], options.crop[-1]
        # as much of a square image is cut off as in the model's own preparation, and as little as possible of others
        resize = settings["resize"] * height // min(settings["size"]) if height == width else 0
        settings |= {"size": [height, width], "crop": True, "resize": resize}
    if options.resize and len(options.resize) == 2:
        if options.crop:
            raise BadOption("--resize with height and width squeezes the whole image: leave --crop out.")
        settings |= {"size": options.resize, "resize": 0, "crop": False}
    elif options.resize:
        settings |= {"resize": options.resize[0], "crop": True}
    return settings | {name: getattr(options, name) for name in ("mean", "sd") if getattr(options, name)}


def _own_transform(options: argparse.Namespace) -> Callable[..., Any] | None:
    """The function that --transform names as module:function."""
    from compute.models.registry import import_factory

    return import_factory(options.transform) if ":" in options.transform else None


def _normalisation(options: argparse.Namespace, transform: Callable[..., Any]) -> dict[str, Any]:
    """Mean and deviation of the network's input after a transform of the user's own."""
    from compute.data.own_transform import normalisation_of

    if options.resize or options.crop:
        raise BadOption(f"--resize and --crop have no effect beside --transform {options.transform}: leave them out.")
    found = normalisation_of(transform)
    given = {name: getattr(options, name) or list(getattr(found, name, ())) for name in ("mean", "sd")}
    if not all(given.values()):
        raise BadOption(
            f"The transform {options.transform} does not end in a Normalize. Say what the network's input needs: "
            "--mean and --sd, or --mean 0 0 0 --sd 1 1 1 where it takes intensities from 0 to 1."
        )
    return given


def _source(data: str, split: str) -> str:
    from compute.data.library_sets import is_library_set
    from compute.data.tiny_imagenet import is_tiny_imagenet

    if not split or (split == "val" and is_tiny_imagenet(Path(data))):  # whose labels are in a list of its own
        return data
    if is_library_set(data):
        return f"{data}:{split}"
    folder = Path(data) / split
    if not folder.is_dir():
        raise BadOption(f"--split {split}: there is no folder '{folder}'. Name a folder inside --data.")
    return str(folder)


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise BadOption(f"--option {text!r} is not KEY=VALUE, for instance --option img_size=64.")
    return name.strip(), toml_value(value.strip())


def _variant(name: str) -> str | Callable[..., Any]:
    """The name of a perturbation, or a function of the user's own."""
    from compute.models.registry import import_factory

    return import_factory(name) if ":" in name else name
