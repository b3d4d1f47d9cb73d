"""Where the time of a run goes: the parts of a training step, of a recorded batch, and the operators behind them.

    python -m bench.breakdown [--profile paper] [--data DATA] [--device cuda] [--steps 20] [--operators 12]

Each part is waited for before the next begins, so on a GPU their sum is more than the whole step, in which they
overlap; the last line of each table is that whole. Run it on an idle machine; nothing is kept.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from bench import surroundings
from compute.config.profile import load_profile, override
from compute.models import Trace
from compute.recording.recorder import Recorder, class_maps, forward
from compute.runs.device import HostCopy, autocast, describe_device, use_threads
from compute.runs.prepare import PreparedRun, prepare
from compute.training.augment import RandomNumbers
from compute.training.metrics import Scores
from compute.training.trainer import Trainer
from store import create_run, resume_run

WARM_UP = 4


class Stopwatch:
    """Seconds by part, over many rounds, each waited for on the device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, list[float]] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Times what happens inside the block."""
        started = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.seconds.setdefault(name, []).append(time.perf_counter() - started)

    def table(self, title: str, *, images: int) -> list[str]:
        """A Markdown table of medians without the warm-up; the part named `whole` is the reference."""
        medians = {name: statistics.median(times[WARM_UP:] or times) for name, times in self.seconds.items()}
        whole = medians["whole"]
        lines = [f"| {title}, {images} images | ms | of the whole |", "|---|---:|---:|"]
        lines += [f"| {name} | {1e3 * value:.1f} | {value / whole:.0%} |" for name, value in medians.items()]
        return [*lines, "", f"{images / whole:,.0f} images/s", ""]


def main() -> None:
    """Measure and print the tables in Markdown."""
    options = _options()
    use_threads(options.threads)
    settings = load_profile(options.profile, options.set)
    for key, value in (("data.source", options.data), ("weights.source", options.weights)):
        settings = override(settings, f"{key}='{value}'") if value else settings
    prepared = prepare(settings, device=options.device)
    lines = [
        f"{describe_device(prepared.device)}; {surroundings.machine()}, {surroundings.now()}.",
        f"Load average: {surroundings.load()}.",
        f"Profile {options.profile}, network {settings.model.name}, {settings.training.precision}.",
        "",
        *training_parts(prepared, steps=options.steps),
        *recording_parts(prepared),
        *operators(prepared, count=options.operators),
    ]
    print("\n".join(lines))


def training_parts(prepared: PreparedRun, *, steps: int) -> list[str]:
    """The table of a training step's parts."""
    trainer = Trainer(prepared.network, settings=prepared.profile.training, augment=prepared.augmenter)
    material, watch, scores = prepared.material(), Stopwatch(prepared.device), Scores(prepared.device)
    generator, batch = torch.Generator().manual_seed(0), trainer.batch
    prepared.network.train()
    for _ in range(steps + WARM_UP):
        with watch.part("choose the images"):
            chosen = torch.randint(len(material.labels), (batch,), generator=generator).to(prepared.device)
            images, labels = material.images[chosen], material.labels[chosen]
        with watch.part("augment"):
            x = prepared.augmenter(images, RandomNumbers(generator, batch))
        with watch.part("forward and loss"):
            with autocast(prepared.device, prepared.profile.training.precision):
                maps = prepared.network(x)
            logits = maps.mean((-1, -2))
            loss = functional.cross_entropy(logits, labels)
        with watch.part("backward"):
            trainer.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        with watch.part("optimizer"):
            trainer.optimizer.step()
        with watch.part("scores"):
            scores.add(logits, labels)
    for _ in range(steps + WARM_UP):
        with watch.part("whole"):
            trainer.step(images, labels, 1e-6, RandomNumbers(generator, batch), scores)
    return watch.table("training step", images=batch)


def recording_parts(prepared: PreparedRun) -> list[str]:
    """The table of a recorded batch's parts, over every variant of all validation images."""
    settings, watch = prepared.profile.recording, Stopwatch(prepared.device)
    recorder = Recorder(
        prepared.validation(),
        settings=settings,
        normalise=prepared.normaliser,
        precision=prepared.profile.training.precision,
        quiet=True,
    )
    total = len(recorder.validation.labels)
    prepared.network.eval()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        path = Path(folder) / "run"
        with create_run(path, prepared.description("breakdown")) as new_run:
            recorder.write_images(new_run)
        writer = resume_run(path).epoch(1)
        for start in range(0, total, settings.batch):
            for variant in settings.variants:
                batch = slice(start, min(start + settings.batch, total))
                with watch.part("perturb"):
                    images = recorder.seen(variant, batch)
                with watch.part("forward"):
                    x, opened = prepared.normaliser(images), variant == "clean" and settings.layers
                    run = forward if opened else lambda *given: Trace(class_maps(*given))
                    trace = run(prepared.network, x, recorder.precision)
                with watch.part("copy to the CPU"):
                    maps = HostCopy(trace.maps).array()
                    inner = [
                        {name: HostCopy(value).array() for name, value in each.items()}
                        for each in (trace.layers, trace.stages)
                    ]
                with watch.part("wait for the writer"):
                    writer.write(variant, start, maps)
                    if opened:
                        writer.write_layers(start, *inner)
        with watch.part("seal (once an epoch, beside training)"):
            writer.seal()
        for epoch in (2, 3):
            whole = time.perf_counter()
            with resume_run(path).epoch(epoch) as again:
                recorder.record(prepared.network, again, title="")
            batches = -(-total // settings.batch) * len(settings.variants)
            watch.seconds["whole"] = [(time.perf_counter() - whole) / batches]
    return watch.table("recorded batch", images=min(settings.batch, total))


def operators(prepared: PreparedRun, *, count: int) -> list[str]:
    """The operators in which a few training steps spend most of their time, as torch's profiler tells it."""
    trainer = Trainer(prepared.network, settings=prepared.profile.training, augment=prepared.augmenter)
    material, scores = prepared.material(), Scores(prepared.device)
    generator, batch = torch.Generator().manual_seed(0), trainer.batch
    images, labels = material.images[:batch], material.labels[:batch]
    prepared.network.train()

    def steps(number: int) -> None:
        for _ in range(number):
            trainer.step(images, labels, 1e-6, RandomNumbers(generator, batch), scores)

    on_gpu = prepared.device.type == "cuda"
    steps(WARM_UP)
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as found:
        steps(3)
    attribute = f"self_{'device' if on_gpu else 'cpu'}_time_total"  # microseconds in the operator itself
    own = {event.key: (float(getattr(event, attribute)), event.count) for event in found.key_averages()}
    whole = sum(microseconds for microseconds, _ in own.values()) or 1.0
    lines = [
        f"| operator, {'GPU' if on_gpu else 'CPU'} time of its own | ms a step | share | calls |",
        "|---|---:|---:|---:|",
    ]
    for name, (microseconds, calls) in sorted(own.items(), key=lambda item: -item[1][0])[:count]:
        lines.append(f"| `{name}` | {microseconds / 3e3:.1f} | {microseconds / whole:.0%} | {calls // 3} |")
    return [*lines, ""]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.breakdown", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="quick", help="as for python -m compute (default: quick)")
    parser.add_argument("--data", help="as for python -m compute")
    parser.add_argument("--weights", help="as for python -m compute")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of the network")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    parser.add_argument("--steps", type=int, default=20, help="training steps measured (default: 20)")
    parser.add_argument("--operators", type=int, default=12, help="how many are listed (default: 12)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
