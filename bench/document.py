"""The documents with measured figures, and the line on machine and time that belongs to each figure."""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- figures: ([a-z_-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
OPENING = """# Benchmarks

Written by `make bench` (`python -m bench`). Each section names its command, the machine, the date and the other load.
Ratios between the lines of one table carry over to other machines better than the figures themselves.
"""
_LIBRARIES = ("numpy", "h5py", "hdf5plugin", "zstandard", "pandas", "torch", "streamlit", "altair")


def parser(command: str, text: str) -> argparse.ArgumentParser:
    """The parser of one command of bench; its help is the module's text as it is laid out."""
    prog = f"python -m bench {command}".rstrip()
    return argparse.ArgumentParser(prog=prog, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)


def machine() -> str:
    """Processor, cores, memory and system."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({name}), {memory:.0f} GiB of memory, {platform.system()} {platform.release()}"


def versions() -> str:
    """Versions of Python and of the installed libraries that matter."""
    installed = {distribution.metadata["Name"].lower() for distribution in metadata.distributions()}
    found = [f"{name} {metadata.version(name)}" for name in _LIBRARIES if name in installed]
    return ", ".join([f"Python {platform.python_version()}", *found])


def load() -> str:
    """The load average over one and five minutes: how busy the machine was."""
    one, five, _ = os.getloadavg()
    return f"{one:.1f} over one minute, {five:.1f} over five"


def now() -> str:
    """Date and time, UTC."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, text_columns: int = 1) -> str:
    """A Markdown table; all columns but the first `text_columns` are aligned to the right."""
    rule = ["---" if column < text_columns else "---:" for column in range(len(headings))]
    lines = [headings, rule, *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def failure_lines(failures: Iterable[str]) -> str:
    """A line for each error in which reruns of a dashboard ended; '' means none."""
    counts = Counter(failure for failure in failures if failure)
    return "".join(f"\n\n**{count} reruns failed:** {failure}" for failure, count in counts.most_common())


def write_section(path: Path, title: str, body: str, *, order: Sequence[str]) -> None:
    """Put a section into the document, in place of one with the same title; the others stay, sorted as in `order`."""
    sections = read_sections(path.read_text("utf-8")) if path.is_file() else {}
    sections[title] = body
    ordered = sorted(sections, key=lambda name: order.index(name) if name in order else len(order))
    path.parent.mkdir(parents=True, exist_ok=True)
    # An interruption while writing does not lose an hour of measurements.
    unfinished = path.with_suffix(".new")
    text = [OPENING, *(f"## {name}\n\n{sections[name].strip()}\n" for name in ordered)]
    unfinished.write_text("\n".join(text), "utf-8")
    unfinished.replace(path)


def read_sections(text: str) -> dict[str, str]:
    """The document's sections by title."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {title.strip(): body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def refresh(path: Path, blocks: Mapping[str, str]) -> None:
    """Replace blocks of a document, see `replace_blocks`."""
    path.write_text(replace_blocks(path.read_text("utf-8"), blocks), "utf-8")
    print(f"Written to {path}.", file=sys.stderr)


def replace_blocks(text: str, blocks: Mapping[str, str]) -> str:
    """The text with the content of each named block replaced; the other blocks and the prose stay.

    A block is between `<!-- figures: NAME -->` and `<!-- end -->`.

    Raises:
        ValueError: the text has no block of one of the names.
    """
    known = [name for _, name, _ in BLOCK.findall(text)]
    missing = sorted(set(blocks) - set(known))
    if missing:
        raise ValueError(f"The document has no block for {', '.join(missing)}, only for {', '.join(known)}.")
    return BLOCK.sub(
        lambda match: f"{match[1]}{blocks[match[2]]}\n{match[3]}" if match[2] in blocks else match[0], text
    )
