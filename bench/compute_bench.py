"""Training and recording against the obvious alternatives, in one run, so that the ratios hold whatever the machine.

    python -m bench.compute_bench [--data phantom] [--profile quick] [--steps 20] [--rounds 3]

Training: the profile's own step against the plain torchvision loop (ImageFolder over JPEG files, DataLoader with two
workers, per-image transforms, float32, PyTorch's grouped transposed convolution). Recording: forward passes of all
variants alone against the same passes recorded and sealed; whole epochs with recording against epochs without. Gallery:
the maps of one class's images read from the record against Grad-CAM computed on demand by the usual library. The two
sides of a line take turns, in alternating order, after a warm-up of both. About four minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
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

from compute.config.profile import load_profile, override
from compute.live.explain import Logits
from compute.models import build
from compute.recording.recorder import Recorder, class_maps, forward
from compute.runs.device import describe_device, use_threads
from compute.runs.interrupt import StopRequest
from compute.runs.prepare import PreparedRun, prepare
from compute.runs.run import Experiment, open_or_create
from compute.training.augment import RandomNumbers
from compute.training.metrics import Scores
from compute.training.trainer import Trainer
from store import create_run, open_run, resume_run

GALLERY = 50  # images on one page of a class
# Of a class: few seconds of training, and enough passes that sealing, which a run does while the next epoch trains,
# weighs little.
SMALL = ("data.train_per_class=10", "data.validation_per_class=10")
UNTIMED = 4  # steps after each change of sides: what one side prefetched meanwhile must not count
FULL = 100_000, 80_000  # training images and recorded passes of an epoch of Tiny ImageNet

Row = tuple[str, ...]


def main() -> None:
    """Measure and print one table in Markdown."""
    options = _options()
    use_threads(options.threads)
    profile = load_profile(options.profile, [*SMALL, *options.set])
    if options.data:
        profile = override(profile, f"data.source='{options.data}'")
    prepared = prepare(profile, device="auto")
    with tempfile.TemporaryDirectory() as folder:
        rows, training = training_rows(prepared, Path(folder) / "jpeg", steps=options.steps, rounds=options.rounds)
        more, recording = recording_rows(prepared, Path(folder) / "run", rounds=options.rounds)
        rows += more + epoch_rows(prepared, Path(folder) / "whole", rounds=options.rounds)
        rows += gallery_rows(prepared, Path(folder) / "run", rounds=2 * options.rounds)
    share = (FULL[1] / recording) / (FULL[0] / training + FULL[1] / recording)
    head = f"{describe_device(prepared.device)}, PyTorch {torch.__version__}, {prepared.dataset.name}, "
    head += f"network {profile.model.name}, batches of {profile.training.batch}, medians of {options.rounds} rounds "
    head += "(lowest to highest)."
    lines = [head, "", "| what | alternative | Classprint | ratio |", "| --- | ---: | ---: | ---: |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", f"At these rates recording is {share:.0%} of an epoch of {FULL[0]:,} images, {FULL[1]:,} passes."]
    print("\n".join(lines))


def taking_turns(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each side returns, round by round, in alternating order; a first round warms up and is left out."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        names = list(sides) if number % 2 else list(sides)[::-1]
        for name in names:
            value = sides[name]()
            if number:
                found[name].append(value)
    return found


def training_rows(prepared: PreparedRun, folder: Path, *, steps: int, rounds: int) -> tuple[list[Row], float]:
    """Images a second of both training loops; and ours as a number."""
    batch = prepared.profile.training.batch
    _write_jpeg(prepared, folder, (steps + UNTIMED) * batch)
    ours, plain = _our_steps(prepared), _plain_steps(prepared, folder)

    def rate(loop: Iterator[None]) -> float:
        for _ in islice(loop, UNTIMED):
            pass
        _wait(prepared.device)
        started = time.perf_counter()
        for _ in islice(loop, steps):
            pass
        _wait(prepared.device)
        return steps * batch / (time.perf_counter() - started)

    found = taking_turns({"plain": lambda: rate(plain), "ours": lambda: rate(ours)}, rounds)
    row = _row("training, images/s", found["plain"], found["ours"], "{:.0f}")
    return [row], statistics.median(found["ours"])


def recording_rows(prepared: PreparedRun, path: Path, *, rounds: int) -> tuple[list[Row], float]:
    """Passes a second through the network alone, and recorded and sealed; and the latter as a number."""
    recorder = _recorder(prepared)
    with create_run(path, prepared.description(path.name)) as new_run:
        recorder.write_images(new_run)
    run, epochs = resume_run(path), iter(range(1, 1000))
    passes = len(prepared.dataset.validation.labels) * len(prepared.profile.recording.variants)

    def recorded() -> float:
        started = time.perf_counter()
        with run.epoch(next(epochs)) as writer:
            recorder.record(prepared.network, writer, title="")
        return passes / (time.perf_counter() - started)

    def alone() -> float:
        started = time.perf_counter()
        _forward_only(prepared, recorder)
        return passes / (time.perf_counter() - started)

    found = taking_turns({"alone": alone, "recorded": recorded}, rounds)
    size = (path / "epochs" / "0001.h5").stat().st_size
    slower = statistics.median(found["alone"]) / statistics.median(found["recorded"]) - 1
    row = _row("passes/s: network alone, and recorded and sealed", found["alone"], found["recorded"], "{:.0f}")
    rows = [(*row[:3], f"{slower:+.1%} time"), ("bytes a pass (untrained network)", "", f"{size / passes:.0f}", "")]
    return rows, statistics.median(found["recorded"])


def epoch_rows(prepared: PreparedRun, path: Path, *, rounds: int) -> list[Row]:
    """Seconds of a whole epoch, trained only, and trained, kept, recorded and sealed."""
    profile = replace(prepared.profile, training=replace(prepared.profile.training, epochs=1))
    one, other = (replace(prepared, profile=profile, network=copy.deepcopy(prepared.network)) for _ in range(2))
    material, names = one.material(), iter(range(1000))

    def without() -> float:
        trainer = Trainer(one.network, settings=profile.training, augment=one.augmenter)
        started = time.perf_counter()
        trainer.train_epoch(1, material)
        return time.perf_counter() - started

    def recorded() -> float:
        experiment = Experiment(other, open_or_create(other, path / f"{next(names)}"), StopRequest())
        started = time.perf_counter()
        experiment.go()
        return time.perf_counter() - started

    found = taking_turns({"without": without, "recorded": recorded}, rounds)
    passes = len(prepared.dataset.validation.labels) * len(profile.recording.variants)
    what = f"an epoch of {len(material.labels):,} images, s: trained only, and with {passes:,} passes recorded"
    more = statistics.median(found["recorded"]) / statistics.median(found["without"]) - 1
    return [(*_row(what, found["without"], found["recorded"], "{:.1f}")[:3], f"{more:+.0%} time")]


def gallery_rows(prepared: PreparedRun, path: Path, *, rounds: int) -> list[Row]:
    """Milliseconds to the maps of one gallery, other images each time: read, or by Grad-CAM on demand."""
    run, random = open_run(path), np.random.default_rng(0)
    logits = Logits(prepared.network)
    layer = logits.network.get_submodule("encoder.layer4")

    def some() -> list[int]:
        start = int(random.integers(max(1, len(run.labels) - GALLERY)))
        return list(range(start, min(start + GALLERY, len(run.labels))))

    def read() -> float:
        images = some()
        started = time.perf_counter()
        run.true_class_maps(epoch=1, variant="clean", images=images)
        return 1e3 * (time.perf_counter() - started)

    with GradCAM(model=logits, target_layers=[layer]) as cam:

        def on_demand() -> float:
            images = some()
            x = prepared.normaliser(torch.from_numpy(run.pixels(images)).to(prepared.device))
            targets = [ClassifierOutputTarget(int(label)) for label in run.labels[images]]
            started = time.perf_counter()
            cam(input_tensor=x, targets=targets)
            return 1e3 * (time.perf_counter() - started)

        found = taking_turns({"on demand": on_demand, "read": read}, rounds)
    faster = statistics.median(found["on demand"]) / statistics.median(found["read"])
    row = _row(f"maps of {GALLERY} images, ms: Grad-CAM on demand, read", found["on demand"], found["read"], "{:.1f}")
    return [(*row[:3], f"{faster:.0f}x")]


def _our_steps(prepared: PreparedRun) -> Iterator[None]:
    """Classprint's training steps on images that are on the device, without end."""
    settings = prepared.profile.training
    network = build(prepared.profile.model.name, len(prepared.dataset.classes), **prepared.profile.model.options)
    network.to(prepared.device).to(memory_format=torch.channels_last)
    trainer = Trainer(network, settings=settings, augment=prepared.augmenter)
    material, scores = prepared.material(), Scores(prepared.device)
    generator = torch.Generator().manual_seed(0)
    while True:
        network.train()
        chosen = torch.randint(len(material.labels), (settings.batch,), generator=generator).to(prepared.device)
        draws = RandomNumbers(generator, settings.batch)
        trainer.step(material.images[chosen], material.labels[chosen], 1e-3, draws, scores)
        yield


def _plain_steps(prepared: PreparedRun, folder: Path) -> Iterator[None]:
    """The steps of the loop that most code has, over JPEG files, without end."""
    classes, settings = len(prepared.dataset.classes), prepared.profile.training
    network = build(prepared.profile.model.name, classes, **prepared.profile.model.options).to(prepared.device)
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


def _forward_only(prepared: PreparedRun, recorder: Recorder) -> None:
    """All variants of all validation images through the network; the maps are dropped."""
    prepared.network.eval()
    total, size = len(recorder.validation.labels), recorder.settings.batch
    with torch.inference_mode():
        for start in range(0, total, size):
            for variant in recorder.settings.variants:
                images = recorder.seen(variant, slice(start, min(start + size, total)))
                run = forward if variant == "clean" else class_maps
                run(prepared.network, prepared.normaliser(images), recorder.precision)


def _write_jpeg(prepared: PreparedRun, folder: Path, count: int) -> None:
    """The first training images of the classes as JPEG files, one folder a class."""
    train = prepared.dataset.train
    chosen = np.random.default_rng(0).permutation(len(train.labels))[:count]
    for number in chosen:
        place = folder / f"{train.labels[number]:04d}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(train.images[number])).save(place / f"{number}.jpg", quality=90)


def _recorder(prepared: PreparedRun) -> Recorder:
    return Recorder(
        prepared.validation(),
        settings=prepared.profile.recording,
        normalise=prepared.normaliser,
        precision=prepared.profile.training.precision,
        quiet=True,
    )


def _row(what: str, alternative: list[float], ours: list[float], form: str) -> Row:
    """A line of the table: medians with their spread, and how many times the alternative ours is."""
    reported = [
        f"{form.format(statistics.median(values))} ({form.format(min(values))} to {form.format(max(values))})"
        for values in (alternative, ours)
    ]
    return what, *reported, f"{statistics.median(ours) / statistics.median(alternative):.2f}x"


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.compute_bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--data", help="as for python -m compute")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=20, help="steps a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
