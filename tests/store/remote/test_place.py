"""Places that URLs name: kinds that nothing here opens, and storage whose listings never end."""

import asyncio

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem

from store import StoreError, open_run
from store.read.run_folders import RunFolders
from store.tools.copy import copy_run

ODD_URLS = [
    "://x",
    "a::b://c",
    "data:text/plain,x://",
    "foo://bucket/runs",
    "generic://x",
    "jupyter://x",
    "memory://x",
    "reference://x",
    "S3://BUCKET/x",
    "simplecache::file:///nowhere",
    "zip://x::file:///none.zip",
]
WEB_URLS = ["http://", "http://[::1", "https://127.0.0.1:99999/x", "HTTP://h/x", "blockcache::http://127.0.0.1:1/x"]


@pytest.mark.parametrize("url", ODD_URLS + WEB_URLS)
def test_a_url_that_leads_to_no_run_is_refused_as_a_source_and_as_a_place_for_runs(tmp_path, url):
    for attempt in (lambda: open_run(f"{url}/run"), lambda: copy_run(f"{url}/run", str(tmp_path / "copy"))):
        with pytest.raises(StoreError, match=r"cannot be opened|There is no run|cannot be reached|does not list files"):
            attempt()
    assert not RunFolders(url).look().runs
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("url", ["foo://bucket/x", "generic://x", "reference://x", "S3://BUCKET/x", "s3://", *WEB_URLS])
def test_a_url_that_cannot_be_written_is_refused_as_the_target_of_a_copy(run, url):
    with pytest.raises(StoreError, match=r"cannot be opened|names no bucket|does not list files"):
        copy_run(str(run.path), url)


class EndlessStorage(AsyncFileSystem):
    """Storage whose listings and states of files go on for ever."""

    protocol = "endless"
    cachable = False

    async def _ls(self, path, detail=True, **options):
        await asyncio.sleep(3600)

    _find = _info = _ls


def test_a_listing_without_an_end_is_given_up(tmp_path, monkeypatch):
    fsspec.register_implementation("endless", EndlessStorage, clobber=True)
    monkeypatch.setattr("store.remote.place.ANSWER_SECONDS", 0.2)
    for attempt in (
        lambda: open_run("endless://bucket/run"),
        lambda: copy_run("endless://bucket/run", str(tmp_path / "copy")),
    ):
        with pytest.raises(StoreError, match=r"did not finish its answer within 0.2 seconds"):
            attempt()
    assert "did not finish its answer" in RunFolders("endless://bucket").look().problems["endless://bucket"]
