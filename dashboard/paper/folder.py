"""The paper's figures of a run as files: `python -m dashboard figures RUN --out DIR`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dashboard.paper.canvas import FORMATS
from dashboard.paper.figures import PaperFigure, paper_figures
from dashboard.shared.theme import escape_markdown
from store import Run
from store.format.hdf5_file import atomic_path

INDEX = "figures.md"


def write_figures(
    run: Run,
    folder: Path,
    *,
    formats: Sequence[str] = FORMATS,
    epoch: int | None = None,
    seed: int = 0,
    progress: Callable[[str], object] = lambda name: None,
) -> list[Path]:
    """Paths of the files written: each figure in each format, and figures.md with their captions.

    The same run, epoch and seed give the same files; files of these names are replaced.

    Args:
        formats: of `FORMATS`.
        epoch: that the predictions are of; None for the last one.
        progress: called with the name of each figure that is done.

    Raises:
        ValueError: a format is unknown, or the seed negative.
        StoreError: the run has no epoch, not this one, or cannot be read; or a file cannot be written.
    """
    unknown = [form for form in formats if form not in FORMATS]
    if unknown or not formats:
        asked = f"Format {unknown[0]!r} is unknown" if unknown else "No format is named"
        raise ValueError(f"{asked}: choose from {', '.join(FORMATS)}.")
    figures, written = paper_figures(run, epoch=epoch, seed=seed), []
    for figure in figures:
        if figure.canvas is None:
            continue
        canvas = figure.canvas()
        for form in formats:
            written.append(_write(folder / f"{figure.name}.{form}", canvas.to_bytes(form)))
        progress(figure.name)
    return [*written, _write(folder / INDEX, _index(run, figures, formats).encode())]


def _write(path: Path, content: bytes) -> Path:
    with atomic_path(path) as part:
        part.write_bytes(content)
    return path


def _index(run: Run, figures: Sequence[PaperFigure], formats: Sequence[str]) -> str:
    """The captions, and why a figure is missing, as Markdown."""
    shown = next((form for form in ("svg", "png") if form in formats), None)
    lines = [f"# Figures of the run {escape_markdown(run.path.name)}", "", f"Run identity {run.id}."]
    for figure in figures:
        number = figure.name.replace("-0", " ").replace("-", " ").capitalize()
        lines += ["", f"## {number}: {escape_markdown(figure.title)}", ""]
        if figure.canvas is None:
            lines.append(f"Not made. {escape_markdown(figure.missing)}")
            continue
        if shown:
            lines += [f"![{number}]({figure.name}.{shown})", ""]
        links = ", ".join(f"[{form.upper()}]({figure.name}.{form})" for form in formats)
        lines.append(f"{escape_markdown(figure.caption)} {links}")
    return "\n".join(lines) + "\n"
