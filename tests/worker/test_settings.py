"""Settings of a worker: from the environment over a file; errors name the field and the remedy."""

from pathlib import Path

import pytest

from workers import config
from workers.config import SettingsError

ENOUGH = {"NETADMIN_NODE": "n1", "NETADMIN_URL": "http://192.0.2.1:8000/", "NETADMIN_TOKEN": "secret"}


def test_it_needs_no_more_than_where_the_control_plane_is_and_a_token() -> None:
    settings = config.load(ENOUGH)
    assert (settings.node, settings.url, settings.token) == ("n1", "http://192.0.2.1:8000", "secret")
    assert settings.broker_url == ""


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "worker.conf"
    file.write_text("# a comment\n\nNETADMIN_NODE=n7\nNETADMIN_URL='http://192.0.2.9'\nNETADMIN_TOKEN=x\n")
    settings = config.load({"NETADMIN_NODE": "n1", "HOME": "/"}, file)
    assert (settings.node, settings.url) == ("n1", "http://192.0.2.9")


def test_the_token_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    settings = config.load(
        {"NETADMIN_URL": "http://192.0.2.1", "NETADMIN_TOKEN_FILE": str(tmp_path / "token")}
    )
    assert settings.token == "secret"


@pytest.mark.parametrize(
    ("url", "with_login"),
    [
        ("redis://192.0.2.1:6379/0", "redis://node.n1:secret@192.0.2.1:6379/0"),
        ("redis://me:mine@192.0.2.1/0", "redis://me:mine@192.0.2.1/0"),
        ("", ""),
    ],
)
def test_the_node_logs_in_to_the_broker_by_its_own_name(url: str, with_login: str) -> None:
    assert config.load({**ENOUGH, "NETADMIN_BROKER_URL": url}).broker_url == with_login


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"NETADMIN_URL": ""}, "NETADMIN_URL: is not set; give the control plane's address"),
        ({"NETADMIN_TOKEN": ""}, "NETADMIN_TOKEN: is not set; give the node's token"),
        (
            {"NETADMIN_TOKEN_FILE": "/nowhere"},
            "NETADMIN_TOKEN_FILE='/nowhere': cannot be read (No such file or directory); "
            "fix the path or its mode",
        ),
        (
            {"NETADMIN_PROTOCOL": "3"},
            "NETADMIN_PROTOCOL='3': is not a number from 5 to 255; leave it out for 157",
        ),
        ({"NETADMIN_LINK_GROUP": "many"}, "NETADMIN_LINK_GROUP='many': is not a number"),
    ],
)
def test_it_says_what_is_wrong_with_a_setting(wrong: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        config.load({**ENOUGH, **wrong})
    assert str(refused.value).startswith(says)


def test_it_says_which_line_of_the_file_it_does_not_understand(tmp_path: Path) -> None:
    file = tmp_path / "worker.conf"
    file.write_text("NETADMIN_NODE=n1\nexport this\n")
    with pytest.raises(SettingsError, match=r"worker.conf:2: 'export this' is not NAME=VALUE"):
        config.load(ENOUGH, file)


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        config.load(ENOUGH, tmp_path / "none")
