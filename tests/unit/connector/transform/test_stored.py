from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from connector.transform import NotFoundInLibrary, S3Library, Scope, TransformError, TransformerSpec, parse_transformers
from connector.transform.transformer import Transformers


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        yield client


def _put(s3: Any, key: str, text: str) -> None:
    s3.put_object(Bucket="bucket", Key=key, Body=text.encode())


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"s3:config/transformers/{name}.jsonata"}


def test_a_saved_transformer_stands_wherever_an_expression_may(s3: Any) -> None:
    _put(s3, "config/transformers/orders/keep.jsonata", '{"id": id}')
    library = S3Library(s3, "bucket")

    saved = _reference("orders/keep")
    everywhere: list[TransformerSpec] = [saved, [saved, "$"], ["$", saved]]
    for given in everywhere:
        assert Transformers(given, library).records(b'{"id":7,"a":1}', Scope()).records == [b'{"id":7}']


def test_a_change_takes_effect_at_the_next_run_and_not_within_one(s3: Any) -> None:
    _put(s3, "config/transformers/t.jsonata", '{"a": 1}')
    library = S3Library(s3, "bucket")
    earlier = Transformers(_reference("t"), library)

    _put(s3, "config/transformers/t.jsonata", '{"a": 2}')

    assert earlier.records(b"{}", Scope()).records == [b'{"a":1}']
    assert Transformers(_reference("t"), library).records(b"{}", Scope()).records == [b'{"a":2}']


def test_a_byte_order_mark_in_front_is_ignored(s3: Any) -> None:
    _put(s3, "config/transformers/t.jsonata", '\ufeff{"a": $lookup_table("t", "x")}')
    _put(s3, "config/tables/t.json", '\ufeff{"x": 1.10}')

    assert Transformers(_reference("t"), S3Library(s3, "bucket")).records(b"{}", Scope()).records == [b'{"a":1.10}']


def test_what_has_not_changed_is_not_read_again(s3: Any) -> None:
    _put(s3, "config/tables/t.json", '{"a": 1.10}')
    library = S3Library(s3, "bucket")

    assert library.table("t") is library.table("t")


def test_a_table_that_was_deleted_is_gone(s3: Any) -> None:
    _put(s3, "config/tables/t.json", "{}")
    library = S3Library(s3, "bucket")
    library.table("t")

    s3.delete_object(Bucket="bucket", Key="config/tables/t.json")

    with pytest.raises(
        NotFoundInLibrary, match=r"there is no table 't': config/tables/t\.json does not exist in the bucket"
    ):
        library.table("t")


def test_an_unknown_saved_transformer_is_named(s3: Any) -> None:
    with pytest.raises(TransformError, match="there is no saved transformer 'none'") as caught:
        Transformers(_reference("none"), S3Library(s3, "bucket"))
    assert caught.value.expression == "s3:config/transformers/none.jsonata"


def test_an_error_in_a_saved_transformer_names_where_it_is_saved(s3: Any) -> None:
    _put(s3, "config/transformers/wrong.jsonata", '{"a": ')
    _put(s3, "config/transformers/fails.jsonata", '{"a": 1 / n}')
    library = S3Library(s3, "bucket")

    with pytest.raises(TransformError, match=r"before end of expression \(in s3:config/transformers/wrong\.jsonata\)"):
        Transformers(_reference("wrong"), library)
    rejection = Transformers(_reference("fails"), library).records(b'{"n":0}', Scope()).rejection
    assert str(rejection).startswith("divides by zero (in s3:config/transformers/fails.jsonata) at position 8")


@pytest.mark.parametrize("name", ["../state", "a/../b", ".hidden", "a//b", "", "a b", "a" * 101, "/a", "a/b/c/d/e/f"])
def test_a_name_that_could_lead_elsewhere_is_refused_without_asking(name: str) -> None:
    library = S3Library(None, "bucket")

    with pytest.raises(NotFoundInLibrary, match="the name of a table holds letters"):
        library.table(name)
    with pytest.raises(NotFoundInLibrary, match="the name of a saved transformer holds letters"):
        library.transformer(name)
    with pytest.raises(TransformError):
        Transformers(_reference(name), library)


@pytest.mark.parametrize(
    "given",
    [{"$ref": "s3:raw/x.jsonata"}, {"$ref": "file:///etc/passwd"}, {"ref": "x"}, {"$ref": 7}, {}, [7], [None], [[]]],
)
def test_a_reference_of_another_form_is_refused_before_anything_is_loaded(given: Any) -> None:
    with pytest.raises(TransformError, match=r"(a saved transformer is|expected an expression or)"):
        parse_transformers(given)


def test_what_is_too_large_is_refused(s3: Any) -> None:
    _put(s3, "config/tables/large.json", '{"a": "' + "x" * 5 * 1024 * 1024 + '"}')
    _put(s3, "config/transformers/large.jsonata", "1" + " " * 64 * 1024)
    library = S3Library(s3, "bucket")

    with pytest.raises(
        NotFoundInLibrary, match="table 'large' is too large: 5,242,889 bytes where 5,242,880 are allowed"
    ):
        library.table("large")
    with pytest.raises(NotFoundInLibrary, match="saved transformer 'large' is too large"):
        library.transformer("large")


@pytest.mark.parametrize("text", ["[]", "7", "{", '{"a": NaN}', "", "[" * 100_000])
def test_a_table_is_a_json_object(s3: Any, text: str) -> None:
    _put(s3, "config/tables/t.json", text)

    with pytest.raises(NotFoundInLibrary, match="table 't' cannot be read"):
        S3Library(s3, "bucket").table("t")


def test_a_bucket_that_refuses_is_no_missing_table(s3: Any) -> None:
    with pytest.raises(ClientError):
        S3Library(s3, "no-such-bucket").table("t")


def test_many_tables_are_forgotten_one_after_the_other(s3: Any) -> None:
    library = S3Library(s3, "bucket")
    for number in range(20):
        _put(s3, f"config/tables/t{number}.json", f'{{"n": {number}}}')

    assert [library.table(f"t{number}")["n"] for number in range(20)] == list(range(20))
    assert library.table("t0") == {"n": 0}


def test_without_a_bucket_nothing_is_saved() -> None:
    with pytest.raises(TransformError, match="no bucket is at hand"):
        Transformers(_reference("t"))
