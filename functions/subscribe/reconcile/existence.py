"""Ask for records that a list lacks, one by one, before they count as deleted.

Only HTTP status 404 with the shop's error message shows that a record is gone. A 410 does not show that, nor a 2xx
answer with `false` in place of the record.

A single answer does not count, because it may come from a cache and be old:

1. After a 404, the check asks again: under another URL, with `fields=id`, if the entity takes `fields`. Only two 404
   show that a record is gone. If a 404 of the entity may be temporary (orders), two seconds pass between the requests.
2. If the shop gives a record, the check compares it with the list. If the list should hold it but lacks it, one of both
   is wrong. Without a list, the check asks again under the other URL.

If two answers contradict each other, the outcome is unclear. The check cannot notice old answers under both URLs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import ClassVar

from lightspeed import (
    ApiError,
    AuthenticationError,
    Client,
    Clock,
    Endpoint,
    InvalidRequest,
    NotFound,
    Parameters,
    RateLimited,
    ServerError,
    UnexpectedResponse,
    UnknownLanguage,
)
from lightspeed.listing import reader as reading
from lightspeed.listing.records import Record, times_of
from lightspeed.listing.window import Window
from subscribe.reconcile.id_index import Id
from subscribe.run.budget import InvocationBudget

_GONE = 404

APART_SECONDS = 2.0
"""Time between two requests for the same record."""


@dataclass(slots=True)
class Answers:
    """The shop's answers about some records.

    Attributes:
        gone: The records that are gone, by id, with the epoch seconds of the answer.
        unclear: For how many records the answers showed neither that they exist nor that they are gone.
    """

    gone: dict[Id, int] = field(default_factory=dict)
    unclear: int = 0


@dataclass(frozen=True, slots=True)
class ExistenceCheck:
    """Asks for single records.

    Attributes:
        clock: The clock for the times of answers and for the wait between two requests.
        listed: The window of the list that lacks the records; `None` without such a list.
    """

    client: Client
    endpoint: Endpoint
    language: str
    clock: Clock
    budget: InvocationBudget
    listed: Window | None

    requests_each: ClassVar = 2
    """The most requests for one record."""

    def finds(self, identity: Id) -> bool:
        """Whether the shop gives a listed record by its id.

        Raises:
            LightspeedError: As in `ask`.
        """
        answer = self._gone(identity, {})
        return answer is None or answer is False

    def ask(self, ids: Sequence[Id]) -> Answers:
        """Ask for records, several at once.

        Raises:
            LightspeedError: The shop does not answer, refuses the credentials, has no quota left, or fails on every
                record.
            Suspend: The quota or the time is used up before the second requests.
        """
        began = self.clock.monotonic()
        first = self._ask_once(ids, {})
        doubtful = [identity for identity, answer in first.items() if answer or (answer is False and not self.listed)]
        if self.endpoint.transient_404 and any(first.values()):
            self.clock.sleep(max(0.0, began + APART_SECONDS - self.clock.monotonic()))
        second = {}
        if doubtful:
            self.budget.wait_for_room()
            fresh = {"fields": "id"} if "fields" in self.endpoint.filter_names else {}
            second = self._ask_once(doubtful, fresh)
        answers = {
            identity: answer if second.get(identity, answer) is answer else None for identity, answer in first.items()
        }
        missing = [identity for identity, answer in answers.items() if answer]
        unclear = sum(answer is None for answer in answers.values())
        now = int(self.clock.time())
        return Answers(dict.fromkeys(missing, now), unclear)

    def _ask_once(self, ids: Sequence[Id], query: Mapping[str, object]) -> dict[Id, bool | None]:
        """Return by id whether the record is gone; `None` if the answer does not show that."""
        with ThreadPoolExecutor(reading.THREADS) as pool:
            answers = list(pool.map(lambda identity: self._gone(identity, query), ids))
        failures = [answer for answer in answers if isinstance(answer, ServerError)]
        if len(failures) == len(answers) > reading.THREADS:
            raise failures[0]
        return {
            identity: answer if isinstance(answer, bool) else None
            for identity, answer in zip(ids, answers, strict=True)
        }

    def _gone(self, identity: Id, query: Mapping[str, object]) -> bool | ApiError | UnexpectedResponse | None:
        """Return whether the record is gone, the shop's error, or `None` if the list should hold the record."""
        parameters = Parameters({"id": identity}, query)
        request = self.client.build(self.endpoint.name, "get", parameters, self.language)
        began = self.clock.monotonic()
        try:
            record = self.client.record(replace(request, retry_not_found=False))
        except (UnknownLanguage, AuthenticationError, RateLimited):
            raise
        except NotFound as error:
            return error if error.http_status != _GONE else True
        except InvalidRequest as error:
            return self._gone(identity, {}) if query else error  # the shop may refuse the other URL
        except (ApiError, UnexpectedResponse) as error:
            return error
        finally:
            self.budget.record_latency(self.clock.monotonic() - began)
        created = times_of(Record(record, None, None)).created
        return None if self.listed is not None and created and self.listed.contains(created) else False
