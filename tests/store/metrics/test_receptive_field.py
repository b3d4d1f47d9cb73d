import numpy as np
import pytest

from store.metrics.receptive_field import DOUBLING, STAGES, Convolution, field, resnet18


def test_two_kernels_of_three_with_stride_two_see_seven_pixels():
    # the paper's own example, Sec. 3.2
    assert field([Convolution(3, 2, 0), Convolution(3, 2, 0)], 0, 0) == (0, 6)


def test_the_stages_of_a_resnet_18_see_what_is_known_of_them():
    sides = {}
    for stage, layers in resnet18("imagenet").items():
        first, last = field(layers, 0, 0)
        sides[stage] = last - first + 1
    # Araujo, Norris and Sim 2019, Table 1: ResNet-18 ends with 435
    assert sides == dict(zip(STAGES, (7, 43, 99, 211, 435), strict=True))


def test_an_enlarged_cell_sees_the_cells_whose_kernels_reach_it():
    # output 2i - 1 + k for kernel entries k = 0..3
    reached = [{i for i in range(-2, 6) for k in range(4) if 2 * i - 1 + k == cell} for cell in range(6)]
    assert [field([DOUBLING], cell, cell) for cell in range(6)] == [(min(each), max(each)) for each in reached]


@pytest.mark.parametrize("stem", ["imagenet", "stride2", "stride1"])
def test_the_field_is_where_a_network_of_ones_responds(stem):
    layers = [*resnet18(stem)["layer2"], DOUBLING]
    low, high = field(layers, 5, 5)
    seen = [pixel for pixel in range(160) if _response(layers, pixel, 160)[5]]
    assert seen == list(range(max(0, low), high + 1))


def _response(layers, pixel, size):
    """What the layers, with kernels of ones along one axis, return for a single lit pixel."""
    values = np.zeros(size)
    values[pixel] = 1
    for kernel, stride, padding, transposed in layers:
        if transposed:
            full = np.zeros((len(values) - 1) * stride + kernel)
            for place, value in enumerate(values):
                full[place * stride : place * stride + kernel] += value
            values = full[padding : len(full) - padding]
        else:
            padded = np.pad(values, padding)
            values = np.array([padded[i : i + kernel].sum() for i in range(0, len(padded) - kernel + 1, stride)])
    return values


def test_an_unknown_stem_is_refused():
    with pytest.raises(ValueError, match="no stem 'wide'"):
        resnet18("wide")
