"""Models on their way to workers on other machines.

A shipped model needs nothing: it goes by its name, see :mod:`cropseg_geo.model.predictor`. Any other file is
put beside the finished blocks, where all workers see it, and each machine keeps a copy in the user's cache.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import cached_property, partial

from cropseg_geo.engine.graph import Job
from cropseg_geo.engine.places import bring, put
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.fetch import cached_copy
from cropseg_geo.model.files import file_digest
from cropseg_geo.model.predictor import FilePredictor, Pixels
from cropseg_geo.model.zoo import shipped_name

_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class SentPredictor:
    """A predictor whose model file is fetched where it is needed.

    Parameters
    ----------
    recipe
        The predictor where the job was given.
    place
        Folder or URL that holds a copy of its file, called as the digest.
    digest
        SHA-256 of the file.
    """

    recipe: FilePredictor
    place: str
    digest: str

    def __reduce__(self) -> tuple[type[SentPredictor], tuple[FilePredictor, str, str]]:
        return SentPredictor, (self.recipe, self.place, self.digest)  # without this machine's copy

    @property
    def card(self) -> ModelCard:
        """As the recipe's. Raises CropsegError if its file cannot be fetched, or is another one."""
        return self._here.card

    def predict(self, batch: Pixels) -> Pixels:
        """As the recipe's."""
        return self._here.predict(batch)

    @cached_property
    def _here(self) -> FilePredictor:
        with _ONE_AT_A_TIME:
            name = self.recipe.weights.name
            path = cached_copy(name, self.digest, partial(bring, f"{self.place}/{self.digest}"))
        return replace(self.recipe, weights=path)


def sendable(job: Job) -> Job:
    """The job for workers that share nothing with this machine but its store. Raises CropsegError."""
    predictor = job.inference.predictor
    if not isinstance(predictor, FilePredictor) or shipped_name(predictor.weights):
        return job
    digest, place = file_digest(predictor.weights), job.store.path
    put(predictor.weights, f"{place}/{digest}")
    sent = SentPredictor(predictor, place, digest)
    return replace(job, inference=replace(job.inference, predictor=sent))
