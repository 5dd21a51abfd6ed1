"""Whether the workers of a cluster can do a job: asked before any work, not found out in the middle."""

from __future__ import annotations

from typing import Any

from cropseg_geo import __version__
from cropseg_geo.engine.graph import Job
from cropseg_geo.errors import CropsegError, ResourceError
from cropseg_geo.grid import Window

_ALIKE = (
    "give all workers the same packages, and paths that they all see: a shared folder, or an object store "
    "with --store"
)


def require_able_workers(client: Any, job: Job, digest: str, *, address: str) -> None:
    """Ask each worker that is there whether it can do the job.

    Parameters
    ----------
    client
        A ``distributed.Client``.
    digest
        Digest of the card that the job's model has here.
    address
        The scheduler's, for the message.

    Raises
    ------
    ResourceError
        If there is no worker, or one of them cannot; names it.
    """
    if not client.nthreads():
        raise ResourceError(
            f"the scheduler at {address} has no workers", remedy=f"start some with: dask worker {address}"
        )
    for worker, answer in client.run(_obstacle, job, digest, __version__, on_error="return").items():
        if answer is None:
            continue
        failed = isinstance(answer, BaseException)
        why = f"cannot load it ({type(answer).__name__}: {answer})", _ALIKE
        obstacle, remedy = why if failed else answer
        raise ResourceError(f"worker {worker} {obstacle}", remedy=remedy)


def _obstacle(job: Job, digest: str, version: str) -> tuple[str, str] | None:
    """Why this process cannot do a job, and what helps; None if it can. Runs on a worker."""
    if version != __version__:
        return f"has cropseg-geo {__version__}, this is {version}", _ALIKE
    try:
        job.store.require()
        held = job.inference.predictor.card.digest
    except CropsegError as err:
        return f"cannot do the job: {err.message}", err.remedy
    if held != digest:
        return f"has another model under that name (digest {held[:12]}, here {digest[:12]})", _ALIKE
    try:
        job.source.read(Window(0, 0, 1, 1))
    except CropsegError as err:
        return f"cannot do the job: {err.message}", _ALIKE
    return None
