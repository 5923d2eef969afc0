"""The library of a running daemon: sounds are kept, deleted, and removed when it exceeds its budget."""

import json
import os
import time
from pathlib import Path

import pytest

from tertium_protocol.client import Client
from tests.end_to_end.daemons import Osc, running, until

DAY = 86400.0


def age(path, days):
    moment = time.time() - days * DAY
    os.utime(Path(path).with_suffix(".json"), (moment, moment))


def generate(client, id, **fields):
    client.send("generate", id, prompt="x", steps=1, seconds=0.5, **fields)
    return client.events(id)[-1].fields


def test_a_sound_is_kept_and_deleted_over_osc(daemon, client):
    made, token = generate(client, "keep me"), daemon.facts["token"]
    assert client.ask("sound", sound=made["sound"])["kept"] == 0
    kept = client.ask("keep", sound=made["sound"][:12])
    assert (kept["kept"], kept["path"]) == (1, made["path"])
    assert json.loads(Path(made["recall"]).read_text())["kept"] is True
    assert (
        client.refused("delete_sound", sound=made["sound"])["message"]
        == "delete_sound over OSC needs the daemon's token."
    )
    refused = client.refused("delete_sound", sound=made["sound"], token=token)
    assert (refused["code"], refused["field"]) == ("conflict", "sound") and "is kept." in refused["message"]
    assert refused["remedy"] == "Send keep with kept 0 first, if it may go."
    assert client.ask("keep", sound=made["path"], kept=0)["kept"] == 0
    size = sum(Path(made[name]).stat().st_size for name in ("path", "recall"))
    deleted = client.ask("delete_sound", sound=made["sound"], token=token)
    assert deleted == {"sound": made["sound"], "name": kept["name"], "bytes": size}
    assert not Path(made["path"]).exists() and not Path(made["recall"]).exists()
    assert client.refused("sound", sound=made["sound"])["code"] == "unknown_sound"
    assert client.refused("keep", sound="0" * 64)["code"] == "unknown_sound"


def test_the_same_over_zeromq(daemon, client):
    made = generate(client, "over zeromq")
    with Client(daemon.home) as other:
        assert other.ask("keep", sound=made["sound"]).kept == 1
        assert other.ask("keep", sound=made["sound"], kept=0).kept == 0
        total = other.ask("sounds").total
        assert other.ask("delete_sound", sound=made["sound"]).sound == made["sound"]
        assert other.ask("sounds", limit=1).total == total - 1
        cleaned = other.ask("clean", dry_run=1)
        assert (cleaned.sounds, cleaned.freed, cleaned.message) == (0, 0, None)
        status = other.ask("status")
        assert cleaned.budget == status.budget > 0 and status.message is None


def test_a_sound_that_a_job_needs_is_not_deleted(tmp_path, clips):
    with running(tmp_path / "home", step=0.1) as daemon, Osc(daemon.osc) as client:
        original = client.ask("add_sound", path=str(clips[0]))["sound"]
        client.send("vary", "long", original=original, steps=100)
        job = client.receive().fields["job"]
        refused = client.refused("delete_sound", sound=original, token=daemon.facts["token"])
        assert refused["code"] == "conflict" and f"is needed by job {job}, which is " in refused["message"]
        assert refused["remedy"] == "Wait until it has ended, or cancel it."
        client.ask("cancel", job=job)
        until(lambda: client.ask("job", job=job)["state"] == "cancelled")
        assert client.ask("delete_sound", sound=original, token=daemon.facts["token"])["sound"] == original


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A home with an old result that nobody keeps, an old one that is kept, and a new one; and these, by name."""
    home = tmp_path_factory.mktemp("crowded") / "home"
    with running(home) as daemon, Osc(daemon.osc) as client:
        made = {name: generate(client, name, name=name, seed=seed) for seed, name in enumerate(("old", "kept", "new"))}
        client.ask("keep", sound=made["kept"]["sound"])
        before = client.ask("status")
        assert before["library"] >= 0 and before["budget"] > before["library"]
    age(made["old"]["path"], 3)
    age(made["kept"]["path"], 30)
    return home, made


def test_what_exceeds_the_budget_is_removed_at_the_start_and_the_rest_is_told(crowded):
    home, made = crowded
    with running(home, budget=1e-6) as daemon, Osc(daemon.osc) as client:
        status = until(lambda: (status := client.ask("status")).get("message") and status, lambda: daemon.log)
        assert status["message"].endswith(
            "more than its budget of 1e-06 GB, and the rest is kept, needed or was used within a day."
        )
        assert status["budget"] == pytest.approx(1e-6) and status["library"] > 1e-6
        assert [Path(made[name]["path"]).exists() for name in ("old", "kept", "new")] == [False, True, True]
        assert not Path(made["old"]["recall"]).exists()
        cleaned = client.ask("clean", token=daemon.facts["token"])
        assert (cleaned["sounds"], cleaned["message"]) == (0, status["message"])
        assert daemon.log.count("sounds removed") == 1 and daemon.log.count("library above its budget") == 1
        job = client.ask("jobs")["total"]
        assert job == 3, "the jobs stay"
