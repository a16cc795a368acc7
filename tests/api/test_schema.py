"""The published schema, its browser, and what stands beside the API."""

from io import StringIO

import pytest
import yaml
from django.core.management import call_command

from tests.conftest import Client


def test_it_is_whole_and_says_what_a_refusal_is(anonymous: Client) -> None:
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    schema = yaml.safe_load(out.getvalue())
    assert schema["components"]["securitySchemes"].keys() == {"token", "cookieAuth"}
    for operations in schema["paths"].values():
        for operation in operations.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert operation["description"]
    served = anonymous.get("/api/v1/schema/?format=json")
    assert served.status_code == 200
    assert served.json()["paths"].keys() == schema["paths"].keys()


@pytest.mark.django_db
def test_its_browser_is_served_by_us_alone(anonymous: Client) -> None:
    page = anonymous.get("/api/v1/docs/").content.decode()
    assert "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page
    assert "//cdn" not in page
    asset = anonymous.get("/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js")
    assert asset.status_code == 200
    asset.close()


@pytest.mark.django_db
def test_whoever_supervises_the_process_needs_no_login(anonymous: Client) -> None:
    response = anonymous.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")
