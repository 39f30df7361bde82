"""The connector's own errors carry their facts."""

from connector import errors


def test_a_transform_error_names_expression_and_position() -> None:
    error = errors.TransformError("expected a number", expression="$sum(x)", position=5)

    assert "expected a number" in str(error)
    assert "'$sum(x)'" in str(error)
    assert (error.expression, error.position) == ("$sum(x)", 5)


def test_a_transform_error_cuts_a_long_expression() -> None:
    assert len(str(errors.TransformError("no", expression="x" * 5000))) < 400


def test_an_unknown_connection_names_the_secret_that_is_missing() -> None:
    assert str(errors.UnknownConnection("a", "lightspeed/a")) == (
        "unknown connection 'a': there is no secret 'lightspeed/a'"
    )


def test_a_run_in_progress_names_run_and_end() -> None:
    error = errors.RunInProgress("orders", "run-1", "2026-11-23T06:20:00Z")

    assert error.run_id == "run-1"
    assert "2026-11-23T06:20:00Z" in str(error)


def test_several_mistakes_are_one_text() -> None:
    assert str(errors.RequestError(["a", "b"])) == str(errors.SettingsError(["a", "b"])) == "a; b"
