"""Training and recording beside the obvious alternatives, in one run, so that the ratios carry over to other machines.

    python -m bench compute [--data phantom] [--profile quick] [--steps 20] [--rounds 3] [--only recording]

Training: the profile's own step against the plain torchvision loop (ImageFolder over JPEG files, DataLoader with two
workers, per-image transforms, float32, PyTorch's grouped transposed convolution). Recording: the forward passes of all
variants alone against the same passes recorded into complete files. Gallery: maps read from the record against Grad-CAM
on demand by the usual library. The two sides of a line alternate, after a warm-up of both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from bench import document
from compute.config.profile import load_profile, override
from compute.live.explain import Logits
from compute.models import build
from compute.recording.epoch_recorder import EpochRecorder, class_maps, forward
from compute.recording.run_recorder import open_or_create
from compute.runs.device import describe_device, use_threads
from compute.runs.prepare import PreparedRun, prepare
from compute.training.augment import RandomNumbers
from compute.training.metrics import RunningMetrics
from compute.training.trainer import Trainer
from store import open_run
from store.rates import percent

GALLERY = 50  # images on one page of a class
# Images of a class: few seconds of training, but enough passes that completing the file, which a run does while the
# next epoch trains, weighs little.
SMALL = ("data.train_per_class=10", "data.validation_per_class=10")
WARM_UP = 4  # untimed steps after each change of sides: what one side prefetched meanwhile must not count
FULL_TRAINING, FULL_RECORDING = 100_000, 80_000  # training images and recorded passes of an epoch of Tiny ImageNet

Row = tuple[str, ...]
HEADINGS = ("what", "alternative", "Classprint", "ratio")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print one table in Markdown."""
    options = _options(arguments)
    use_threads(options.threads)
    settings = load_profile(options.profile, [*SMALL, *options.set])
    if options.data:
        settings = override(settings, f"data.source='{options.data}'")
    prepared = prepare(settings, device="auto")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.only:
            print(document.table(HEADINGS, recording_rows(prepared, folder / "run", rounds=options.rounds)[0]))
            return
        training, train_rate = training_row(prepared, folder / "jpeg", steps=options.steps, rounds=options.rounds)
        recording, record_rate = recording_rows(prepared, folder / "run", rounds=options.rounds)
        rows = [training, *recording, gallery_row(prepared, folder / "run", rounds=2 * options.rounds)]
    share = (FULL_RECORDING / record_rate) / (FULL_TRAINING / train_rate + FULL_RECORDING / record_rate)
    print(
        f"{describe_device(prepared.device)}, {prepared.dataset.name}, network {settings.model.name}, batches of "
        f"{settings.training.batch}, medians of {options.rounds} rounds (lowest to highest).\n\n"
        f"{document.table(HEADINGS, rows)}\n\n"
        f"At these rates recording is {percent(share, 0)} of an epoch of {FULL_TRAINING:,} images, "
        f"{FULL_RECORDING:,} passes."
    )


def alternate(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each side returns, round by round, in alternating order; a first round warms up and is left out."""
    results: dict[str, list[float]] = {name: [] for name in sides}
    # In turns, so that other load of the machine meets both sides; the order changes, so that neither is always first.
    for number in range(rounds + 1):
        for name in list(sides) if number % 2 else list(sides)[::-1]:
            value = sides[name]()
            if number:
                results[name].append(value)
    return results


def training_row(prepared: PreparedRun, folder: Path, *, steps: int, rounds: int) -> tuple[Row, float]:
    """Images per second of both training loops, and the median of ours."""
    batch = prepared.profile.training.batch
    _write_jpeg(prepared, folder, (steps + WARM_UP) * batch)

    def rate(loop: Iterator[None]) -> float:
        for _ in islice(loop, WARM_UP):
            pass
        _wait(prepared.device)
        started = time.perf_counter()
        for _ in islice(loop, steps):
            pass
        _wait(prepared.device)
        return steps * batch / (time.perf_counter() - started)

    ours, plain = own_steps(prepared), _plain_steps(prepared, folder)
    rates = alternate({"plain": lambda: rate(plain), "ours": lambda: rate(ours)}, rounds)
    return _row("training, images/s", rates["plain"], rates["ours"], "{:.0f}"), statistics.median(rates["ours"])


def recording_rows(prepared: PreparedRun, path: Path, *, rounds: int) -> tuple[list[Row], float]:
    """Passes per second through the network alone, and recorded into complete files; and the median of the latter."""
    run = open_or_create(path, prepared.material(path.name), prepared.processes, quiet=True)
    recorder, epochs = prepared.epoch_recorder(path, quiet=True), iter(range(1, 1000))
    passes = len(prepared.dataset.validation.labels) * len(prepared.variants)
    worked: dict[str, list[float]] = {"alone": [], "recorded": []}

    def timed(name: str, work: Callable[[], None]) -> float:
        started, processor = time.perf_counter(), time.process_time()
        work()
        worked[name].append(time.process_time() - processor)
        return passes / (time.perf_counter() - started)

    def recorded() -> None:
        with run.epoch(next(epochs)) as writer:
            recorder.record(prepared.network, writer, title="")

    sides = {
        "alone": lambda: timed("alone", lambda: _forward_only(prepared, recorder)),
        "recorded": lambda: timed("recorded", recorded),
    }
    rates = alternate(sides, rounds)
    alone, both = (statistics.median(worked[name][1:]) for name in ("alone", "recorded"))
    size = (path / "epochs" / "0001.h5").stat().st_size
    slower = statistics.median(rates["alone"]) / statistics.median(rates["recorded"]) - 1
    row = _row("passes/s: network alone, and recorded into complete files", rates["alone"], rates["recorded"], "{:.0f}")
    processor = (
        "processor ms a pass",
        f"{1e3 * alone / passes:.2f}",
        f"{1e3 * both / passes:.2f}",
        f"{both / alone - 1:+.1%}",
    )
    rows = [
        (*row[:3], f"{slower:+.1%} time"),
        processor,
        ("bytes per pass (untrained network)", "", f"{size / passes:.0f}", ""),
    ]
    return rows, statistics.median(rates["recorded"])


def gallery_row(prepared: PreparedRun, path: Path, *, rounds: int) -> Row:
    """Milliseconds to the maps of a gallery, new images each time: Grad-CAM on demand, or read from the record."""
    run, random = open_run(path), np.random.default_rng(0)
    logits = Logits(prepared.network)

    def images() -> list[int]:
        start = int(random.integers(max(1, len(run.labels) - GALLERY)))
        return list(range(start, min(start + GALLERY, len(run.labels))))

    def read() -> float:
        chosen, started = images(), time.perf_counter()
        run.true_class_maps(epoch=1, variant="clean", images=chosen)
        return 1e3 * (time.perf_counter() - started)

    with GradCAM(model=logits, target_layers=[logits.network.get_submodule("encoder.layer4")]) as cam:

        def compute() -> float:
            chosen = images()
            x = prepared.normaliser(torch.from_numpy(run.pixels(chosen)).to(prepared.device))
            targets = [ClassifierOutputTarget(int(label)) for label in run.labels[chosen]]
            started = time.perf_counter()
            cam(input_tensor=x, targets=targets)
            return 1e3 * (time.perf_counter() - started)

        times = alternate({"computed": compute, "read": read}, rounds)
    faster = statistics.median(times["computed"]) / statistics.median(times["read"])
    row = _row(f"maps of {GALLERY} images, ms: Grad-CAM on demand, read", times["computed"], times["read"], "{:.1f}")
    return (*row[:3], f"{faster:.0f}x")


def own_steps(prepared: PreparedRun) -> Iterator[None]:
    """Classprint's training steps on images that are on the device, without end."""
    settings = prepared.profile.training
    network = build(prepared.profile.model.name, len(prepared.dataset.classes), **prepared.profile.model.options)
    network.to(prepared.device).to(memory_format=torch.channels_last)
    trainer = Trainer(network, settings=settings, augment=prepared.augmenter)
    training_set, metrics = prepared.training_set(), RunningMetrics(prepared.device)
    generator = torch.Generator().manual_seed(0)
    network.train()
    while True:
        chosen = torch.randint(len(training_set.labels), (settings.batch,), generator=generator).to(prepared.device)
        numbers = RandomNumbers(generator, settings.batch)
        trainer.step(training_set.images[chosen], training_set.labels[chosen], 1e-3, numbers, metrics)
        yield


def _plain_steps(prepared: PreparedRun, folder: Path) -> Iterator[None]:
    """The steps of the loop that most code has, over JPEG files, without end."""
    classes, settings = len(prepared.dataset.classes), prepared.profile.training
    network = build(prepared.profile.model.name, classes, **prepared.profile.model.options).to(prepared.device)
    # Ours replaces it by a matrix product (59 to 2 ms per step), so the plain loop gets PyTorch's own back.
    if hasattr(network, "class_maps") and prepared.profile.model.name == "paper":
        grouped = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False, groups=classes)
        network.get_submodule("class_maps").register_module("conv", grouped.to(prepared.device))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    per_image = [
        transforms.RandomRotation(prepared.profile.augmentation.rotation),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(prepared.profile.data.mean, prepared.profile.data.sd),
    ]
    files = ImageFolder(str(folder), transforms.Compose(per_image))
    loader = DataLoader(files, settings.batch, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True)
    network.train()
    while True:
        for x, labels in loader:
            loss = functional.cross_entropy(network(x.to(prepared.device)).mean((-1, -2)), labels.to(prepared.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield


def _forward_only(prepared: PreparedRun, recorder: EpochRecorder) -> None:
    """All variants of all validation images through the network; the maps are dropped."""
    prepared.network.eval()
    total, size = len(recorder.images), recorder.settings.batch
    with torch.inference_mode():
        for start in range(0, total, size):
            for variant in recorder.images.variants:
                images = recorder.images.batch(variant, slice(start, min(start + size, total)))
                run = forward if variant == "clean" else class_maps
                run(prepared.network, prepared.normaliser(images), recorder.precision)


def _write_jpeg(prepared: PreparedRun, folder: Path, count: int) -> None:
    """Some training images as JPEG files, a folder for each class."""
    train = prepared.dataset.training_images()
    for number in np.random.default_rng(0).permutation(len(train.labels))[:count]:
        target = folder / f"{train.labels[number]:04d}"
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(train.images[number])).save(target / f"{number}.jpg", quality=90)


def _row(what: str, alternative: list[float], ours: list[float], form: str) -> Row:
    """A line of the table: medians with their spread, and ours as a multiple of the alternative."""
    cells = [
        f"{form.format(statistics.median(values))} ({form.format(min(values))} to {form.format(max(values))})"
        for values in (alternative, ours)
    ]
    return what, *cells, f"{statistics.median(ours) / statistics.median(alternative):.2f}x"


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = document.parser("compute", __doc__)
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--data", help="as for python -m compute")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=20, help="steps per round")
    parser.add_argument("--only", choices=["recording"], help="leave the rest out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
