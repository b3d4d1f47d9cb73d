"""Profiles: TOML files that set `compute.config.settings`, and `--set section.key=value` on top of them."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from compute.config.settings import Profile
from compute.errors import BadOption

FOLDER = Path(__file__).parent / "profiles"


def profile_names() -> tuple[str, ...]:
    """The built-in profiles, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_profile(name: str, overrides: Iterable[str] = ()) -> Profile:
    """The settings of profile `name`, a built-in one or the path of a TOML file, with overrides applied.

    Args:
        overrides: texts `section.key=value`, the value as in TOML; a single word needs no quotes.

    Raises:
        BadOption: there is no such profile, key or choice, or a value has the wrong type or range.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        raise BadOption(
            f"There is no profile '{name}'. Built in: {', '.join(profile_names())}; or name a file that ends in .toml."
        )
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise BadOption(f"The profile '{path}' is not valid TOML: {err}. Correct that line.") from err
    profile = parse_profile(document)
    for text in overrides:
        profile = override(profile, text)
    return profile


def parse_profile(document: Mapping[str, Any]) -> Profile:
    """The settings that a parsed TOML document describes; what it leaves out keeps its default.

    Raises:
        BadOption: an unknown section or key, or an invalid value.
    """
    sections = {}
    for section, values in document.items():
        if section not in _sections():
            raise BadOption(f"There is no section '{section}' in a profile. Sections: {', '.join(_sections())}.")
        if not isinstance(values, Mapping):
            raise BadOption(f"'{section}' is a section, not a value. Write [{section}] and its keys below.")
        checked = {key: _checked(section, key, value) for key, value in values.items()}
        sections[section] = _sections()[section](**checked)
    return Profile(**sections)


def override(profile: Profile, text: str) -> Profile:
    """The profile with one `section.key=value` (or `model.options.name=value`) applied.

    Raises:
        BadOption: the text is malformed, or the key or value is unknown.
    """
    path, equals, value_text = text.partition("=")
    section, _, key = path.strip().partition(".")
    if not equals or not key:
        raise BadOption(f"'{text}' is not an override. Write section.key=value, for instance training.epochs=3.")
    document = as_dict(profile)  # and parsed again, so that one place checks limits
    target = document.setdefault(section, {})
    if section == "model" and key.startswith("options."):  # one option; the others stay
        target, key = target["options"], key.removeprefix("options.")
    target[key] = toml_value(value_text.strip())
    return parse_profile(document)


def as_dict(profile: Profile) -> dict[str, Any]:
    """The settings as nested plain dictionaries, ready for JSON: section -> key -> value."""
    return _plain(dataclasses.asdict(profile))


def settings_table() -> Iterator[tuple[str, str, str]]:
    """(section.key, default, explanation) of every setting, in order."""
    for section, kind in _sections().items():
        for each in dataclasses.fields(kind):
            default = each.default if each.default is not dataclasses.MISSING else {}
            choices = " | ".join(each.metadata.get("choices", ()))
            yield (
                f"{section}.{each.name}",
                str(_plain(default)),
                ": ".join(filter(None, (each.metadata["text"], choices))),
            )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _sections() -> dict[str, Any]:
    hints = typing.get_type_hints(Profile)
    return {each.name: hints[each.name] for each in dataclasses.fields(Profile)}


def toml_value(text: str) -> Any:
    """The text parsed as a TOML value; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _checked(section: str, key: str, value: Any) -> Any:
    """The value in the setting's type; raises BadOption if it is outside its limits."""
    fields = {each.name: each for each in dataclasses.fields(_sections()[section])}
    if key not in fields:
        raise BadOption(f"There is no setting '{section}.{key}'. Section {section} has: {', '.join(fields)}.")
    kind = typing.get_type_hints(_sections()[section])[key]
    value = _converted(f"{section}.{key}", kind, value)
    _check_limits(f"{section}.{key}", value, fields[key].metadata)
    return value


def _converted(name: str, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.UnionType):  # one number, or a list of them
        kind = next(each for each in typing.get_args(kind) if (each is int) is not isinstance(value, list | tuple))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 1e300 else math.inf
    if typing.get_origin(kind) is tuple and isinstance(value, list | tuple):
        return tuple(_converted(name, typing.get_args(kind)[0], item) for item in value)
    base = typing.get_origin(kind) or kind
    if not isinstance(value, base) or (isinstance(value, bool) and base is not bool):
        words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", dict: "a table"}
        wanted = words.get(base, "a list")
        raise BadOption(f"{name} must be {wanted}, not {value!r}. Correct the profile or the override.")
    return value


def _check_limits(name: str, value: Any, limits: Mapping[str, Any]) -> None:
    choices = limits.get("choices")
    if choices and value not in choices:
        raise BadOption(f"{name} cannot be {value!r}. It takes one of: {', '.join(choices)}.")
    for number in value if isinstance(value, tuple) else (value,):
        if "minimum" in limits and not number >= limits["minimum"]:
            raise BadOption(f"{name} = {number} is too small. The minimum is {limits['minimum']}.")
        if "maximum" in limits and not number <= limits["maximum"]:
            raise BadOption(f"{name} = {number} is too large. The maximum is {limits['maximum']}.")
        if "above" in limits and not number > limits["above"]:
            raise BadOption(f"{name} = {number} is invalid: it must be greater than {limits['above']}.")
        for single in number.values() if isinstance(number, Mapping) else (number,):
            if isinstance(single, float) and not math.isfinite(single):
                raise BadOption(f"{name} = {single} is invalid: it must be a finite number.")
