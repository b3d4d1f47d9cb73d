"""Downloads of charts and tables."""

import pandas as pd

from dashboard.shared import downloads


def test_the_csv_holds_exactly_the_values_drawn():
    assert downloads.csv(pd.DataFrame({"a": [1], "b": ["é"]})).decode() == '\ufeff"a","b"\n1,"é"\n'
