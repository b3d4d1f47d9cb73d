"""The cross-epoch analysis of a run: computed once by `python -m compute analyse RUN`, read by pages and queries.

Reading it imports little; computing it, by `store.analysis.analyse.analyse`, imports more.
"""

from store.analysis.analysis_file import Analysis, read_analysis
from store.analysis.findings import Finding, from_table
