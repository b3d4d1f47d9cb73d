"""Single channels of a network: what drives one in an image (deconvnet), and the image that drives it most."""

from __future__ import annotations

import numpy as np
import torch
from captum.attr import Deconvolution
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from compute.errors import BadOption
from compute.live.explain import Logits, explainable_layers
from compute.live.predictor import Predictor
from compute.models.adoption import AdoptedNetwork

CLASSES = "classes"  # the "layer" whose channels are the logits
STEPS = 96  # of gradient ascent: about 2 s on a CPU for 64x64 pixels
_RATE, _DECAY, _BLUR_EVERY, _BLUR = 0.5, 0.01, 4, 0.6


class Channels(nn.Module):
    """The mean of each channel of one layer, (n, K), or the logits (n, C) where the layer is `CLASSES`; `count` is K.

    Raises:
        BadOption: an unknown layer, or a channel (where one is given) that it does not have.
    """

    def __init__(self, predictor: Predictor, layer: str, channel: int = 0) -> None:
        super().__init__()
        known = channel_layers(predictor)
        if layer not in known:
            raise BadOption(f"There is no layer '{layer}' with channels. This network has: {', '.join(known)}.")
        self.logits = Logits(predictor.network)
        self.path = known[layer]
        with torch.no_grad():
            self.count = self(predictor.input_of(np.zeros((1, *predictor.image_shape, 3), np.uint8))).shape[1]
        if not 0 <= channel < self.count:
            raise BadOption(f"There is no channel {channel} in '{layer}': it has {self.count}, 0 to {self.count - 1}.")

    def forward(self, x: Tensor) -> Tensor:
        """The channels' means for the network's input x (n, 3, h, w)."""
        if not self.path:
            return self.logits(x)
        found: list[Tensor] = []
        module = self.logits.network.get_submodule(self.path)
        hook = module.register_forward_hook(lambda _module, _inputs, output: found.append(output))
        try:
            self.logits(x)
        finally:
            hook.remove()
        return found[0].float().mean((-1, -2))


def channel_layers(predictor: Predictor) -> dict[str, str]:
    """The layers whose channels can be chosen, name -> path of the module, from the input inwards; the logits last."""
    network = predictor.network
    inside = "" if isinstance(network, AdoptedNetwork) else "encoder."
    layers = {name: inside + name for name in explainable_layers(predictor) if name not in ("conv1", "maxpool")}
    decoder = {"encoder": "encoded", "decoder": "decoder", "class maps": "class_maps"}  # as the record calls them
    modules = dict(network.named_children())
    return layers | {name: path for name, path in decoder.items() if path in modules} | {CLASSES: ""}


def deconvolution(
    predictor: Predictor, image: NDArray[np.uint8], *, channel: int, layer: str = CLASSES
) -> NDArray[np.float32]:
    """What drives a class or a channel, projected back to the image by the deconvnet: (h, w, 3) float32, signed.

    Backwards through the network: transposed filters, unpooling to where the maximum was (the switches), and a ReLU on
    what flows back instead of the gate of the forward pass. Functional ReLUs of a user's own network keep their gate.

    Args:
        image: uint8 (h, w, 3) of the run's image size.
        channel: of the layer; of `CLASSES` the class.
        layer: one of `channel_layers`.

    Raises:
        BadOption: an unknown layer or channel, or another image size.

    Source:
        Zeiler and Fergus 2014, Sec. 2.1.
    """
    channels = Channels(predictor, layer, channel)
    x = predictor.input_of(image[None]).requires_grad_()
    attribution = Deconvolution(channels).attribute(x, target=channel)
    return attribution[0].permute(1, 2, 0).detach().float().cpu().numpy()


def maximise(
    predictor: Predictor, *, layer: str, channel: int, steps: int = STEPS
) -> tuple[NDArray[np.uint8], float, float]:
    """An image that drives a channel or a class strongly, (h, w, 3) uint8, and the channel's mean before and after.

    Gradient ascent from faint noise around the mean colour; after each step the image decays towards that colour, is
    kept within the range of pixels, and is blurred now and then, or it would be noise that no camera sees.

    Equation:
        x <- r(x + rate g / |g|), g = da_i / dx, |g| its root mean square, r = decay and Gaussian blur

    Raises:
        BadOption: an unknown layer or channel.

    Source:
        Yosinski et al. 2015, Sec. 3.
    """
    channels, normalise = Channels(predictor, layer, channel), predictor.normalise
    low, high = (normalise.normalise(torch.full_like(normalise.mean, value)) for value in (0.0, 255.0))
    noise = torch.randn(
        (1, normalise.mean.shape[1], *predictor.image_shape), generator=torch.Generator().manual_seed(0)
    )
    x = (0.1 * noise).to(normalise.mean.device)
    before = 0.0
    for step in range(steps + 1):
        x = x.detach().requires_grad_()
        value = channels(x)[0, channel]
        before = float(value.detach()) if step == 0 else before
        if step == steps:
            break
        (gradient,) = torch.autograd.grad(value, x)
        x = x.detach() + _RATE * gradient / gradient.pow(2).mean().sqrt().clamp_min(1e-12)
        x *= 1 - _DECAY
        # Neighbouring pixels rise and fall alike then; without it the image is noise of high frequency.
        if step % _BLUR_EVERY == _BLUR_EVERY - 1:
            x = gaussian_blur(x, [5, 5], [_BLUR, _BLUR])
        x = x.clamp(low, high)
    pixels = (x.detach() * normalise.sd + normalise.mean).round().clamp(0, 255)[0].permute(1, 2, 0)
    return pixels.expand(-1, -1, 3).to(torch.uint8).cpu().numpy(), before, float(value.detach())
