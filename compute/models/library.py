"""Classifiers by name: torchvision's, timm's, a Hugging Face folder, one's own factory, or this project's networks.

Nothing is downloaded, and no name reaches a library before it is found in that library's own list: the weights come
from checkpoints. What a *run* names may come from a stranger, so `build_recorded_model` builds less.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from compute.errors import BadModel
from compute.models import registry

FORMS = "torchvision:NAME, timm:NAME, hf:FOLDER, package.module:factory, or one of this project's networks"
HUGGING_FACE = "hf"
LIBRARIES = ("torchvision", "timm")
# Options of library networks that a run may name for the Live page; all else a library's builder takes may be costly.
RECORDED_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "img_size": (16, 1024),
        "aux_logits": frozenset({False, True}),
        "global_pool": frozenset({"", "avg", "max", "avgmax", "catavgmax", "token", "map", "fast"}),
        "class_token": frozenset({False, True}),
    }
)
_CLASS_ARGUMENTS = ("num_classes", "classes", "n_classes")  # of a factory of one's own
# Numbers of classes, to see which tensors have as many rows: primes, which are hardly a width of anything else.
_TWO_SIZES = (7, 11)


@dataclass(frozen=True)
class ModelSpec:
    """Which classifier: a name in one of FORMS, and options for its builder."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def library(self) -> str:
        """`torchvision`, `timm` or `hf`; "" for one's own and this project's networks."""
        prefix, colon, _ = self.name.partition(":")
        return prefix if colon and prefix in (*LIBRARIES, HUGGING_FACE) else ""

    @property
    def inner(self) -> str:
        """The name inside the library, or the folder."""
        return self.name.partition(":")[2] if self.library else self.name

    def build(self, classes: int) -> nn.Module:
        """The classifier with that many outputs, with random weights; without a `classes` argument, with its own.

        Raises:
            BadModel: there is no such classifier, its library is not installed, or it does not take the options.
        """
        if self.name in registry.names():
            return registry.build(self.name, classes, **self.options)
        factory = self._factory(classes)
        try:
            model = factory(**self.options)
        except BadModel:
            raise
        except (TypeError, ValueError, RuntimeError, AssertionError, KeyError) as err:
            problem = (str(err).splitlines() or [type(err).__name__])[0].rstrip(".: ")
            raise BadModel(
                f"The model '{self.name}' cannot be built for {classes} classes with the options "
                f"{dict(self.options)}: {problem}."
            ) from err
        if not isinstance(model, nn.Module):
            raise BadModel(f"'{self.name}' returned a {type(model).__name__}, not a torch.nn.Module.")
        return model

    def _factory(self, classes: int) -> Callable[..., nn.Module]:
        if self.library == HUGGING_FACE:
            return lambda **options: _hugging_face(Path(self.inner), options)
        if self.library:
            return library_builder(self.library, self.inner, classes)
        if ":" not in self.name:
            raise BadModel(f"There is no model '{self.name}'.{_suggestions(self.name)} --model is {FORMS}.")
        return _with_classes(registry.import_factory(self.name), classes)


def library_builder(library: str, name: str, classes: int) -> Callable[..., nn.Module]:
    """The builder of a classifier in torchvision's or timm's own list, without weights.

    Raises:
        BadModel: the library is not installed, or its list has no such name.
    """
    known = library_names(library)
    base, _, tag = name.partition(".")
    # timm's tags name weights (resnet50.a1_in1k); the network is the same, and the tag gives its preparation
    tagged = library == "timm" and tag and base in known and name in library_names(library, tagged=True)
    if name not in known and not tagged:
        raise BadModel(f"{library} has no classifier '{name}'.{_suggestions(name, known)}")
    if library == "timm":
        import timm

        return lambda **options: timm.create_model(name, pretrained=False, num_classes=classes, **options)
    from torchvision.models import get_model

    slow = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}  # minutes, for weights not used
    return lambda **options: get_model(name, weights=None, num_classes=classes, **slow, **options)


def library_names(library: str, *, tagged: bool = False) -> Collection[str]:
    """The classifiers of an installed library; with `tagged`, those with the names of weights that timm knows.

    Raises:
        BadModel: it is not installed.
    """
    if importlib.util.find_spec(library) is None:
        raise BadModel(f"{library} is not installed, so its models cannot be built. Install it: pip install {library}")
    if library == "timm":
        import timm

        return frozenset(timm.list_models(pretrained=tagged))
    import torchvision.models

    return frozenset(torchvision.models.list_models(module=torchvision.models))


def library_name(model: nn.Module, classes: int) -> str:
    """The name under which a library builds this very classifier, such as torchvision:resnet18; "" if none does.

    The module that defines its class gives the candidates; the names and shapes of its tensors decide.
    """
    module = type(model).__module__
    library = module.partition(".")[0]
    if library == "timm":
        candidates = [str((getattr(model, "pretrained_cfg", None) or {}).get("architecture", ""))]
    elif module.startswith("torchvision.models."):
        from torchvision.models import get_model_builder

        names = sorted(library_names("torchvision"))
        candidates = [name for name in names if get_model_builder(name).__module__ == module]
    else:
        return ""
    own = {key: value.shape for key, value in model.state_dict().items()}
    known = library_names(library)
    for name in candidates:
        with torch.device("meta"):  # no memory, no random numbers
            if name in known and own == _shapes(ModelSpec(f"{library}:{name}"), classes):
                return f"{library}:{name}"
    return ""


def classes_of(spec: ModelSpec, given: Collection[str], shape_of: Callable[[str], tuple[int, ...]]) -> int | None:
    """How many classes saved weights have, by the shape of the tensors that depend on it; None where none does.

    Args:
        spec: the model that they belong to.
        given: their names, as in the model's own state.
        shape_of: the shape of the tensor of a name in `given`.
    """
    try:
        with torch.device("meta"):  # no memory, no random numbers
            first, second = (_shapes(spec, count) for count in _TWO_SIZES)
    except Exception:  # a factory of one's own may fail in any way without memory; then the images decide
        return None
    for name, shape in first.items():
        differing = [axis for axis, side in enumerate(shape) if second.get(name, shape)[axis : axis + 1] != (side,)]
        if differing and name in given and len(shape_of(name)) == len(shape) and shape[differing[0]] == _TWO_SIZES[0]:
            return shape_of(name)[differing[0]]
    return None


def build_recorded_model(settings: object, weights: Mapping[str, Tensor], *, classes: int) -> nn.Module:
    """The classifier that a run was recorded from, with its recorded weights: from data that may come from a stranger.

    It is one of the lists of the installed libraries, with options among RECORDED_OPTIONS, or one that the operator
    named in CLASSPRINT_NETWORKS.

    Raises:
        BadModel: it is another one, or the weights are not its own.
    """
    name, options = registry.recorded_name(settings)
    spec = ModelSpec(name, options)
    if spec.library in LIBRARIES:
        _check_recorded_options(name, options)
        builder = library_builder(spec.library, spec.inner, classes)
        return registry.build_checked(name, lambda: builder(**options), weights)
    if name not in registry.operator_networks():
        raise registry.not_built(name)
    if spec.library != HUGGING_FACE:
        registry.check_values(name, registry.import_factory(name), options)
    elif options:
        raise BadModel(f"The run's options of '{name}' may not be used here: its folder says what it is.")
    return registry.build_checked(name, lambda: spec.build(classes), weights)


def _check_recorded_options(name: str, options: Mapping[str, Any]) -> None:
    for option, value in options.items():
        limits = RECORDED_OPTIONS.get(option)
        if isinstance(limits, frozenset):
            fits = isinstance(value, bool | str) and value in limits
        else:
            fits = limits is not None and type(value) is int and limits[0] <= value <= limits[1]
        if not fits:
            raise BadModel(
                f"The run's option {option[:40]} = {str(value)[:40]} of '{name}' may not be used here. "
                f"Allowed are {', '.join(RECORDED_OPTIONS)}, within their limits."
            )


def _shapes(spec: ModelSpec, classes: int) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in spec.build(classes).state_dict().items()}


def _with_classes(factory: Callable[..., Any], classes: int) -> Callable[..., Any]:
    """The factory with the number of classes where it takes one: by name, or as what it cannot do without."""
    try:
        parameters = inspect.signature(factory).parameters
    except ValueError:  # built into Python
        return factory
    name = next((each for each in _CLASS_ARGUMENTS if each in parameters), None)
    if name:
        return lambda **options: factory(**{name: classes, **options})
    first = next(iter(parameters.values()), None)
    if first is not None and first.default is inspect.Parameter.empty and first.kind is first.POSITIONAL_OR_KEYWORD:
        return lambda **options: factory(**options) if first.name in options else factory(classes, **options)
    return factory


def _hugging_face(folder: Path, options: Mapping[str, Any]) -> nn.Module:
    """The image classifier that a folder of Hugging Face's describes; none of its code is run."""
    if not (folder / "config.json").is_file():
        raise BadModel(f"'{folder}' is no folder of a Hugging Face model: it has no config.json.")
    if importlib.util.find_spec("transformers") is None:
        raise BadModel(
            "transformers is not installed, so hf:FOLDER cannot be built. Install it: pip install transformers"
        )
    from transformers import AutoConfig, AutoModelForImageClassification

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
        return AutoModelForImageClassification.from_config(config, trust_remote_code=False)
    except (OSError, ValueError) as err:
        problem = (str(err).splitlines() or [""])[0].rstrip(".: ")
        raise BadModel(f"The model in '{folder}' cannot be built as an image classifier: {problem}.") from err


def _suggestions(name: str, known: Collection[str] | None = None) -> str:
    """A sentence with the nearest names."""
    if known is None:
        known = [
            *registry.names(),
            *(f"{each}:{one}" for each in LIBRARIES if importlib.util.find_spec(each) for one in library_names(each)),
        ]
        name_of = {each.rpartition(":")[2]: each for each in reversed(known)}
        close = [name_of[each] for each in difflib.get_close_matches(name, name_of, 4, 0.6)]
    else:
        close = difflib.get_close_matches(name, known, 4, 0.6)
    return f" Did you mean {' or '.join(close)}?" if close else ""
