"""When the dashboard's process collects garbage."""

import gc
import weakref

from dashboard import process_memory


class Cycle:
    """Refers to itself, so only the collector can free it."""

    def __init__(self):
        self.itself = self


def test_garbage_is_freed_and_what_survives_is_out_of_the_collectors_reach():
    survivor, lost = Cycle(), weakref.ref(Cycle())
    process_memory.release_memory()
    assert lost() is None and gc.get_freeze_count() > 0
    assert not any(found is survivor for found in gc.get_objects())
    gc.unfreeze()


def test_memory_is_released_after_every_250th_run_of_the_script(monkeypatch):
    released = []
    monkeypatch.setattr(process_memory, "release_memory", lambda: released.append(1))
    for _ in range(3 * process_memory.RUNS_PER_COLLECTION):
        process_memory.script_run_ended()
    assert len(released) == 3
