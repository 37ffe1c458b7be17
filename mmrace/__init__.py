"""mmrace: a whitebox concurrency testbed for the page-migration protocol of Linux v3.3.

mmrace runs actors on a kernel model under a scheduler, and oracles judge the record.  Every folder is one noun of that
sentence; imports run downwards only: runtime, kernel, actors and oracles, scenarios, history, search, report, cli.
"""

__version__ = "0.1.0"
