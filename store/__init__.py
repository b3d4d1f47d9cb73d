"""The record of an experiment on disk: written epoch by epoch, each complete or absent, and read in milliseconds.

from store import open_run; run = open_run("runs/quick")
"""

from store.errors import (
    BadMaps,
    DamagedFile,
    NotInRun,
    RunExists,
    RunMismatch,
    RunNotFound,
    SchemaMismatch,
    StoreError,
    TooManyFiles,
    WriteFailed,
)
from store.format.description import ClassInfo, RunDescription, Timeline, Variant
from store.read.run import Run, open_run
from store.write.epoch_writer import EpochWriter
from store.write.run_writer import RunWriter, create_run, resume_run
