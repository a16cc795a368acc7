"""Plugins that are slow, talkative, or leave somebody behind: small programs in their place."""

import json
import os
import time
from pathlib import Path

import pytest

from lab.waiting import until
from tests.worker.attachments import attachment
from workers.attaching import chain
from workers.attaching.chain import PluginError
from workers.attaching.entry import Entry


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    conf = {"name": "backend1", "cniVersion": "1.0.0", "plugins": [{"type": "plugin"}]}
    return Entry(attachment(), json.dumps(conf), str(tmp_path), "/run/netns/c1", "c1", 7)


def a_plugin(entry: Entry, script: str) -> None:
    path = Path(entry.plugins) / "plugin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_it_is_handed_its_configuration_and_what_it_answers_is_the_result(entry: Entry) -> None:
    a_plugin(entry, 'echo "{\\"called\\": \\"$CNI_COMMAND $CNI_IFNAME $CNI_NETNS\\", \\"given\\": $(cat)}"')
    assert json.loads(chain.add(entry, "/proc/1/fd/3")) == {
        "called": "ADD eth12 /proc/1/fd/3",
        "given": {"type": "plugin", "name": "backend1", "cniVersion": "1.0.0"},
    }


def test_however_much_it_says_is_read(entry: Entry) -> None:
    a_plugin(entry, "printf '{\"much\": \"'; head -c 3000000 /dev/zero | tr '\\0' x; printf '\"}'")
    assert json.loads(chain.add(entry, "")) == {"much": "x" * 3_000_000}


def test_its_own_words_are_kept_when_it_fails(entry: Entry) -> None:
    a_plugin(entry, 'echo \'{"code": 7, "msg": "no", "details": "not today"}\'; exit 1')
    with pytest.raises(PluginError, match="plugin ADD: no: not today"):
        chain.add(entry, "")


def test_whom_it_leaves_behind_is_not_waited_for(entry: Entry) -> None:
    a_plugin(entry, "sleep 5 & echo '{}'")
    begun = time.monotonic()
    assert chain.add(entry, "") == "{}"
    assert time.monotonic() - begun < 3


def test_one_that_does_not_end_is_ended_with_all_that_it_started(
    entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "PATIENCE", 0.5)
    a_plugin(entry, f"sleep 1000 & echo $! >{tmp_path}/started; wait")
    with pytest.raises(PluginError, match=r"plugin ADD: was not done after 0.5 s and was ended"):
        chain.add(entry, "")
    started = int((tmp_path / "started").read_text())
    until(lambda: not _is_running(started), what="what it started has ended", within=5)


def _is_running(pid: int) -> bool:
    """A zombie is not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_workers_own_settings_are_not_handed_on(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETADMIN_TOKEN", "secret")
    chain._inherited.cache_clear()  # a worker reads its environment once
    a_plugin(entry, "env | grep -E '^(NETADMIN_|CNI_CONTAINERID|PATH)'; exit 1")
    with pytest.raises(PluginError) as failed:
        chain.add(entry, "")
    said = str(failed.value)
    assert "CNI_CONTAINERID=" in said
    assert "NETADMIN_" not in said
    assert os.environ["PATH"] in said
