import json
from pathlib import Path
from typing import Any

import pytest

from connector.transform import Limits, Scope
from connector.transform.__main__ import Folder, main
from connector.transform.engine.values import dumps
from connector.transform.transformer import Transformers
from lightspeed import Parameters, get_entity
from lightspeed.numbers import loads
from lightspeed.request import build_request

_RECIPES = Path(__file__).parent
_PAGE = _RECIPES.parents[1] / "layers" / "lightspeed" / "connector" / "transform" / "README.md"
_NAMES = sorted(path.parent.name for path in _RECIPES.glob("*/recipe.json"))
_ASKED_FOR = """
    set copy move rename keep drop drop-empty map-by-table conditional loop merge group sort unique chunk split decimals
    time-zones today changed-since per-language per-status per-day strip-personal-data hash-personal-data flatten-links
    orders-with-lines price-list multi-language-product
"""


def _recipe(name: str) -> tuple[dict[str, Any], str]:
    folder = _RECIPES / name
    recipe: dict[str, Any] = json.loads((folder / "recipe.json").read_text("utf-8"))
    return recipe, (folder / "transformer.jsonata").read_text("utf-8")


def _texts(name: str, file: str) -> list[bytes]:
    return [dumps(value, Limits()) for value in loads((_RECIPES / name / file).read_text("utf-8"))]


def _names_of(kind: str) -> list[str]:
    return [name for name in _NAMES if (_recipe(name)[0]["kind"] == "entity_transformer") == (kind == "records")]


@pytest.mark.parametrize("name", _names_of("records"))
def test_a_recipe_for_records_turns_its_input_into_its_output_to_the_letter(name: str) -> None:
    recipe, expression = _recipe(name)
    scope = Scope(*[recipe[key] for key in ("connection", "entity", "language", "bookmark", "now")])
    transformers = Transformers(expression, Folder(_RECIPES / "config"))

    outcomes = [transformers.records(text, scope) for text in _texts(name, "input.json")]

    assert [outcome.rejection for outcome in outcomes if outcome.rejection] == []
    assert [text for outcome in outcomes for text in outcome.records] == _texts(name, "output.json")


@pytest.mark.parametrize("name", _names_of("parameters"))
def test_a_recipe_for_requests_makes_requests_that_the_catalogue_accepts(name: str) -> None:
    recipe, expression = _recipe(name)
    scope = {key: recipe[key] for key in ("connection", "entity", "language", "bookmark", "now")}
    transformers = Transformers(expression, Folder(_RECIPES / "config"))

    found = [
        made
        for text in _texts(name, "input.json")
        for made in transformers.parameters({"path": {}, "query": {}, "payload": None, **json.loads(text), **scope})
    ]

    expected = [json.loads(text) for text in _texts(name, "output.json")]
    assert found == [Parameters(**parameters) for parameters in expected]
    endpoint = get_entity(recipe["entity"])
    for parameters in found:
        assert build_request(endpoint, recipe["operation"], parameters, language=recipe["language"])


def test_the_path_of_a_quote_out_of_a_transformer_gives_the_same_request_as_written_by_hand() -> None:
    _, expression = _recipe("quote")
    document = {**json.loads(_texts("quote", "input.json")[0]), "entity": "quotes", "language": "nl", "bookmark": None}
    endpoint = get_entity("quotes")

    made = Transformers(expression).parameters(document)

    by_hand = build_request(endpoint, "get", Parameters({"id": 1016615295}), language="nl")
    assert [build_request(endpoint, "get", parameters, language="nl") for parameters in made] == [by_hand]
    assert by_hand.path == "/nl/quotes/1016615295.json"


@pytest.mark.parametrize("name", _NAMES)
def test_the_page_shows_every_recipe_as_it_is_tested(name: str) -> None:
    page = _PAGE.read_text("utf-8")

    assert f"```jsonata\n{_recipe(name)[1]}```" in page
    assert f"../tests/recipes/{name}/input.json" in page


def test_there_is_a_recipe_for_everything_that_users_ask_for() -> None:
    assert set(_ASKED_FOR.split()) <= set(_NAMES)


def test_the_tester_runs_a_recipe_from_its_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sample = tmp_path / "sample.json"
    sample.write_bytes(_texts("map-by-table", "input.json")[0])
    expression = str(_RECIPES / "map-by-table" / "transformer.jsonata")

    assert main([expression, "--input", str(sample), "--config", str(_RECIPES / "config")]) == 0
    assert json.loads(capsys.readouterr().out)["carrier"] == "DHL Parcel"
