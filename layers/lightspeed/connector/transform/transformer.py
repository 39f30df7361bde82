"""Transformers of one request: loads them, and applies them to parameters or to records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from connector.errors import TransformError
from connector.transform.context import Context, Outcome, Scope, TransformerSpec
from connector.transform.engine import expression as engine
from connector.transform.engine.errors import short_repr
from connector.transform.engine.expression import Expression
from connector.transform.engine.limits import Escaped, LimitExceeded, Limits, Meter, run_with_timer
from connector.transform.engine.values import dumps_all, is_none, json_value
from connector.transform.library import EmptyLibrary, Library, NotFoundInLibrary, name_in_reference
from connector.transform.rejects import rejected_line
from lightspeed import Clock, Parameters, SystemClock
from lightspeed.numbers import loads

MAX_EXPRESSIONS = 50
MAX_REQUESTS = 10_000
_NO_END = Limits(seconds=math.inf)
_REPLACED = ("path", "query", "payload")
_Result = TypeVar("_Result")


class Transformers:
    """The expressions of one transformer of a request, in order.

    The constructor loads saved transformers, parses everything, and loads the tables that the expressions name.

    Args:
        spec: The transformer, as in the event.
        library: The library of saved transformers and tables.
        limits: Bounds of each evaluation.
        clock: Measures evaluations, and is the time of a scope without one.

    Raises:
        TransformError: An expression cannot be parsed, or a saved transformer or a table does not exist.
    """

    def __init__(
        self,
        spec: TransformerSpec,
        library: Library | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._library: Library = library or EmptyLibrary()
        self._limits = limits or Limits()
        self._tables: dict[str, Mapping[str, Any]] = {}
        self._steps = [self._step(item) for item in parse_transformers(spec)]
        self._written = sum(len(step.text) for step in self._steps)
        for step in self._steps:
            for name, place in step.tables():
                try:
                    self._table(name)
                except NotFoundInLibrary as error:
                    raise step.failed(error, place) from None

    @property
    def expressions(self) -> list[str]:
        """The texts of the expressions, also of saved ones."""
        return [step.text for step in self._steps]

    def _step(self, item: str | Mapping[str, str]) -> Expression:
        if isinstance(item, str):
            return engine.compile(item)
        reference = item["$ref"]
        try:
            return engine.compile(self._library.transformer(name_in_reference(reference)), reference)
        except NotFoundInLibrary as error:
            raise TransformError(str(error), expression=reference) from None

    def _table(self, name: str) -> Mapping[str, Any]:
        if name not in self._tables:
            self._tables[name] = self._library.table(name)
        return self._tables[name]

    def parameters(
        self,
        document: Mapping[str, Any],
        seed: str | None = None,
        *,
        exact: bool = False,
        steps: list[list[bytes]] | None = None,
    ) -> list[Parameters]:
        """Apply the transformers to the parameters of a request.

        Args:
            document: `path`, `query`, `payload`, `connection`, `entity`, `language`, `bookmark`, `now`. The output of
                an expression replaces `path`, `query` and `payload`; a key that it omits keeps its value.
            seed: As in `Scope`: the run's id, so that a resumed run plans the same reads.
            exact: Whether numbers keep their text, see `lightspeed.numbers`. Else they are `int` or `float`.
            steps: Gets a list for each expression: JSON texts of `path`, `query` and `payload`.

        Returns:
            The parameters of each request, in order: several if an expression returned an array, none if it was empty.

        Raises:
            TransformError: An expression fails, or returns no object and no array of objects. `steps` holds the
                outputs of the expressions before it.
        """
        if not self._steps:
            return [Parameters(document["path"] or {}, document["query"] or {}, document["payload"])]
        connection, entity, language = (str(document.get(key) or "") for key in ("connection", "entity", "language"))
        scope = Scope(connection, entity, language, document.get("bookmark"), document.get("now"), seed)
        context = self._context(scope, b"")

        def work(meter: Meter) -> list[Parameters]:
            documents = [dict(document)]
            for step in self._steps:
                documents = self._replaced(documents, step, context, meter)
                if steps is not None:
                    steps.append(dumps_all([_without_scope(each) for each in documents], self._limits))
            made = [json_value(_without_scope(each), self._limits, exact=exact) for each in documents]
            return [Parameters(each["path"] or {}, each["query"] or {}, each["payload"]) for each in made]

        return self._bounded(work)

    def _replaced(
        self, documents: list[dict[str, Any]], step: Expression, context: Context, meter: Meter
    ) -> list[dict[str, Any]]:
        replaced = []
        for before in documents:
            found = json_value(step.evaluate(before, meter, context), self._limits)
            for element in found if isinstance(found, list) else [found]:
                replaced.append({**before, **_replacement(element, before)})
            if len(replaced) > MAX_REQUESTS:
                raise LimitExceeded(f"makes more than {MAX_REQUESTS:,} requests")
        return replaced

    def outcomes(self, texts: Iterable[bytes], scope: Scope) -> list[Outcome]:
        """Apply the transformers to each of the records; one timer serves them all. Errors: `records`."""
        return run_with_timer(Meter(_NO_END), lambda: [self.records(text, scope) for text in texts])

    def records(self, text: bytes, scope: Scope) -> Outcome:
        """Apply the transformers to one record's JSON text. Without transformers the record is not parsed.

        Raises:
            Exception: The library cannot be reached.
        """
        try:
            return Outcome(self.records_or_raise(text, scope))
        except TransformError as error:
            return Outcome([], error, rejected_line(text, error))

    def records_or_raise(self, text: bytes, scope: Scope, steps: list[list[bytes]] | None = None) -> list[bytes]:
        """Apply the transformers to one record's JSON text.

        Args:
            text: The record.
            scope: The values of the run.
            steps: Gets a list for each expression: the JSON texts of its records.

        Raises:
            TransformError: An expression fails. `steps` holds the outputs of the expressions before it.
        """
        if not self._steps:
            return [text]
        return self._bounded(lambda meter: self._record(meter, text, scope, steps))

    def _record(self, meter: Meter, text: bytes, scope: Scope, steps: list[list[bytes]] | None) -> list[bytes]:
        context = self._context(scope, text)
        try:
            values = [loads(text)]
        except ValueError as error:
            raise ValueError(f"the record cannot be read: {error}") from None
        last = len(self._steps) - 1
        texts: list[bytes] = []
        for number, step in enumerate(self._steps):
            elements: list[Any] = []
            for value in values:
                elements += _records(step.evaluate(value, meter, context))
            if number == last or steps is not None:
                # a text in the output comes from the record, the expressions, the variables or a function
                longest = len(text) + self._written + scope.characters + meter.made_characters + 1000
                texts = dumps_all(elements, self._limits, None if self._tables else longest)
            if steps is not None:
                steps.append(texts)
            if number < last:
                values = [json_value(element, self._limits) for element in elements]
        return texts

    def _context(self, scope: Scope, content: bytes) -> Context:
        return Context(scope, self._table, content, self._clock)

    def _bounded(self, work: Callable[[Meter], _Result]) -> _Result:
        """Evaluate expressions inside the bounds; every error that they cause becomes a `TransformError`."""
        meter = Meter(self._limits, self._clock)
        try:
            return run_with_timer(meter, lambda: work(meter))
        except Escaped as escaped:
            raise escaped.cause from None
        except TransformError:
            raise
        except (LimitExceeded, Exception) as error:
            raise (meter.expression or self._steps[0]).failed(error) from None


def parse_transformers(spec: TransformerSpec) -> list[str | Mapping[str, str]]:
    """Return the transformers of an event as a list. Expressions are parsed; saved ones are not loaded.

    Raises:
        TransformError: An expression cannot be parsed, a reference has another form, or the list is too long.
    """
    items: list[str | Mapping[str, str]]
    items = [] if spec is None else [spec] if isinstance(spec, str | Mapping) else list(spec)
    if len(items) > MAX_EXPRESSIONS:
        message = f"expected up to {MAX_EXPRESSIONS} expressions, got {len(items)}"
        raise TransformError(message, expression=str(items[0]))
    for item in items:
        if isinstance(item, str):
            engine.compile(item)
            continue
        try:
            if not isinstance(item, Mapping) or set(item) != {"$ref"}:
                raise NotFoundInLibrary(f'expected an expression or {{"$ref": …}}, got {item!r:.80}')
            name_in_reference(item["$ref"])
        except NotFoundInLibrary as error:
            raise TransformError(str(error), expression=str(item)) from None
    return items


def _records(found: Any) -> list[Any]:
    """Return the records in an expression's output.

    Raises:
        ValueError: The output holds something else.
    """
    if type(found) is dict:
        return [found]
    elements = found if isinstance(found, list) else [found]
    kept = [element for element in elements if not is_none(element)]
    wrong = next((element for element in kept if not isinstance(element, dict)), None)
    if wrong is not None:
        raise ValueError(f"expected an object, an array of objects, or nothing, got {short_repr(wrong)}")
    return kept


def _without_scope(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: document[key] for key in _REPLACED}


def _replacement(found: object, document: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        advice = " (return [] to send nothing)" if found is None else ""
        raise ValueError(f"expected an object with path, query or payload, got {short_repr(found)}{advice}")
    for key, value in found.items():
        if key not in document:
            raise ValueError(f"expected path, query or payload, got the unknown key {key!r:.100}")
        if key not in _REPLACED and value != document[key]:
            raise ValueError(f"expected path, query or payload: {key} cannot be changed by a transformer")
    for key in ("path", "query"):
        if not isinstance(found.get(key), Mapping | None):
            raise ValueError(f"expected an object as {key}, got {short_repr(found[key])}")
    return {key: found[key] for key in _REPLACED if key in found}
