import pytest

from connector.transform import Scope, TransformError
from connector.transform.engine.errors import caret, line_and_column
from connector.transform.transformer import Transformers


def _error(expression: str) -> TransformError:
    with pytest.raises(TransformError) as caught:
        Transformers(expression).records_or_raise(b'{"name":"x","items":[{"a":1}]}', Scope())
    return caught.value


@pytest.mark.parametrize(
    ("expression", "marked", "message"),
    [
        ('{"a": 1 + "a"}', "+", "the right side of + must be a number, not 'a'"),
        ("name * 2", "*", "the left side of * must be a number, not 'x'"),
        ('{"a": $nosuch(1)}', "$nosuch", "there is no function $nosuch"),
        ('{"a": $uppercas(name)}', "$uppercas", "there is no function $uppercas; did you mean $uppercase?"),
        ("{'a': sum([1])}", "sum", "calls sum without $; did you mean $sum?"),
        (
            "$sum(1, 2, 3)",
            "$sum",
            "argument 1 of $sum is of another type than the function takes, or one too many follows",
        ),
        ('$sum(["a"])', "$sum", "argument 1 of $sum must be an array of numbers"),
        ("$substring(1)", "$substring", "argument 1 is missing, and the context value"),
        ("$pad(?, ?)(nothing, 'x')", "(nothing", "argument 1 is missing, and the context value"),
        ("($a := 5; $a < 'x')", "<", "5 and 'x' cannot be compared: they are of different types"),
        ('["a"..3]', "..", "the left side of .. must be a whole number, not 'a'"),
        ("items.{'a': a / 0}", "/", "divides by zero"),
        ("1e400 + 1", "1e400", "number out of range at position 0"),
        ("1e308 * 10", "*", "number out of range at position 6"),
        ("$number('abc')", "$number", "cannot make a number of 'abc'"),
        ("$map(['1', 'x'], $number(?))", "$map", "cannot make a number of 'x'"),
        ("$error('no stock')", "$error", "no stock"),
        ('$assert(false, "no stock")', "$assert", "no stock"),
        ("$toMillis('yesterday')", "$toMillis", "Invalid isoformat string: 'yesterday'"),
        ("items^(x := 1)", "", "The left side of :="),
        ('($up := $uppercase; $up({"a": 1}))', "$up({", "argument 1 of $uppercase is of another type"),
        ("(name ~> $uppercase ~> $sum)", "~> $sum", "argument 1 of $sum must be an array of numbers"),
        (
            "($named := function($x)<n:n> { $x }; $named(name))",
            "$named(name",
            "argument 1 of $named is of another type",
        ),
        (
            "$exists(1, 2)",
            "$exists",
            "argument 1 of $exists is of another type",
        ),
        ('{"x": {"a": 1, "a": 2}}', "{", "multiple key definitions evaluate to same key: a"),
        ('($f := function($x) { 1 + $x }; $f("a"))', '$f("a")', "the right side of + must be a number, not 'a'"),
        ("$map(items, function($x) { $uppercase($x) })", "$uppercase", "argument 1 of $uppercase is of another type"),
        ("$merge($each({'b': 1}, function($v, $k) { {$v: 1} }))", "", "a key in an object must be text, not 1"),
        ("$merge($each({'b': 1}, function($v, $k) { {$k: 1 + $k} }))", "$each", "the right side of + must be a number"),
        ("$merge($each({'b': 1}, function($v, $k) { {$k: $sum($k)} }))", "$sum", "argument 1 of $sum must be an array"),
        ("$merge($each(name, function($v, $k) { {$k: $v} }))", "$each", "argument 1 of $each is of another type"),
        (
            "name ~> $merge($each({'b': 1}, function($v, $k) { {$k: $v} }))",
            "$merge",
            "argument 1 of $merge is of another",
        ),
        ("($f := function($x) { $sum($x) }; $f(name))", "$sum", "argument 1 of $sum must be an array of numbers"),
        ("($a := 1; $a())", "$a()", "calls something that is no function"),
        ('{"a": ', "", "expected } before end of expression"),
        ("a b", "b", "syntax error: b"),
        ("[1,2", "", "expected ] before end of expression"),
        ('"abc', "", "string literal must be terminated"),
        ("/* abc", "", "ends too early"),
        ("/(a", "", "no terminating / in regular expression"),
        ("$match(name, /a{2,1}/)", "", "the regular expression /a{2,1}/ is wrong: min repeat greater than max repeat"),
    ],
)
def test_an_error_says_what_was_expected_and_where(expression: str, marked: str, message: str) -> None:
    error = _error(expression)

    assert error.expression == expression
    assert message.lower() in str(error).lower()
    if marked:
        assert expression[error.position :].startswith(marked)


def test_the_caret_stands_under_the_place_on_its_line() -> None:
    expression = '{\n  "a": 1,\n  "b": 1 + "a"\n}'

    error = _error(expression)

    assert caret(expression, error.position) == '  "b": 1 + "a"\n         ^'
    assert line_and_column(expression, error.position) == (3, 10)


def test_without_a_position_the_expression_stands_alone() -> None:
    assert caret("a\nb", -1) == "a\nb"


def test_at_the_end_the_caret_stands_behind_the_last_character() -> None:
    assert caret('{"a": ', 6) == '{"a": \n      ^'
    assert caret("", 0) == "\n^"
