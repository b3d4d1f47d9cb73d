"""Every public function says in an example how it is used, and every example is true."""

import doctest
import inspect
from pathlib import Path

import numpy as np
import pytest

import classprint
from classprint import plots
from store import Run, open_run, queries
from store.read.opened_run import OpenedRun


def members(owner):
    return {
        f"{owner.__name__}.{name}": member
        for name, member in vars(owner).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }


DEMO = Path(__file__).parents[2] / "demo" / "demo"
EXAMPLES = {"Run": Run, "open_run": open_run, **members(OpenedRun), **members(Run)}
EXAMPLES |= {f"queries.{name}": each for name, each in vars(queries).items() if inspect.isfunction(each)}
EXAMPLES |= {f"plots.{name}": getattr(plots, name) for name in plots.__all__}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_holds(name, tiny_run):
    run = open_run(tiny_run)
    run.maps()  # opened once, so that `refresh` finds nothing new
    names = {
        "run": run,
        "demo": open_run(DEMO),
        "queries": queries,
        "np": np,
        "open_run": open_run,
        "plots": plots,
        "classprint": classprint,
    }
    parsed = doctest.DocTestParser().get_doctest(inspect.getdoc(EXAMPLES[name]), names, name, None, 0)
    assert parsed.examples, f"{name} has no example."
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(parsed, out=report.append)
    assert not report, "".join(report)
