"""Networks by name. `package.module:Name` is imported: a user's own network needs no other step."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from compute.errors import BadModel
from compute.models.network import ClassMapNetwork, WithoutTrace

Factory = Callable[..., nn.Module]
_FACTORIES: dict[str, Factory] = {}


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


def build(name: str, classes: int, **options: Any) -> ClassMapNetwork:
    """The network `name` with that many classes, initialised from torch's current random state.

    Args:
        name: a registered name, or `package.module:Name` of a class or function that can be imported.
        classes: C, at least 2.
        options: the network's own keyword options.

    Raises:
        BadModel: the name is unknown, cannot be imported, or does not take these options.
    """
    factory = _import(name) if ":" in name else _FACTORIES.get(name)
    if factory is None:
        raise BadModel(
            f"There is no network '{name}'. Available: {', '.join(names())}; "
            "or name one of your own as 'package.module:Name'."
        )
    _check_options(name, factory, options)
    try:
        network = factory(classes, **options)
    except (TypeError, ValueError) as err:
        problem = (str(err).splitlines() or [type(err).__name__])[0].rstrip(".: ")
        raise BadModel(f"The network '{name}' cannot be built with the options {options}: {problem}.") from err
    if isinstance(network, ClassMapNetwork):
        return network
    if isinstance(network, nn.Module):
        return WithoutTrace(network, signed=getattr(network, "signed", True))
    raise BadModel(
        f"'{name}' returned a {type(network).__name__}. A network is a torch.nn.Module that returns class maps."
    )


def _import(name: str) -> Factory:
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
