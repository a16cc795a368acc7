"""What is refused outside a view is a problem document too."""

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, OperationalError
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path

from netadmin import urls
from tests import factories
from tests.conftest import Client

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("get", "/api/v1/nothing/", 404),
        ("get", "/api/v1/networks/backend1/nothing/", 404),
        ("delete", "/api/v1/networks/", 405),
        ("put", "/api/v1/allocations/", 405),
    ],
)
def test_it_is_a_problem_document(ada: Client, method: str, url: str, status: int) -> None:
    response = getattr(ada, method)(url)
    assert response.status_code == status
    assert response["Content-Type"] == PROBLEM
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:netadmin:problem:")
    assert problem["title"]
    assert problem["detail"]
    assert problem["errors"] == []


def test_it_says_which_methods_there_are(ada: Client) -> None:
    assert "GET" in ada.delete("/api/v1/networks/")["Allow"]


@pytest.mark.parametrize("url", ["networks/", "allocations/", "networks/backend1/available-ips/"])
def test_a_list_that_asks_for_nothing_is_refused(ada: Client, url: str) -> None:
    factories.a_network()
    refused = ada.post(f"/api/v1/{url}", [])
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "body")


def test_it_takes_json_only(ada: Client) -> None:
    response = ada.post(
        "/api/v1/networks/", "name=backend1", content_type="application/x-www-form-urlencoded"
    )
    assert (response.status_code, response["Content-Type"]) == (415, PROBLEM)


def test_it_answers_json_only(ada: Client) -> None:
    response = ada.get("/api/v1/networks/", HTTP_ACCEPT="text/html")
    assert (response.status_code, response["Content-Type"]) == (406, PROBLEM)


LISTS = ("networks", "nodes", "allocations", "services", "events", "operations", "dns/records")


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    ("query", "field", "why"),
    [
        ("nod=n2", "nod", "is no parameter here"),
        ("%00=1", "\0", "is no parameter here"),
        ("page_size=0", "page_size", "is no number from 1 on"),
        ("page_size=many", "page_size", "is no number from 1 on"),
    ],
)
def test_a_misspelt_filter_does_not_find_everything(
    ada: Client, name: str, query: str, field: str, why: str
) -> None:
    response = ada.get(f"/api/v1/{name}/?{query}")
    assert (response.status_code, response["Content-Type"]) == (400, PROBLEM)
    [fault] = response.json()["errors"]
    assert (fault["field"], fault["why"]) == (field, why)
    assert fault["remedy"]


@pytest.mark.parametrize("query", ["allocations/?healthy=maybe", "nodes/?current=yes"])
def test_a_filter_that_is_neither_true_nor_false_does_not_find_everything(ada: Client, query: str) -> None:
    response = ada.get(f"/api/v1/{query}")
    assert (response.status_code, response["Content-Type"]) == (400, PROBLEM)
    [fault] = response.json()["errors"]
    assert f"{fault['field']}={fault['value']}" == query.partition("?")[2]
    assert fault["why"] == "is neither true nor false"


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("post", "allocations/"),
        ("patch", "allocations/1/"),
        ("delete", "allocations/1/"),
        ("post", "services/"),
    ],
)
def test_a_misspelt_parameter_of_a_write_is_refused(ada: Client, method: str, url: str) -> None:
    response = getattr(ada, method)(f"/api/v1/{url}?wiat=5", {})
    assert (response.status_code, response["Content-Type"]) == (400, PROBLEM)
    [fault] = response.json()["errors"]
    assert (fault["field"], fault["value"]) == ("wiat", "5")
    assert fault["remedy"].startswith("Did you mean wait? There are ")


def test_it_says_which_parameters_there_are(ada: Client) -> None:
    [fault] = ada.get("/api/v1/services/?nod=n2").json()["errors"]
    assert fault["remedy"].startswith("Did you mean node? There are cursor, format, network, node, ")
    factories.a_network()
    [fault] = ada.get("/api/v1/networks/backend1/available-ips/?nodes=n2").json()["errors"]
    assert fault["remedy"] == "Did you mean node? There are count, family, format, node"


@pytest.mark.parametrize(("page", "status"), [("0", 400), ("x", 400), ("99", 404), ("last", 200), ("1", 200)])
def test_a_page_that_is_not_there_is_named(ada: Client, page: str, status: int) -> None:
    response = ada.get(f"/api/v1/networks/?page={page}")
    assert response.status_code == status
    if status != 200:
        [fault] = response.json()["errors"]
        assert (fault["field"], fault["value"]) == ("page", page)


def test_numbers_without_end_and_texts_that_no_database_takes_are_refused(ada: Client) -> None:
    endless = "9" * 5000
    factories.a_network()
    path = "/api/v1/networks/backend1/"
    for body in ({"tables": [endless]}, {"mask_per_node": endless}, {"network": f"10.0.0.0/{endless}"}):
        [fault] = ada.patch(path, body).json()["errors"]
        assert fault["field"] == next(iter(body))
    [fault] = ada.patch(path, {}, HTTP_IF_MATCH=f'"{endless}"').json()["errors"]
    assert fault["field"] == "If-Match"
    for query in ("node=%00", f"count={endless}", f"family={endless}"):
        [fault] = ada.get(f"{path}available-ips/?{query}").json()["errors"]
        assert fault["field"] == query.partition("=")[0]


@pytest.mark.parametrize("media", ["application/json", "text/plain"])
def test_a_body_that_is_no_json_says_what_helps(ada: Client, media: str) -> None:
    response = ada.post("/api/v1/networks/", "hello", content_type=media)
    [fault] = response.json()["errors"]
    assert (fault["field"], fault["remedy"]) == ("body", "Send JSON, with Content-Type: application/json")


@pytest.mark.parametrize("depth", [950, 100_000])
@pytest.mark.parametrize("start", ["", '{"name": '])
def test_a_body_that_is_nested_without_end_cannot_be_read(ada: Client, start: str, depth: int) -> None:
    for url in ("networks/", "networks/backend1/available-ips/", "allocations/", "services/"):
        response = ada.post(f"/api/v1/{url}", start + "[" * depth, content_type="application/json")
        assert (response.status_code, response["Content-Type"]) == (400, PROBLEM)
        [fault] = response.json()["errors"]
        assert (fault["field"], fault["why"]) == ("body", "JSON parse error - it is nested too deeply")


def test_a_host_that_is_not_ours_is_refused(anonymous: Client) -> None:
    response = anonymous.get("/api/v1/networks", HTTP_HOST="elsewhere.example")
    assert (response.status_code, response["Content-Type"]) == (400, PROBLEM)


def test_a_body_that_is_too_large_is_refused(ada: Client) -> None:
    response = ada.post("/api/v1/networks/", "[" + " " * 3_000_000, content_type="application/json")
    assert response.status_code in (400, 413)
    assert response["Content-Type"] == PROBLEM


def test_nothing_below_another_address_is_a_problem_document(anonymous: Client) -> None:
    assert anonymous.get("/nothing").status_code == 404
    assert anonymous.get("/nothing")["Content-Type"].startswith("text/html")


def defect(request: WSGIRequest) -> HttpResponse:
    raise ZeroDivisionError


def broken(request: WSGIRequest) -> HttpResponse:
    raise DatabaseError("no such column")


def away(request: WSGIRequest) -> HttpResponse:
    raise OperationalError("no route to host")


class Defective:
    """Our addresses, and some that fail."""

    urlpatterns = [
        *urls.urlpatterns,
        path("api/defect", defect),
        path("defect", defect),
        path("api/broken", broken),
        path("api/away", away),
        path("away", away),
    ]
    handler500 = urls.handler500


@pytest.mark.parametrize(
    ("url", "status", "media"),
    [
        ("/api/defect", 500, PROBLEM),
        ("/defect", 500, "text/html"),
        ("/api/broken", 500, PROBLEM),
        ("/api/away", 503, PROBLEM),
        ("/away", 503, "text/html"),
    ],
)
def test_a_failure_says_nothing_of_the_inside_and_when_to_try_again(
    anonymous: Client, url: str, status: int, media: str
) -> None:
    with override_settings(ROOT_URLCONF=Defective):
        response = anonymous.get(url)
    assert response.status_code == status
    assert response["Content-Type"].startswith(media)
    assert response.headers.get("Retry-After") == ("2" if status == 503 else None)
    for inside in ("ZeroDivision", "no such column", "no route", "Traceback"):
        assert inside not in response.content.decode()
