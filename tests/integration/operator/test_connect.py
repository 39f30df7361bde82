"""`connect` stores only settings that work, and a rotation fails no item."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.operator.conftest import Operated
from tests.shop import Fault
from tests.support.aws import moto_client


def secret(name: str) -> dict[str, Any]:
    text = moto_client("secretsmanager").get_secret_value(SecretId=f"mine/{name}")["SecretString"]
    found: dict[str, Any] = json.loads(text)
    return found


def settings(operated: Operated, **more: Any) -> dict[str, Any]:
    shop = operated.shop
    return {"base_url": shop.url, "api_key": shop.api_key, "api_secret": shop.api_secret, "language": "nl", **more}


def given(monkeypatch: pytest.MonkeyPatch, found: object) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(found)))


def test_settings_that_work_are_stored(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, settings(operated))

    assert operated("connect", "new", "--stdin", "--shop-id", "7") == 0
    assert capsys.readouterr().out.startswith(f"new: works at {operated.shop.url}, with the languages nl")
    assert secret("new") == settings(operated, shop_id="7")


def test_a_shop_that_reads_times_in_another_zone_is_stored_with_a_warning(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    operated.shop.faults.next(Fault.sends(b'{"count":0}'), path_contains="orders/count")
    given(monkeypatch, settings(operated))

    assert operated("connect", "new", "--stdin") == 0
    assert "warning: the shop does not read the times of filters as UTC" in capsys.readouterr().out


def test_a_byte_order_mark_in_front_of_the_settings_is_ignored(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"\ufeff{json.dumps(settings(operated))}\r\n"))

    assert operated("connect", "new", "--stdin") == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"api_secret": "wrong"}, "new was not stored: wrong credentials"),
        ({"language": "xx"}, "new was not stored: wrong language"),
        ({"base_url": "http://127.0.0.1:9"}, "new was not stored: wrong cluster or base URL"),
        ({"language": "dutch"}, "language must be the shop's two-letter code"),
    ],
)
def test_what_does_not_work_is_diagnosed_and_not_stored(
    operated: Operated,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: dict[str, str],
    message: str,
) -> None:
    given(monkeypatch, settings(operated, **wrong))

    assert operated("connect", "new", "--stdin") in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert operated.shop.api_secret not in error
    with pytest.raises(ClientError):
        secret("new")


def test_a_connection_is_not_overwritten_unasked(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, settings(operated, shop_id="9"))
    assert operated("connect", "default", "--stdin") == 2
    assert "shop_id" not in secret("default")
    given(monkeypatch, settings(operated, shop_id="9"))
    assert operated("connect", "default", "--stdin", "--replace") == 0
    assert secret("default")["shop_id"] == "9"


def test_the_empty_secret_of_a_new_stack_is_filled(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    moto_client("secretsmanager").put_secret_value(SecretId="mine/default", SecretString='{"api_key": ""}')
    given(monkeypatch, settings(operated))

    assert operated("connect", "default", "--stdin") == 0
    assert secret("default") == settings(operated)


def test_a_rotation_keeps_the_old_webhook_secret_for_a_day(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = {**settings(operated, shop_id="7"), "api_secret": "before"}
    moto_client("secretsmanager").put_secret_value(SecretId="mine/default", SecretString=json.dumps(old))
    given(monkeypatch, {"api_key": operated.shop.api_key, "api_secret": operated.shop.api_secret})

    assert operated("connect", "default", "--stdin", "--rotate") == 0
    assert "python -m connector connect default --finish" in capsys.readouterr().out
    assert secret("default") == {
        **settings(operated, shop_id="7"),
        "webhook_secret": [operated.shop.api_secret, "before"],
    }
    changed = moto_client("secretsmanager").describe_secret(SecretId="mine/default")["LastChangedDate"].timestamp()
    operated.clock.set(changed + 23 * 3600)
    assert operated("connect", "default", "--finish") == 2
    operated.clock.set(changed + 25 * 3600)
    assert operated("connect", "default", "--finish") == 0
    assert secret("default")["webhook_secret"] == operated.shop.api_secret
    assert operated("connect", "default", "--finish") == 0


def test_a_webhook_secret_of_its_own_stays(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {**settings(operated, webhook_secret="own"), "api_secret": "before"}
    moto_client("secretsmanager").put_secret_value(SecretId="mine/default", SecretString=json.dumps(old))
    given(monkeypatch, {"api_key": operated.shop.api_key, "api_secret": operated.shop.api_secret})

    assert operated("connect", "default", "--stdin", "--rotate") == 0
    assert secret("default")["webhook_secret"] == "own"


def test_on_a_terminal_it_asks_and_a_pipe_is_not_asked(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, {})
    assert operated("connect", "new", "--language", "nl") == 2
    assert "--stdin" in capsys.readouterr().err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    answers = {"api key: ": operated.shop.api_key, "api secret: ": operated.shop.api_secret}
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda question: answers[question])
    assert operated("connect", "new", "--language", "nl", "--base-url", operated.shop.url) == 0
    assert secret("new") == settings(operated)
