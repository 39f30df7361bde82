"""Ask for records that a list lacks, one by one, before they count as deleted.

Only HTTP status 404 with the shop's error message proves that a record is gone. A 410, and a 2xx answer with `false`
in place of the record, prove nothing. Where a 404 may be temporary (orders), two are needed, some seconds apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from lightspeed import (
    ApiError,
    AuthenticationError,
    Client,
    Clock,
    Endpoint,
    NotFound,
    Parameters,
    RateLimited,
    ServerError,
    UnexpectedResponse,
    UnknownLanguage,
)
from lightspeed.listing import reader as reading
from subscribe.reconcile.id_index import Id
from subscribe.run.budget import Bounds

_GONE = 404

APART_SECONDS = 2.0
"""Time between two requests for the same record."""


@dataclass(slots=True)
class Seen:
    """What the shop answered about some records.

    Attributes:
        gone: Epoch seconds of the answer, by id of the records that are gone.
        unclear: How many answers showed neither that the record exists nor that it is gone.
    """

    gone: dict[Id, int] = field(default_factory=dict)
    unclear: int = 0


class ExistenceCheck:
    """Asks for single records."""

    def __init__(self, client: Client, endpoint: Endpoint, language: str, clock: Clock, bounds: Bounds) -> None:
        """Prepare; nothing is sent yet.

        Args:
            client: The shop's client.
            endpoint: The entity's row of the catalogue.
            language: The language to ask in.
            clock: The clock for the times of answers and for the wait between two requests.
            bounds: The invocation's limits. They take the latency of each request.
        """
        self._client = client
        self._endpoint = endpoint
        self._language = language
        self._clock = clock
        self._bounds = bounds
        self.requests_each = 2 if endpoint.transient_404 else 1

    def at(self, ids: Sequence[Id]) -> Seen:
        """Ask for records, several at once.

        Raises:
            LightspeedError: The shop does not answer, refuses the credentials, has no quota left, or fails on every
                record.
        """
        began = self._clock.monotonic()
        answers = self._ask(ids)
        missing = [identity for identity, answer in answers.items() if answer is True]
        unclear = sum(answer is None for answer in answers.values())
        if missing and self.requests_each > 1:
            self._clock.sleep(max(0.0, began + APART_SECONDS - self._clock.monotonic()))
            again = self._ask(missing)
            missing = [identity for identity, answer in again.items() if answer is True]
            unclear += sum(answer is None for answer in again.values())
        now = int(self._clock.time())
        return Seen(dict.fromkeys(missing, now), unclear)

    def _ask(self, ids: Sequence[Id]) -> dict[Id, bool | None]:
        with ThreadPoolExecutor(reading.THREADS) as pool:
            answers = list(pool.map(self._gone, ids))
        failures = [answer for answer in answers if isinstance(answer, ServerError)]
        if len(failures) == len(answers) > reading.THREADS:
            raise failures[0]
        return {
            identity: answer if isinstance(answer, bool) else None
            for identity, answer in zip(ids, answers, strict=True)
        }

    def _gone(self, identity: Id) -> bool | ApiError | UnexpectedResponse:
        """Return whether the record is gone, or the shop's error."""
        request = self._client.build(self._endpoint.name, "get", Parameters({"id": identity}), self._language)
        began = self._clock.monotonic()
        try:
            self._client.record(replace(request, retry_not_found=False))
        except (UnknownLanguage, AuthenticationError, RateLimited):
            raise
        except NotFound as error:
            return error if error.http_status != _GONE else True
        except (ApiError, UnexpectedResponse) as error:
            return error
        finally:
            self._bounds.took(self._clock.monotonic() - began)
        return False
