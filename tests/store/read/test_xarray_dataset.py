import numpy as np
import pytest

from store import NotInRun

pytest.importorskip("xarray")


def test_columns_are_those_of_the_run(run):
    found = run.to_xarray()
    assert dict(found.sizes) == {"epoch": 3, "variant": 8, "image": 20, "rank": 5, "class": 5}
    at = found.sel(epoch=2, variant="gray")
    assert np.array_equal(at["confidence"], run.column("confidence", epoch=2, variant="gray"))
    accuracy = (found["prediction"] == found["label"]).mean("image").sel(epoch=3, variant="clean")
    assert float(accuracy) == run.accuracy()


def test_maps_of_chosen_images_and_classes_are_labelled(run):
    found = run.to_xarray(maps=True, epochs=[-1], variants=["gray"], images=run.labels == 1, classes="guacamole")
    expected = run.maps(variant="gray", images=[4, 5, 6, 7], classes=[2])
    assert np.array_equal(found["maps"].sel(epoch=3, variant="gray"), expected)
    assert found["class"].values.tolist() == ["guacamole"] and found["image"].values.tolist() == [4, 5, 6, 7]
    assert float(found["probabilities"].max()) <= 1


def test_what_is_not_in_the_run_is_refused(run):
    with pytest.raises(NotInRun, match="Epoch -4 counts from the end"):
        run.to_xarray(epochs=[-4])
