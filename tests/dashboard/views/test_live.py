"""The page Live: it waits for an image, and says what a run lacks."""

from __future__ import annotations

import io

import pytest
from PIL import Image

import compute.live.upload
from store.synthetic import write_synthetic_run


@pytest.fixture
def named_network(tmp_path):
    """A folder with a run that names its network, so that the page asks for an image."""
    write_synthetic_run(tmp_path / "named", epochs=1, configuration={"model": {"name": "paper", "options": {}}})
    return tmp_path


@pytest.mark.parametrize("source", ["file", "clipboard", "camera"])
def test_the_page_waits_for_an_image_from_every_source(opened, named_network, source):
    app = opened(named_network, "live", source=source)
    assert not app.exception and not app.error and not app.warning
    assert any("stays on this machine" in part.value for part in app.caption)


def test_an_image_from_the_record_needs_weights_and_says_so(opened, named_network):
    app = opened(named_network, "live", source="record", image="3")
    assert not app.exception
    assert len(app.error) == 1


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
