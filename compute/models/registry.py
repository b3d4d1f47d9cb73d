"""Networks by name, for training and for a run that is shown again.

Whoever trains may name a network of their own as `package.module:Name`, which is imported. A run may come from a
stranger, so what a run names is never imported: see `build_recorded`.
"""

from __future__ import annotations

import importlib
import inspect
import math
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from compute.errors import BadModel, NotBuilt
from compute.models.network import ClassMapNetwork, WithoutTrace

OPERATOR_NETWORKS = "CLASSPRINT_NETWORKS"  # environment variable: 'package.module:Name,...'
Factory = Callable[..., nn.Module]
Module = TypeVar("Module", bound=nn.Module)
_FACTORIES: dict[str, Factory] = {}
_LARGEST_OPTION = 4096  # of a recorded option without limits of its own
_MOST_ITEMS = 32  # of a recorded option that is a list
_UNSAVED_BYTES = 1 << 26  # buffers that a network leaves out of its state


def register(name: str) -> Callable[[Factory], Factory]:
    """A decorator that makes a network buildable as `name`: a class or function (classes, **options) -> nn.Module.

    Raises:
        BadModel: another network already has this name.
    """

    def add(factory: Factory) -> Factory:
        known = _FACTORIES.setdefault(name, factory)
        if known is not factory:
            raise BadModel(f"A network is already registered as '{name}' ({known.__qualname__}). Choose another name.")
        return factory

    return add


def names() -> tuple[str, ...]:
    """The registered names, in alphabetical order."""
    return tuple(sorted(_FACTORIES))


def name_of(network: nn.Module) -> str:
    """The registered name of a network's class, "" where it has none."""
    return next((name for name in names() if _FACTORIES[name] is type(network)), "")


def build(name: str, classes: int, **options: Any) -> ClassMapNetwork:
    """The network `name` with that many classes, initialised from torch's current random state.

    Args:
        name: a registered name, or `package.module:Name` of a class or function that can be imported.
        classes: C, at least 2.
        options: the network's own keyword options.

    Raises:
        BadModel: the name is unknown, cannot be imported, or does not take these options.
    """
    factory = import_factory(name) if ":" in name else _FACTORIES.get(name)
    if factory is None:
        raise BadModel(
            f"There is no network '{name}'. Available: {', '.join(names())}; "
            "or name one of your own as 'package.module:Name'."
        )
    _check_options(name, factory, options)
    return _construct(name, factory, classes, options)


def operator_networks() -> tuple[str, ...]:
    """The networks that whoever started this process lets runs name: those in the variable CLASSPRINT_NETWORKS."""
    return tuple(filter(None, (name.strip() for name in os.environ.get(OPERATOR_NETWORKS, "").split(","))))


def build_recorded(settings: object, weights: Mapping[str, Tensor], *, classes: int) -> ClassMapNetwork:
    """The network of a run, with its recorded weights: built from data that may come from a stranger.

    Args:
        settings: what the run's configuration says of its model: name and options.
        weights: the tensors of a checkpoint; names, shapes and types must be the network's.
        classes: C of the run.

    Raises:
        BadModel: the network is neither registered nor named by the operator, its options are outside their limits, or
            the weights belong to another network.
    """
    name, options = recorded_name(settings)
    factory = _recorded_factory(name)
    _check_options(name, factory, dict(options))
    check_values(name, factory, options)
    return build_checked(name, lambda: _construct(name, factory, classes, options), weights)


def recorded_name(settings: object) -> tuple[str, Mapping[str, Any]]:
    """The name and the options in what a run's configuration says of its model.

    Raises:
        BadModel: it does not say them.
    """
    if not isinstance(settings, Mapping) or not isinstance(settings.get("name"), str):
        raise BadModel("The run's configuration does not name its network, so no image can be passed through it.")
    name, options = settings["name"], settings.get("options", {})
    if not isinstance(options, Mapping) or not all(isinstance(option, str) for option in options):
        raise BadModel(f"The run's options of the network '{name[:200]}' are no table of names and values.")
    return name, options


def build_checked(name: str, construct: Callable[[], Module], weights: Mapping[str, Tensor]) -> Module:
    """What `construct` returns, with weights that may come from a stranger; its size is known before it is allocated.

    Raises:
        BadModel: names, shapes or types of the weights are not the network's, or it cannot be built.
    """
    try:
        # A network on the device meta has shapes but takes no memory: nothing is allocated before the sizes are known.
        with torch.device("meta"):
            sketch = construct()
        _check_weights(name, sketch, weights)
        network = construct()
        network.load_state_dict(dict(weights))
    except BadModel:
        raise
    except Exception as err:  # an operator's own network may fail in any way on options that it did not choose
        raise BadModel(f"The network '{name}' cannot be built from this run: {type(err).__name__}: {err}.") from err
    return network


def _recorded_factory(name: str) -> Factory:
    """What a run may be built from: a registered network, or one that the operator named when starting."""
    allowed = operator_networks()
    # their modules may also register short names; a folder of Hugging Face's is adopted (compute.models.library)
    imported = {own: import_factory(own) for own in allowed if not own.startswith("hf:")}
    factory = imported.get(name) or _FACTORIES.get(name)
    if factory is None:
        raise not_built(name)
    return factory


def not_built(name: str) -> NotBuilt:
    """The refusal of a network that a run names and that may not be built."""
    return NotBuilt(
        f"The run was recorded with the network '{name[:200]}', which this dashboard does not build. It builds "
        f"{', '.join(names() + operator_networks())} and those of torchvision and timm. A run cannot name code. If it "
        f"is a network of your own, start the dashboard with {OPERATOR_NETWORKS}=package.module:Name, or hf:FOLDER "
        "(docs/custom-network.md)."
    )


def _construct(name: str, factory: Factory, classes: int, options: Mapping[str, Any]) -> ClassMapNetwork:
    """The network that a factory returns, checked to be one."""
    try:
        network = factory(classes, **options)
    except (TypeError, ValueError, RuntimeError) as err:
        problem = (str(err).splitlines() or [type(err).__name__])[0].rstrip(".: ")
        raise BadModel(f"The network '{name}' cannot be built with the options {dict(options)}: {problem}.") from err
    if isinstance(network, ClassMapNetwork):
        return network
    if isinstance(network, nn.Module):
        return WithoutTrace(network, signed=getattr(network, "signed", True))
    raise BadModel(
        f"'{name}' returned a {type(network).__name__}. A network is a torch.nn.Module that returns class maps."
    )


def import_factory(name: str) -> Factory:
    """The object that `package.module:Name` names."""
    module_name, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as err:
        raise BadModel(
            f"The network '{name}' cannot be imported: {err}. "
            "The module must be on Python's path (PYTHONPATH) and define that name."
        ) from err


def _check_options(name: str, factory: Factory, options: dict[str, Any]) -> None:
    """Refuses options that the factory does not take, and names those it takes."""
    try:
        parameters = list(inspect.signature(factory).parameters.values())[1:]
    except ValueError:  # built into Python; what it returns is checked instead
        return
    known = [parameter.name for parameter in parameters]
    unknown = sorted(set(options) - set(known))
    if unknown and not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        raise BadModel(
            f"The network '{name}' has no option {', '.join(map(repr, unknown))}. "
            f"Its options: {', '.join(known) or 'none'}. "
            "A profile's model.options belong to its own network: replace them with --set 'model.options={...}'."
        )


def check_values(name: str, factory: Factory, options: Mapping[str, Any]) -> None:
    """Refuses recorded options of another kind than their defaults, or outside the factory's `option_limits`."""
    try:
        parameters = inspect.signature(factory).parameters
    except ValueError:  # built into Python
        parameters = MappingProxyType({})
    limits = getattr(factory, "option_limits", {})
    for option, value in options.items():
        default = parameters[option].default if option in parameters else inspect.Parameter.empty
        limit = limits.get(option)
        if not _same_kind(value, default):
            problem = "a value of another kind than the default"
        elif isinstance(limit, frozenset):
            problem = "" if value in limit else f"none of {', '.join(map(str, sorted(limit)))}"
        else:
            problem = _size_problem(value, limit or (-_LARGEST_OPTION, _LARGEST_OPTION))
        if problem:
            raise BadModel(f"The run's option {option} of the network '{name}' is {problem}: {str(value)[:100]}.")


def _same_kind(value: object, default: object) -> bool:
    """Whether a value may replace a default; any may where there is no default that says what it is."""
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default) if isinstance(default, bool | int | str) else True


def _size_problem(value: object, limits: tuple[float, float]) -> str:
    """Why a recorded value is refused, empty where it is not: numbers within limits, short texts, lists of them."""
    low, high = limits
    if isinstance(value, list | tuple):
        if len(value) > _MOST_ITEMS:
            return f"a list of more than {_MOST_ITEMS} items"
        if any(isinstance(item, list | tuple) for item in value):
            return "a list of lists"
        return next(filter(None, (_size_problem(item, limits) for item in value)), "")
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        return "" if math.isfinite(value) and low <= value <= high else f"not between {low:g} and {high:g}"
    if isinstance(value, str):
        return "" if len(value) <= 200 else "a text of more than 200 characters"
    return "no number, text or list of them"


def _check_weights(name: str, sketch: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Refuses weights whose names, shapes or types are not the network's, or that claim more than they hold."""
    own = sketch.state_dict()
    differing = sorted(set(own) ^ set(weights))
    if differing:
        raise BadModel(f"The checkpoint does not fit the network '{name}': only one of the two has {differing[0]}.")
    for key, value in own.items():
        given = weights[key]
        # Not whether it is contiguous: a trained network's kernels are saved channels last.
        claims_more = given.numel() * given.element_size() > given.untyped_storage().nbytes()
        if given.shape != value.shape or given.dtype != value.dtype or claims_more:
            raise BadModel(
                f"The checkpoint does not fit the network '{name}': {key} is {tuple(given.shape)} {given.dtype}, "
                f"the network needs {tuple(value.shape)} {value.dtype}."
            )
    stored = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in weights.values()}
    needed = sum(value.nbytes for value in (*sketch.parameters(), *sketch.buffers()))
    if needed > sum(stored.values()) + _UNSAVED_BYTES:
        raise BadModel(
            f"The network '{name}' needs {needed / 1e6:.0f} MB, more than the checkpoint holds. "
            "The run is not what Classprint wrote; get another copy of it."
        )
