import json
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from connector.transform import Limits, Scope, TransformError
from connector.transform.engine.limits import LimitExceeded, Meter, run_with_timer
from connector.transform.transformer import Transformers
from tests.support.clock import FakeClock

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""A signal may come while a finalizer runs, where Python cannot raise; another signal follows 0.05 s later."""

_SCOPE = Scope("main", "orders", "nl", None, "2026-11-23T06:00:00+00:00", "run")
_BRIEF = Limits(seconds=0.2)
_SMALL = Limits(seconds=30, items=50_000, characters=500_000, output_values=20_000, output_bytes=200_000)


@pytest.fixture(autouse=True)
def _no_timer_is_left() -> Iterator[None]:
    yield
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def _rejection(
    expression: str, text: bytes = b'{"a":"x","list":[1,2,3]}', limits: Limits | None = None
) -> TransformError:
    rejection = Transformers(expression, limits=limits).records(text, _SCOPE).rejection
    assert rejection is not None
    return rejection


@pytest.mark.parametrize(
    ("expression", "position"),
    [
        ("($f := function($x) { $f($x + 1) }; $f(1))", None),
        ('{"a": $match("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", /(a+)+$/)}', 6),
        ('{"a": $replace("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", /(a|a)+$/, "")}', 6),
        ('{"a": $split("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", /(a*)*b/)}', 6),
        ('{"a": $contains("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", /(a+)+$/)}', 6),
        ('($__evaluate_entry := nothing; $f := function($x) { $f($x + 1) }; {"a": $f(1)})', None),
        ('($millis := function() { 0 }; $f := function($x) { $f($millis()) }; {"a": $f(1)})', None),
    ],
)
def test_what_never_ends_is_stopped_when_time_is_up(expression: str, position: int | None) -> None:
    rejection = _rejection(expression, limits=_BRIEF)

    assert "takes longer than 0.2 s" in str(rejection)
    assert rejection.position == position if position is not None else rejection.position > 0


def test_the_time_that_is_allowed_is_a_second() -> None:
    rejection = _rejection('{"a": $match("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", /(a+)+$/)}')

    assert "takes longer than 1 s" in str(rejection)


_TO_DEPTH = '($f := function($v, $n) {{ $n = 0 ? $v : $f({}, $n - 1) }}; {{"a": $f({}, 60)}})'


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("($f := function($x) { 1 + $f($x + 1) }; $f(1))", "goes deeper than 500 steps"),
        ('{"a": [1..10000000]}', "makes too many items: 10,000,001"),
        ('{"a": $count([1..9007199254740991])}', "makes too many items"),
        ('{"a": $pad("a", 1000000000)}', "makes too much text"),
        ('{"a": $pad("a", -1000000000)}', "makes too much text"),
        (_TO_DEPTH.format("$v & $v", '"a"'), "makes too much text"),
        (_TO_DEPTH.format("$join([$v, $v])", '"a"'), "makes too much text"),
        (_TO_DEPTH.format('$replace($v, "a", $v)', '"aa"'), "makes too much text"),
        (_TO_DEPTH.format("$replace($v, /a/, $v)", '"aa"'), "makes too much text"),
        (_TO_DEPTH.format("$append($v, $v)", "[1]"), "makes too many items"),
        (_TO_DEPTH.format("[$v, $v]", "[1]"), "(makes|returns) (too many|more than)"),
        (_TO_DEPTH.format('{"a": $v, "b": $v}', "1"), "returns more than 20,000 values"),
        (_TO_DEPTH.format('$clone({"a": $v, "b": $v})', "1"), "makes too many items"),
        (f"$string({_TO_DEPTH.format('[[$v], [$v]]', '1')})", "makes too many items"),
        (f"$distinct([{_TO_DEPTH.format('[[$v], [$v]]', '1')}, [1]])", "makes too many items"),
        ("[1..1000].[1..1000].[1..1000]", "makes too many items"),
        ("($a := [1..10000]; [1..1000].$a)", "makes too many items"),
        ('($a := [1..10000].{"a": [1..100]}; $lookup($a, "a"))', "makes too many items"),
        ("([1..1000]@$a.[1..1000]@$b.[1..1000]@$c.{'a': 1})", "makes too many items"),
        ("($x := [1..400]; $count($x@$a.$x#$b))", "makes too many items: 52,"),
        ("($x := [1..4000]; $count($merge([1..30].{$string($): $x}).*))", "makes too many items: 52,"),
        ("$count(" + _TO_DEPTH.format('{"a": $v, "b": $v}', "1") + ".**)", "makes too many items: 50,"),
        ('{"a": [1..22000]}', "returns more than 20,000 values"),
        ('{"a": $pad("a", 300000)}', "returns more than 200,000 bytes of text"),
        ('($s := $pad("a", 100000); [1..1000].{"a": $s})', "returns more than 200,000 bytes of text"),
        ('$ ~> |$|{"self": $}|', "nested deeper than 200"),
        ('$ ~> |$|{"self": $}| ~> $clone()', "nested deeper than 200"),
        ('{"a": $string($ ~> |$|{"self": $}|)}', "nested deeper than 200"),
        ('($ ~> |$|{"self": $}|).**', "(too many|too deep|deeper)"),
        ('$merge($map([1..30000], function($v) { {"a": $v} }))', "makes too many items: 60,000"),
        ('($f := function($v) { $merge($map([1], function() { {"a": $f($v)} })) }; $f(1))', "goes (deeper|too deep)"),
        (
            '($f := function($v) { $merge($map([$v], function($x) { {"a": $f($x)} })) }; $f(1))',
            "goes (deeper|too deep)",
        ),
        ('{"a": $split($pad("", 300000, "a"), "")}', "makes too many items"),
        ('{"a": $split($pad("", 300000, "a"), /a/)}', "makes too many items"),
        ('{"a": $match($pad("", 300000, "a"), /a/)}', "makes too many items"),
        ('{"a": $replace($pad("", 300000, "a"), /a/, "0123456789")}', "makes too much text"),
    ],
)
def test_what_explodes_is_stopped_before_memory_is_used_up(expression: str, message: str) -> None:
    with pytest.raises(TransformError, match=message):
        raise _rejection(expression, limits=_SMALL)


@pytest.mark.parametrize(
    ("expression", "position"),
    [
        ('{"a": [1..10000000]}', 8),
        ('{"a": $pad("a", 1000000000)}', 6),
        (_TO_DEPTH.format("$v & $v", '"a"'), 46),
        (_TO_DEPTH.format('{"a": $v, "b": $v}', "1"), -1),
    ],
)
def test_the_usual_bounds_stop_what_explodes_at_its_place(expression: str, position: int) -> None:
    assert _rejection(expression).position == position


_LARGE = "($f := function($v, $n) {{ $n = 0 ? $v : $f([$v, [$v]], $n - 1) }}; $large := $f([1], 60); {})"


@pytest.mark.parametrize(
    "expression",
    [
        "$large.$substring(1)",
        "{$large: 1}",
        "$large(1)",
        "1 + $large",
        "$ ~> |$|$large|",
        "$ ~> |$|{}, $large|",
        "-$large",
        "$large < 1",
        "$sum($large)",
        "$error($large)",
        "$large ~> $large",
        '{"a": $money($large)}',
        '{"a": $number($large)}',
    ],
)
def test_a_value_of_any_size_is_named_in_an_error_without_being_written_out(
    expression: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rejection = _rejection(_LARGE.format(expression), limits=Limits(seconds=5))

    assert len(str(rejection)) < 600
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("depth", [400, 100_000])
def test_a_record_that_is_nested_without_end_is_rejected(depth: int) -> None:
    text = b'{"a":' * depth + b"1" + b"}" * depth

    assert "nested deeper" in str(_rejection("$", text)) or "too deep" in str(_rejection("$", text))


@pytest.mark.parametrize("opening", ["(", "[", '{"a":', "-", "$f(", "a[", "function($x){"])
def test_an_expression_that_is_nested_without_end_is_refused(opening: str) -> None:
    with pytest.raises(TransformError):
        Transformers(opening * 5000)


def test_an_expression_is_64_kib_long_at_most() -> None:
    with pytest.raises(TransformError, match="is 70,000 characters long where 65,536 are allowed"):
        Transformers("1" + " " * 69_999)


def test_deep_but_ending_recursion_is_allowed() -> None:
    expression = '($f := function($n) { $n <= 1 ? 1 : $n * $f($n - 1) }; {"a": $f(20)})'

    assert Transformers(expression).records(b"{}", _SCOPE).records == [b'{"a":2432902008176640000}']


def test_time_counts_from_each_evaluation_and_not_from_when_it_was_parsed() -> None:
    transformers = Transformers('{"a": 1}', clock=FakeClock(step=0.3))

    for _ in range(3):
        assert transformers.records(b"{}", _SCOPE).records == [b'{"a":1}']


def test_an_evaluation_ends_when_its_clock_says_so() -> None:
    outcome = Transformers('{"a": 1}', clock=FakeClock(step=2)).records(b"{}", _SCOPE)

    assert "takes longer than 1 s" in str(outcome.rejection)


def test_a_scope_without_a_time_takes_that_of_the_clock() -> None:
    transformers = Transformers('{"at": $now()}', clock=FakeClock())

    assert transformers.records(b"{}", Scope()).records == [b'{"at":"2026-11-23T06:00:00.000Z"}']


def test_an_evaluation_that_failed_leaves_nothing_to_the_next_one() -> None:
    transformers = Transformers("n > 1 ? ($f := function($x) { 1 + $f($x) }; $f(1)) : $")

    outcomes = [
        transformers.records(text, _SCOPE).rejection is None for text in [b'{"n":1}', b'{"n":2}', b'{"n":1}'] * 3
    ]

    assert outcomes == [True, False, True] * 3


def _later(_number: int, _frame: Any) -> None:
    pytest.fail("somebody else's timer was not to fire")


def test_a_timer_of_somebody_else_is_put_off_and_armed_again() -> None:
    before = signal.signal(signal.SIGALRM, _later)
    signal.setitimer(signal.ITIMER_REAL, 1000)
    try:
        assert Transformers('{"a": 1}').records(b"{}", _SCOPE).records == [b'{"a":1}']
        left = signal.setitimer(signal.ITIMER_REAL, 0)[0]
        assert 990 < left <= 1000
        assert signal.getsignal(signal.SIGALRM) is _later
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_that_comes_late_stops_nothing() -> None:
    Transformers('{"a": 1}').records(b"{}", _SCOPE)

    signal.raise_signal(signal.SIGALRM)


def test_the_timer_goes_on_until_the_work_is_over_even_if_a_first_stop_is_lost() -> None:
    def stubborn() -> None:
        try:
            while True:
                pass
        except LimitExceeded:
            while True:
                pass

    with pytest.raises(LimitExceeded):
        run_with_timer(Meter(Limits(seconds=0.05)), stubborn)


def test_records_that_share_a_timer_are_stopped_each_at_its_own_deadline() -> None:
    transformers = Transformers(
        'n = 2 ? {"a": $match("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", /(a+)+$/)} : $',
        limits=_BRIEF,
        clock=FakeClock(step=0.01),
    )

    outcomes = transformers.outcomes([b'{"n":1}', b'{"n":2}', b'{"n":3}', b'{"n":2}', b'{"n":1}'], _SCOPE)

    assert [outcome.records for outcome in outcomes] == [[b'{"n":1}'], [], [b'{"n":3}'], [], [b'{"n":1}']]
    assert all("takes longer than 0.2 s" in str(outcomes[number].rejection) for number in (1, 3))


def test_outside_the_main_thread_the_clock_is_looked_at_between_steps() -> None:
    found: list[Any] = []
    expression = '($f := function($x) { $f($x + 1) }; {"a": $f(1)})'

    thread = threading.Thread(target=lambda: found.append(_rejection(expression, limits=_BRIEF)))
    thread.start()
    thread.join()

    assert "takes longer than 0.2 s" in str(found[0])


@pytest.mark.parametrize(
    ("expression", "items"),
    [
        ("$merge($each($, function($v, $k) { {$k: $v} }))", 100),
        ('$merge($map([0..99], function($n) { {"field " & $n: $n} }))', 300),
    ],
)
def test_what_a_function_makes_for_merge_alone_is_counted_once(expression: str, items: int) -> None:
    text = json.dumps({f"field {number}": number for number in range(100)}, separators=(",", ":")).encode()

    assert Transformers(expression, limits=Limits(items=items)).records(text, _SCOPE).records == [text]
    assert f"makes too many items: {items}" in str(_rejection(expression, text, Limits(items=items - 1)))


@pytest.mark.parametrize(
    ("expression", "position"),
    [
        ('{"a": $map([1..100000], function($x) { $x + 1 })}', 6),
        ('{"a": $merge($map([1..100000], function($x) { {"a": $x} }))}', 13),
    ],
)
def test_outside_the_main_thread_the_clock_is_looked_at_between_the_elements_of_an_array(
    expression: str, position: int
) -> None:
    found: list[Any] = []
    transformers = Transformers(expression, clock=FakeClock(step=0.01))

    thread = threading.Thread(target=lambda: found.append(transformers.records(b"{}", _SCOPE).rejection))
    thread.start()
    thread.join()

    assert "takes longer than 1 s" in str(found[0])
    assert found[0].position == position
