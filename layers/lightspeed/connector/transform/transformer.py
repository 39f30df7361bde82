"""Transformers of one request: read, parsed, and applied to request parameters or to records."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from jsonata.utils import Utils

from connector.errors import TransformError
from connector.transform.context import Outcome, Scope, TransformerSpec
from connector.transform.engine.engine import parse
from connector.transform.engine.errors import failure, shown
from connector.transform.engine.functions import FUNCTIONS
from connector.transform.engine.limits import Escaped, LimitExceeded, Limits, Meter, metered
from connector.transform.engine.syntax import nodes
from connector.transform.engine.values import builtin, dumps_all, plain
from connector.transform.library import EmptyLibrary, Library, NotFoundInLibrary, referred_name
from connector.transform.rejects import rejected_line
from lightspeed import Parameters
from lightspeed.numbers import loads

MOST_EXPRESSIONS = 50
MOST_REQUESTS = 10_000
_REPLACED = ("path", "query", "payload")
_Found = TypeVar("_Found")


class _Surroundings:
    """What functions may ask for while one input is transformed."""

    def __init__(self, scope: Scope, tables: Callable[[str], Mapping[str, Any]], content: str) -> None:
        self._scope = scope
        self._tables = tables
        self._content = content
        self._random: random.Random | None = None

    @property
    def random(self) -> random.Random:
        """Random numbers, the same for the same seed and input."""
        if self._random is None:
            seed = self._scope.seed
            self._random = random.SystemRandom() if seed is None else random.Random(f"{seed}\n{self._content}")  # noqa: S311
        return self._random

    @property
    def now_milliseconds(self) -> float:
        """Milliseconds since 1970."""
        now = self._scope.now
        moment = datetime.fromisoformat(now) if now else datetime.now(UTC)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a table."""
        try:
            return self._tables(name)
        except NotFoundInLibrary as error:
            raise LimitExceeded(str(error)) from None
        except Exception as error:
            raise Escaped(error) from None


@dataclass(frozen=True, slots=True)
class _Step:
    expression: str
    saved_as: str = ""


class Transformers:
    """The expressions of one transformer of a request, with saved ones loaded; made once per request."""

    def __init__(self, given: TransformerSpec, library: Library | None = None, limits: Limits | None = None) -> None:
        """Load saved transformers, parse everything, and load the tables that are named in the expressions.

        Args:
            given: As the event says it.
            library: Where saved transformers and tables come from.
            limits: Bounds of each evaluation.

        Raises:
            TransformError: An expression cannot be parsed; a saved transformer or a table does not exist.
        """
        self._library: Library = library or EmptyLibrary()
        self._limits = limits or Limits()
        self._tables: dict[str, Mapping[str, Any]] = {}
        self._steps = [self._step(item) for item in checked(given)]
        for step in self._steps:
            self._load_tables(step)

    def __bool__(self) -> bool:
        """Whether there is anything to apply."""
        return bool(self._steps)

    @property
    def expressions(self) -> list[str]:
        """The expressions as text, saved ones loaded."""
        return [step.expression for step in self._steps]

    def _step(self, item: str | Mapping[str, str]) -> _Step:
        if isinstance(item, str):
            return _Step(item)
        reference = item["$ref"]
        try:
            return _Step(self._library.transformer(referred_name(reference)), reference)
        except NotFoundInLibrary as error:
            raise TransformError(str(error), expression=reference) from None

    def _load_tables(self, step: _Step) -> None:
        for node in nodes(parse(step.expression, step.saved_as).ast):
            if node.type != "function" or getattr(node.procedure, "value", None) != "lookup_table":
                continue
            first = next(iter(node.arguments or ()), None)
            if first is None or first.type != "string" or node.procedure.type != "variable":
                continue
            try:
                self._table(first.value)
            except NotFoundInLibrary as error:
                raise failure(LimitExceeded(str(error)), step.expression, first, saved_as=step.saved_as) from None

    def _table(self, name: str) -> Mapping[str, Any]:
        if name not in self._tables:
            self._tables[name] = self._library.table(name)
        return self._tables[name]

    def parameters(
        self, document: Mapping[str, Any], seed: str | None = None, *, exact: bool = False
    ) -> list[Parameters]:
        """Apply the transformers to loaded request parameters.

        Args:
            document: `path`, `query`, `payload`, `connection`, `entity`, `language`, `bookmark`, `now`. What an
                expression returns replaces `path`, `query` and `payload`; a key that it leaves out keeps its value.
            seed: As in `Scope`; the run's id, so that a resumed run plans the same.
            exact: Whether numbers keep their text, see `lightspeed.numbers`; otherwise they are `int` or `float`.

        Returns:
            One element, or as many as an expression made of it, in order; none if one returned an empty array.

        Raises:
            TransformError: An expression fails, or returns anything but an object or an array of objects.
        """
        if not self._steps:
            return [Parameters(document["path"] or {}, document["query"] or {}, document["payload"])]
        return self._bounded(lambda meter: self._parameters(meter, document, seed, None, exact=exact))

    def trace_parameters(self, document: Mapping[str, Any], steps: list[list[bytes]]) -> None:
        """Apply the transformers as `parameters` does, and show what each expression returns.

        Args:
            document: As there.
            steps: Gets a list for each expression: JSON texts of `path`, `query` and `payload`.

        Raises:
            TransformError: An expression fails; what the ones before it returned is in `steps`.
        """
        self._bounded(lambda meter: self._parameters(meter, document, None, steps))

    def _parameters(
        self,
        meter: Meter,
        document: Mapping[str, Any],
        seed: str | None,
        steps: list[list[bytes]] | None,
        *,
        exact: bool = False,
    ) -> list[Parameters]:
        connection, entity, language = (str(document.get(key) or "") for key in ("connection", "entity", "language"))
        scope = Scope(connection, entity, language, document.get("bookmark"), document.get("now"), seed)
        surroundings = _Surroundings(scope, self._table, "")
        documents = [dict(document)]
        for step in self._steps:
            documents = self._replaced(documents, step, scope, surroundings, meter)
            if steps is not None:
                steps.append(dumps_all([{key: d[key] for key in _REPLACED} for d in documents], self._limits))
        finished = plain if exact else builtin
        made = [finished({key: d[key] for key in _REPLACED}, self._limits) for d in documents]
        return [Parameters(d["path"] or {}, d["query"] or {}, d["payload"]) for d in made]

    def _replaced(
        self, documents: list[dict[str, Any]], step: _Step, scope: Scope, surroundings: _Surroundings, meter: Meter
    ) -> list[dict[str, Any]]:
        replaced = []
        for before in documents:
            found = plain(_evaluate(step.expression, before, meter, surroundings, scope.variables()), self._limits)
            for element in found if isinstance(found, list) else [found]:
                replaced.append({**before, **_replacement(element, before)})
            if len(replaced) > MOST_REQUESTS:
                raise LimitExceeded(f"makes more than {MOST_REQUESTS:,} requests")
        return replaced

    def records(self, text: bytes, scope: Scope) -> Outcome:
        """Apply the transformers to one record's JSON text; without transformers it is not even parsed.

        Raises:
            Exception: Only what the library raises when it cannot be reached.
        """
        try:
            return Outcome(self.records_or_raise(text, scope))
        except TransformError as error:
            return Outcome([], error, rejected_line(text, error))

    def records_or_raise(self, text: bytes, scope: Scope) -> list[bytes]:
        """Apply the transformers to one record's JSON text.

        Raises:
            TransformError: An expression fails.
        """
        if not self._steps:
            return [text]
        return self._bounded(lambda meter: self._record(meter, text, scope, None))

    def trace_record(self, text: bytes, scope: Scope, steps: list[list[bytes]]) -> None:
        """Apply the transformers to one record's JSON text, and show what each expression returns.

        Args:
            text: The record.
            scope: What the expressions can ask for.
            steps: Gets a list of records, as JSON texts, for each expression.

        Raises:
            TransformError: An expression fails; what the ones before it returned is in `steps`.
        """
        self._bounded(lambda meter: self._record(meter, text, scope, steps))

    def _record(self, meter: Meter, text: bytes, scope: Scope, steps: list[list[bytes]] | None) -> list[bytes]:
        surroundings = _Surroundings(scope, self._table, "" if scope.seed is None else text.decode(errors="replace"))
        try:
            values = [loads(text)]
        except ValueError as error:
            raise ValueError(f"the record cannot be read: {error}") from None
        variables = scope.variables()
        last = len(self._steps) - 1
        texts: list[bytes] = []
        for number, step in enumerate(self._steps):
            elements: list[Any] = []
            for value in values:
                elements += _records(_evaluate(step.expression, value, meter, surroundings, variables))
            if number == last or steps is not None:
                texts = dumps_all(elements, self._limits)
            if steps is not None:
                steps.append(texts)
            if number < last:
                values = [plain(element, self._limits) for element in elements]
        return texts

    def _bounded(self, work: Callable[[Meter], _Found]) -> _Found:
        """Run what evaluates expressions inside the bounds, and turn whatever stops it into a `TransformError`."""
        meters: list[Meter] = []

        def noted(meter: Meter) -> _Found:
            meters.append(meter)
            return work(meter)

        try:
            return metered(self._limits, noted)
        except Escaped as carried:
            raise carried.cause from None
        except TransformError:
            raise
        except (LimitExceeded, Exception) as error:
            expression, node = (meters[0].expression, meters[0].failed_at) if meters else ("", None)
            expression = expression or self._steps[0].expression
            saved = next((step.saved_as for step in self._steps if step.expression == expression), "")
            raise failure(error, expression, node, FUNCTIONS, saved) from None


def checked(given: TransformerSpec) -> list[str | Mapping[str, str]]:
    """Return one transformer or a list of them as a list; expressions are parsed, saved ones are not loaded.

    Raises:
        TransformError: An expression cannot be parsed, a reference is of another form, or they are too many.
    """
    items: list[str | Mapping[str, str]]
    items = [] if given is None else [given] if isinstance(given, str | Mapping) else list(given)
    if len(items) > MOST_EXPRESSIONS:
        message = f"expected up to {MOST_EXPRESSIONS} expressions, got {len(items)}"
        raise TransformError(message, expression=str(items[0]))
    for item in items:
        if isinstance(item, str):
            parse(item)
            continue
        try:
            if not isinstance(item, Mapping) or set(item) != {"$ref"}:
                raise NotFoundInLibrary(f'expected an expression or {{"$ref": …}}, got {item!r:.80}')
            referred_name(item["$ref"])
        except NotFoundInLibrary as error:
            raise TransformError(str(error), expression=str(item)) from None
    return items


def _evaluate(expression: str, value: Any, meter: Meter, surroundings: Any, variables: Mapping[str, object]) -> Any:
    meter.expression, meter.failed_at = expression, None
    found = parse(expression).run(value, meter, surroundings, variables)
    meter.failed_at = None
    return found


def _records(found: Any) -> list[Any]:
    """Return what an expression made of a record, without what it dropped.

    Raises:
        ValueError: It made something else than records.
    """
    elements = found if isinstance(found, list) else [found]
    kept = [element for element in elements if element is not None and element is not Utils.NULL_VALUE]
    wrong = next((element for element in kept if not isinstance(element, dict)), None)
    if wrong is not None:
        raise ValueError(f"expected an object, an array of objects, or nothing, got {shown(wrong)}")
    return kept


def _replacement(found: object, document: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        advice = " (return [] to send nothing)" if found is None else ""
        raise ValueError(f"expected an object with path, query or payload, got {shown(found)}{advice}")
    for key, value in found.items():
        if key not in document:
            raise ValueError(f"expected path, query or payload, got the unknown key {key!r:.100}")
        if key not in _REPLACED and value != document[key]:
            raise ValueError(f"expected path, query or payload: {key} cannot be changed by a transformer")
    for key in ("path", "query"):
        if not isinstance(found.get(key), Mapping | None):
            raise ValueError(f"expected an object as {key}, got {shown(found[key])}")
    return {key: found[key] for key in _REPLACED if key in found}
