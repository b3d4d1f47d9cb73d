import os
import signal

import pytest

from compute.runs.interrupt import CHECKS_PER_EXCHANGE, STOPPED, Interrupted, OutOfTime, StopRequest, TimeLimit
from compute.training.distributed import Processes

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def stop():
    """A request that handles this process's signals."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    request = StopRequest()
    request.handle_signals()
    yield request
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_program_outside_of_training(stop, number):
    with pytest.raises(SystemExit) as ended:
        os.kill(os.getpid(), number)
    assert ended.value.code == STOPPED
    assert stop.requested


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_training_stops_at_the_next_check(stop, number):
    with pytest.raises(Interrupted), stop.between_batches(Processes()):
        stop.check()
        os.kill(os.getpid(), number)
        stop.check()
        pytest.fail("the check did not stop")


def test_a_signal_after_the_last_check_stops_at_the_end_of_training(stop):
    with pytest.raises(Interrupted), stop.between_batches(Processes()):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_second_ctrl_c_in_training_stops_at_once_and_a_second_sigterm_does_not(stop):
    with pytest.raises(SystemExit), stop.between_batches(Processes()):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second one did not stop")


class OtherProcess(Processes):
    """Counts exchanges; the other process stops if `other_stops`."""

    exchanges = 0
    other_stops = False

    def any(self, flag: bool) -> bool:
        OtherProcess.exchanges += 1
        return flag or self.other_stops


def test_processes_exchange_stops_at_every_tenth_check():
    stop, OtherProcess.exchanges = StopRequest(OtherProcess(0, 2)), 0
    for _ in range(3 * CHECKS_PER_EXCHANGE):
        stop.check()
    assert OtherProcess.exchanges == 3


def test_another_process_stops_this_one(monkeypatch):
    monkeypatch.setattr(OtherProcess, "other_stops", True)
    stop = StopRequest(OtherProcess(0, 2))
    with pytest.raises(Interrupted):
        for _ in range(CHECKS_PER_EXCHANGE):
            stop.check()
    limit = TimeLimit(1000, OtherProcess(0, 2))
    limit.epoch_finished(1)
    with pytest.raises(OutOfTime):
        limit.check()
