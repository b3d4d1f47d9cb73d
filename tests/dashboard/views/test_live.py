"""The page Live: it waits for an image, and says what a run lacks."""

import io

import pytest
from PIL import Image

import compute.live.upload
from store.synthetic import write_synthetic_run


@pytest.fixture
def named_network(tmp_path):
    """A folder with a run that names its network and has a file of weights, so that the page asks for an image."""
    run = tmp_path / "named"
    write_synthetic_run(run, epochs=2, configuration={"model": {"name": "paper", "options": {}}})
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "0002.pt").write_bytes(b"no weights")
    return tmp_path


@pytest.mark.parametrize("source", ["file", "clipboard", "camera"])
def test_the_page_waits_for_an_image_from_every_source(opened, named_network, source):
    app = opened(named_network, "live", source=source)
    assert not app.exception and not app.error and not app.warning
    assert any("stays on this machine" in part.value for part in app.caption)


def test_a_network_that_cannot_be_loaded_is_an_error_on_the_page(opened, named_network):
    app = opened(named_network, "live", source="record", image="3")
    assert not app.exception
    assert len(app.error) == 1


def test_without_pytorch_live_says_what_brings_it(opened, named_network, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    app = opened(named_network, "live")
    assert not app.exception
    assert "PyTorch is not installed" in app.info[0].value and "pip install" in app.info[0].value


def test_an_epoch_or_a_run_without_weights_says_so_before_it_asks_for_an_image(opened, named_network):
    app = opened(named_network, "live", epoch="1")
    assert not app.error and "Choose one of these epochs at the side: 2." in app.info[0].value
    (named_network / "named" / "checkpoints" / "0002.pt").unlink()
    app = opened(named_network, "live")
    assert not app.error and "came without the weights" in app.info[0].value
    assert str(named_network) not in app.info[0].value  # a visitor need not know the server's folders


def upload(app, content):
    app.file_uploader[0].set_value(("image.png", content, "image/png"))
    return app.run().run()


def test_an_image_is_prepared_once_for_a_session_and_a_refused_one_is_explained_again(
    opened, named_network, monkeypatch
):
    prepared = []
    prepare = compute.live.upload.prepare_upload

    def count(content, preparation):
        prepared.append(content)
        return prepare(content, preparation)

    monkeypatch.setattr(compute.live.upload, "prepare_upload", count)
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(buffer, "PNG")
    good, bad = buffer.getvalue(), buffer.getvalue()[:60]
    app = upload(opened(named_network, "live"), good)
    assert not app.exception
    app = upload(app, bad)
    assert any("your image" in error.value for error in app.error)
    assert prepared == [good, bad]
