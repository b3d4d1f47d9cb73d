"""Which files of weights are recorded as which epochs: patterns and folders in, numbered and labelled files out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compute.errors import BadWeights
from store.format.layout import MOST_EPOCHS

SUFFIXES = (".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".tar")
RESUMING = ".state.pt"  # what else a training of this project needs to resume; no weights of its own
UNTRAINED = "0000"  # so this project's trainings name the weights before their first step
_NAMED = re.compile(r"(?:^|[^a-z])(?:epochs?|ep|e)[=_\-. ]?(\d+)", re.IGNORECASE)
_NUMBERS = re.compile(r"\d+")
_PLAIN = re.compile(r"(?:epochs?|ep|e|checkpoint|ckpt|model|weights|net)?[=_\-. ]?0*(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class CheckpointFile:
    """A file of weights that is recorded as an epoch; `label` is its name, where that says more than the number."""

    path: Path
    epoch: int
    label: str


def find_files(patterns: Iterable[str]) -> tuple[Path, ...]:
    """The files that names, patterns such as `runs/*.pt` and folders mean, each one once, in natural order (2 < 10).

    Raises:
        BadWeights: a name or pattern means none.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern).expanduser()
        if path.is_dir():
            names = [each for each in path.iterdir() if each.suffix in SUFFIXES and not each.name.endswith(RESUMING)]
        else:
            # a name that exists is meant as it is: [ and ] are signs of a pattern, too
            names = [path] if path.exists() else list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not names:
            what = f"contains no file that ends in {', '.join(SUFFIXES)}" if path.is_dir() else "does not exist"
            raise BadWeights(f"The checkpoint '{pattern}' {what}. Name files, a pattern in quotes, or a folder.")
        found |= dict.fromkeys(sorted(names, key=natural_order))
    return tuple(found)


def natural_order(path: Path) -> tuple[list[tuple[int, int | str]], str]:
    """A key that sorts e2 before e10."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts], str(path)


def number_epochs(
    paths: Sequence[Path], finished_epochs: Callable[[Path], int | None], *, trust_files: bool = False
) -> tuple[CheckpointFile, ...]:
    """The files with their epochs, ascending.

    The number is that in the file's name (`epoch_12`, `e12`, `12`, or the one number in which the names differ), else
    the one in the file, else the place in the order given, from 1 on. Whoever counts from 0 has trained for an epoch
    then, and 0 is the untrained network here: such numbers are raised by 1, and the label keeps the name.

    Args:
        paths: the files.
        finished_epochs: reads the number of finished epochs that a file gives; only called where it is asked for.
        trust_files: what the files say is certain, and goes before their names.
    """
    ways: tuple[Callable[[], list[int | None]], ...] = (
        lambda: [_named_number(path.stem) for path in paths],
        lambda: [finished_epochs(path) for path in paths],
        lambda: _differing_number([path.stem for path in paths]),
    )
    numbers = _distinct([finished_epochs(path) for path in paths], len(paths)) if trust_files else []
    if not numbers:
        found = (_distinct(way(), len(paths)) for way in ways)
        numbers = next((each for each in found if each), list(range(1, len(paths) + 1)))
        if 0 in numbers and all(path.stem != UNTRAINED for path in paths):
            numbers = [number + 1 for number in numbers]
    files = (
        CheckpointFile(path, number, "" if _says_only(path.stem, number) else path.stem)
        for path, number in zip(paths, numbers, strict=True)
    )
    return tuple(sorted(files, key=lambda file: file.epoch))


def thin_out(files: Sequence[CheckpointFile], every: int) -> tuple[CheckpointFile, ...]:
    """Every n-th file, counted back from the last one, which is always taken."""
    return tuple(files[::-1][::every][::-1])  # from the end: the last epoch is what everybody looks at first


def _says_only(stem: str, number: int) -> bool:
    """Whether a file's name says no more than the number of its epoch: 0012, e12, checkpoint_12."""
    plain = _PLAIN.fullmatch(stem)
    return plain is not None and int(plain[1]) == number


def _named_number(stem: str) -> int | None:
    named = _NAMED.search(stem)
    return int(stem) if stem.isdigit() else int(named[1]) if named else None


def _differing_number(stems: Sequence[str]) -> list[int | None]:
    """The number of each name at the one place where all of them differ, if the names are otherwise alike."""
    rows = [[int(each) for each in _NUMBERS.findall(stem)] for stem in stems]
    if len(stems) == 1 or len({_NUMBERS.sub("#", stem) for stem in stems}) != 1:
        return [None]
    columns = [list(column) for column in zip(*rows, strict=True)]
    return next((list(column) for column in columns if len(set(column)) == len(stems)), [None])


def _distinct(numbers: Sequence[int | None], count: int) -> list[int]:
    """The numbers, if there are `count`, all different and not too large; else an empty list."""
    known = [number for number in numbers if number is not None and number < MOST_EPOCHS]
    return known if len(known) == len(numbers) == len(set(known)) == count else []
