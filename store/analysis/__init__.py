"""What spans a run's epochs: derived once by `python -m compute analyse RUN`, read by pages and queries.

Reading is light; `store.analysis.analyse.analyse`, which derives it, imports more.
"""

from store.analysis.analysis_file import Analysis, read_analysis
from store.analysis.findings import Finding, from_table
