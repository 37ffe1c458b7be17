"""The catalogue of this installation: every scenario, canary, noise profile and workload that comes with it.

Apart from `catalogue.py`, so that a campaign over stand-ins needs none of the model.
"""

from __future__ import annotations

from mmrace.history import canaries
from mmrace.runtime import noise
from mmrace.scenarios import casts, marks, workload
from mmrace.search.catalogue import Catalogue


def catalogue() -> Catalogue:
    """Return what this installation has."""
    return Catalogue(
        scenarios={made.name: made for made in casts.all_scenarios()},
        canaries=canaries.canaries(),
        noise={name: profile.title for name, profile in noise.PROFILES.items()},
        workloads=tuple(workload.packaged()),
        marks=marks.declared(),
        excused=marks.EXCUSED,
    )
