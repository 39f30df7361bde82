import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonata import Jsonata

from connector.transform import Limits, Scope, TransformError
from connector.transform.engine import engine
from connector.transform.transformer import Transformers

_NO_END = Limits(seconds=math.inf)


@pytest.fixture(autouse=True)
def _parsing_takes_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_PARSING", _NO_END)


_ORDER = {
    "id": 7,
    "number": "ORD7",
    "paid": True,
    "memo": None,
    "total": 99.5,
    "customer": {"name": "Jane Doe", "address": {"city": "Utrecht", "lines": ["Street 1", "2nd floor"]}},
    "lines": [
        {"sku": "A", "price": 10, "quantity": 2, "tags": ["x", "y"], "tax": {"rate": 21}},
        {"sku": "B", "price": 4.5, "quantity": 1, "tags": [], "tax": {"rate": 9}},
        {"sku": "C", "price": 25, "quantity": 3, "tags": ["x"], "tax": {"rate": 21}},
    ],
    "matrix": [[1, 2], [3, 4]],
}

_EXPRESSIONS = r"""
id
memo
nothing
customer.address.city
customer.address.lines
customer.address.lines[0]
customer.nothing.city
memo.city
number.length
lines.sku
lines[0].sku
lines[-1].sku
lines[price > 5].sku
lines[price > 5][0].sku
lines[sku = "B"].price
lines[price > 100]
lines.tags
lines.tags[0]
lines.(tags)[0]
lines[].sku
lines[sku = "A"].sku[]
lines.tax.rate
lines.(price * quantity)
$sum(lines.(price * quantity))
lines^(price).sku
lines^(>price).sku
lines^(tax.rate, >price).sku
lines{sku: price}
lines{$string(tax.rate): $sum(price)}
lines.{"a": sku, "b": %.number}
lines.tags.{"tag": $, "sku": %.sku}
lines@$l.{"a": $l.sku, "b": number}
lines@$l#$i.{"a": $l.sku, "i": $i}
lines#$i[$i > 0].sku
$$.number
$.number
*
customer.*
lines.*
**.rate
**[$type($) = "string"]
matrix
matrix[0]
matrix.$
matrix.$[0]
[matrix]
[1, [2, 3], lines.price]
[1..5]
[5..1]
[1..3, 7..8]
{"a": 1, "b": nothing, "c": null}
{"a": lines.{"b": sku}}
id = 7 and paid
id = 8 or nothing
id != 7
nothing = nothing
price in lines.price
"A" in lines.sku
paid ? "yes" : "no"
nothing ? 1
nothing ?: "default"
memo ?? "default"
nothing ?? "default"
"a" & 1 & true & null & nothing
-total
total / 3
7 % 4
-7 % 4
id > 5
"b" > "a"
nothing > 5
($a := 1; $b := $a + 1; $a + $b)
($f := function($x, $y) { $x * $y }; $f(2, 3))
($f := function($n) { $n <= 1 ? 1 : $n * $f($n - 1) }; $f(10))
($f := function($n, $acc) { $n = 0 ? $acc : $f($n - 1, $acc + $n) }; $f(100, 0))
($add := function($x) { function($y) { $x + $y } }; $add(1)(2))
lines ~> $map(function($l) { $l.sku })
$map(lines, function($l, $i, $a) { $l.sku & $i & $count($a) })
$filter(lines, function($l) { $l.price < 20 }).sku
$reduce(lines.price, function($a, $b) { $a + $b })
$reduce(lines.price, function($a, $b) { $a + $b }, 100)
$single(lines, function($l) { $l.sku = "B" }).price
$sort(lines.price)
$sort(lines, function($a, $b) { $a.price > $b.price }).sku
$each(customer.address, function($v, $k) { $k })
$sift(lines[0], function($v, $k) { $k = "sku" })
$sift(lines[0], function($v, $k, $o) { $k in $keys($o) and $v })
$sift(lines[0], function($v)<x:b> { $v = 10 })
$sift(lines[0], $exists)
$sift(customer, function($v) { false })
$sift({}, function($v) { true })
$sift(nothing, function($v) { true })
lines.$sift(function($v, $k) { $k = "sku" })
$keys(lines)
$merge([customer, {"x": 1}])
$merge(lines.{sku: price})
$merge($each(customer, function($v, $k) { {$k: $v} }))
$merge($each(customer, function($v, $k) { {$uppercase($k): $exists($v.city) ? $v.city : $v} }))
$merge($each(customer, function($v, $k) { {nothing: $v} }))
$merge($each(customer, function($v, $k) { {$k: nothing} }))
$merge($each(customer, function($v, $k, $o) { {$k: $count($keys($o))} }))
$merge($each(customer, function() { {"a": number} }))
$merge($each(customer, function($v, $k, $o, $none) { {$k: $exists($none)} }))
$merge($each(customer, function($v, $k) { ($x := $v; {$k: $x}) }))
$merge($each(customer, function($v, $k) { {$k: ($x := $v; $x)} }))
$merge($each(customer, function($v, $k)<xs:o> { {$k: $v} }))
$merge($each(customer, function($v, $k) { {$k: $v, "b": 1} }))
$merge($each(customer, function($v, $k) { {$k: 1}[$k = "name"] }))
$merge($each(customer, function($v, $k) { {$k: 1}{"n": $count($)} }))
$merge($each(customer, function($v, $k) { {$k: $map(paid, function($x) { $v })} }))
$merge($each(customer, function($v, $k) { {$k: $merge($each(paid ? {"x": $k}, function($v, $k) { {$k & "y": $v} }))} }))
$merge($each({}, function($v, $k) { {$k: $v} }))
$merge($each(nothing, function($v, $k) { {$k: $v} }))
$merge($each(customer, function($v, $k) { {$k: $v} })[0])
$merge($each(customer, function($v, $k) { {$k: $v} })[])
$merge($each(customer, function($v, $k) { {$k: $v} }){"all": $count($)})
$merge($each(customer, function($v, $k) { {$k: $v} }))[0].name
$merge($each(customer, function($v, $k) { {$k: $v} })){"n": name}
$merge($each(customer, function($v, $k) { {$k: $v} })).address.city
$each(customer, function($v, $k) { {$k: $v} }) ~> $merge()
$merge($map(lines, function($l) { {$l.sku: $l.price} }))
$merge($map(lines, function($l, $i) { {"same": $i} }))
$merge($map(lines, function($l, $i) { {$l.sku: $i > 0 ? $l.tags} }))
$merge($map(lines[0], function($l) { {$l.sku: $l} }))
$merge($map(lines[price > 100], function($l) { {$l.sku: $l} }))
$merge($map([], function($l) { {"a": 1} }))
$merge($map([1, 2], function($n) { {$string($n): memo} }))
$merge($map([1], function($n) { {"a": $map([1], function($x) { {"b": $x} })} }))
lines.$merge($each($, function($v, $k) { {$k: $type($v)} }))
($f := function($o) { $merge($each($o, function($v, $k) { {$k: $v} })) }; $f(customer))
($f := function($v, $k) { {$k: $v} }; [$merge($each(customer, $f)), $each(customer, $f)])
($merge := function($x) { [$x] }; $merge($each(customer, function($v, $k) { {$k: $v} })))
($each := function($o, $f) { [$f(1, "a"), $f(2, "b")] }; $merge($each(customer, function($v, $k) { {$k: $v} })))
($map := function($o, $f) { [$f("a"), $f("b")] }; $merge($map(lines, function($k) { {$k: $k} })))
$lookup(customer, "name")
$lookup(lines, "sku")
$spread(lines.{sku: price})
$distinct(lines.tax.rate)
$append(lines.sku, "D")
$append([], [1])
$append(memo, [])
$reverse(lines.sku)
$zip(lines.sku, lines.price)
$count(lines)
$count(nothing)
$max(lines.price)
$min(lines.price)
$average(lines.price)
$exists(nothing)
$type(memo)
$boolean(lines)
$not(paid)
$string(total)
$string(customer)
$string(lines[0].tags)
$number("0x1F")
$number("12.5")
$floor(total)
$round(total)
$round(12.345, 2)
$power(2, 10)
$sqrt(81)
$abs(-3)
$formatNumber(12345.678, "#,##0.00")
$formatBase(255, 16)
$formatInteger(12, "w")
$parseInteger("twelve", "w")
$uppercase(number)
$lowercase(number)
$substring(number, 1, 2)
$substringBefore(number, "7")
$substringAfter(number, "R")
$trim("  a  b ")
$pad("a", -5, "12")
$length(number)
$contains(number, "RD")
$contains(number, /rd/i)
$match("ababbabbcc", /a(b+)/)
$match("ababbabbcc", /a(b+)/, 1)
$replace("John Smith", /(\w+)\s(\w+)/, "$2, $1")
$replace("265USD", /([0-9]+)USD/, "$$$1")
$replace("abracadabra", "a", "*", 2)
$split("a b  c", " ")
$split("a, b,c", /,\s*/)
$split("abc", "", 2)
$join(lines.sku, "-")
$base64encode("abc")
$base64decode("YWJj")
$encodeUrlComponent("a b&c")
$decodeUrl("a%20b")
$toMillis("2026-11-23T06:00:00Z")
$fromMillis(1795413600000)
$fromMillis(1795413600000, "[D1o] [MNn] [Y]", "+0100")
$toMillis("23/11/2026", "[D]/[M]/[Y]")
$ ~> |lines|{"total": price * quantity}, ["tags"]|
$ ~> |customer.address|{"city": "Gent"}|
$ ~> |nothing|{"a": 1}|
customer ~> |$|{}, "name"|
($up := $uppercase ~> $trim; $up(" a "))
$map(lines.sku, $lowercase)
$map([1, 4, 9], $sqrt)
$substring(?, 0, 2)("abc")
($first := $substring(?, 0, 1); $first("abc"))
$clone(customer)
lines[[0, 2]].sku
lines[[0..1]].sku
(lines.sku)[0]
lines.(sku & "-" & $string(price))
(1; 2; 3)
lines.(sku; price)
`number`
customer.`name`
lines[0]
lines[tags].sku
$count(lines.tags)
($exists := function($x) { 7 }; $exists(nothing))
(function($exists) { $exists(id) })(function($x) { 8 })
lines#$count[$count > 0].sku
lines ~> $exists()
($f := function($x) { $exists($x) }; [$f(id), $f(nothing)])
($f := function($x, $y) { [$x, $y] }; $y := 9; $f(1))
($f := $substring(?, ?, 1); $f("abc", 1))
($f := function($x, $y) { $x - $y } ; $f(?, 1)(5))
($up := $uppercase ~> $substringBefore(?, "C"); $up("abcd"))
$map([1, 2], $substring("abcdef", ?, ?))
$join(["a", "b"], ?)(nothing)
$pad("abc", ?)(nothing)
$substring(?, 1)("abc", 1, 2, 3, 4, 5, 6, 7, 8, 9)
lines[price > 1]#$count[$count > 0].sku
number.$length()
number.$substring(1)
$each(lines[sku = "A"][0], function($value) { $value })[]
($one := lines[sku = "A"].sku[]; $one)
lines[sku = "A"].(sku)[]
[lines[sku = "A"].sku][]
(lines.sku)[0][]
{"#1\n\"'{)": id, "\u0000": `#2"'`, "import": "__import__('os')#3\n"}
lines.{`sku#1`: sku, `sku`: "#2\n"}
($first := function($x) { ($map($x, $string))[0] }; $first([1, 2]))
$each({"a": paid}, function($v) { $map(paid, function($v) { id }) })
$map(paid, function($v) { $v ? $map(paid, function($v) { $map(id, function($v) { $v }) }) : id })
/* comment */ id
"\u00e9\n"
""".strip().splitlines()


def _json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # the library's, from Python 3.12 on
@pytest.mark.parametrize("expression", _EXPRESSIONS)
def test_an_expression_means_what_the_library_says_it_means(expression: str) -> None:
    wrapped = f'{{"v": ({expression})}}'

    found = Transformers(wrapped, limits=_NO_END).records_or_raise(json.dumps(_ORDER).encode(), Scope())

    assert [json.loads(text) for text in found] == [_json(Jsonata(wrapped).evaluate(_ORDER))]


@pytest.mark.parametrize(
    "around",
    [
        '{{"a": {}}}',
        "{{$string(id): {}}}",
        "[1, {}]",
        "(id ? {} : 2)",
        "($exists({}) ? 1 : 2)",
        "({} & id)",
        "$string({})",
        '({} ~> |$|{{"x": 1}}|)',
        "[1].({})",
    ],
)
def test_an_expression_means_the_same_however_deep_it_is_nested(around: str) -> None:
    expression = "$"
    for _ in range(60):
        expression = around.format(expression)
    wrapped = f'{{"v": {expression}}}'

    found = Transformers(wrapped, limits=_NO_END).records_or_raise(b'{"id":7}', Scope())

    assert [json.loads(text) for text in found] == [_json(Jsonata(wrapped).evaluate({"id": 7}))]


_LEAVES = st.sampled_from(
    ["a", "b.c", "a.b.c", "$", "$.b", "$v", "$v.b", "$k", "$$.a", "1", '"x"', "null", "true", "{}", "[]"]
)


def _composed(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds('{{"a": {}, $string($k): {}}}'.format, part, part),
        st.builds("[{}, {}]".format, part, part),
        st.builds("({} ? {} : {})".format, part, part, part),
        st.builds("({} {} {})".format, part, st.sampled_from(["=", "!=", "and", "or", "in", "<", "+"]), part),
        st.builds("({}; $v := {}; {})".format, part, part, part),
        st.builds("{}.({})".format, part, part),
        st.builds("{}[{}]".format, part, part),
        st.builds("$exists({})".format, part),
        st.builds("$each({}, function($v, $k) {{ {} }})".format, part, part),
        st.builds("${}({}, function($v) {{ {} }})".format, st.sampled_from(["map", "filter"]), part, part),
        st.builds("$merge($each({}, function($v, $k) {{ {{$k: {}}} }}))".format, part, part),
        st.builds("$merge($map({}, function($v, $k) {{ {{$string({}): {}}} }}))".format, part, part, part),
        st.builds("function($v, $k) {{ {} }}({}, {})".format, part, part, part),
        st.builds('($$ ~> |$|{{"a": {}}}, "b"|)'.format, part),
    )


_VALUES = st.recursive(
    st.sampled_from([None, True, False, 0, 7, -1.5, "", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


def _of_library(expression: str, record: Any) -> Any:
    try:
        return [_json(Jsonata(expression).evaluate(record))]
    except Exception:
        return "an error"


def _of_ours(expression: str, record: Any) -> Any:
    try:
        transformers = Transformers(expression, limits=_NO_END)
        return [json.loads(text) for text in transformers.records_or_raise(json.dumps(record).encode(), Scope())]
    except TransformError:
        return "an error"


@settings(max_examples=250, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    expression=st.recursive(_LEAVES, _composed, max_leaves=12),
    record=st.dictionaries(st.sampled_from("abc"), _VALUES, min_size=1, max_size=3),
)
def test_random_expressions_mean_what_the_library_says_they_mean(expression: str, record: dict[str, Any]) -> None:
    wrapped = f'{{"v": ({expression})}}'

    assert json.dumps(_of_ours(wrapped, record)) == json.dumps(_of_library(wrapped, record))
