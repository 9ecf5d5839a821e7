"""The report of a run, and the comparison of several, as one page of HTML each that needs nothing else."""
