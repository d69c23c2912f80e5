"""compose.yaml in step with the program: what it names is there, though no container engine runs it here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from service.api.access import PAGES, TABLE
from service.settings import PREFIX, Settings, from_environment

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("api-1", "api-2", "workbench")
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def environment(name: str) -> dict[str, str]:
    """A service's variables."""
    found: dict[str, str] = SERVICES[name].get("environment", {})
    return found


def test_there_is_what_it_promises() -> None:
    """A proxy, two API processes, a workbench, PostgreSQL, a Dask scheduler and two workers."""
    assert set(SERVICES) == {"proxy", *OURS, "postgres", "dask-scheduler", "dask-worker"}
    assert SERVICES["dask-worker"]["deploy"]["replicas"] == 2


def test_its_variables_are_settings_with_values_that_are_accepted() -> None:
    """Each process reads them as it would; the parts are as their commands say."""
    for name in OURS:
        given = {key: value for key, value in environment(name).items() if key.startswith(PREFIX)}
        settings = from_environment({PREFIX + "DATA_DIR": "/data", "RULEEDIT_WORKBENCH": "on", **given})
        assert settings.shared
        assert settings.database.startswith("postgresql://")
        assert SERVICES[name]["command"] == ["--only", "workbench" if name == "workbench" else "api"]


def test_its_options_are_the_command_s() -> None:
    """`ruleedit serve --help` has every option of the Dockerfile and of the file."""
    command = [sys.executable, "-c", "from ruleedit.cli import main; main()", "serve", "--help"]
    help_text = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "200"}).stdout
    entry = re.findall(r'"(--[a-z-]+)"', DOCKERFILE.split("ENTRYPOINT")[1])
    for option in {*entry, *(part for name in OURS for part in SERVICES[name]["command"] if part.startswith("--"))}:
        assert option in help_text


def test_its_dask_commands_are_dask_s() -> None:
    """The scheduler's and the worker's options are known to the Dask that is locked."""
    for name, key in (("dask-scheduler", "entrypoint"), ("dask-worker", "command")):
        words = SERVICES[name][key]
        assert words[0] == "dask"
        known = subprocess.run(
            [sys.executable, "-m", "dask", words[1], "--help"], capture_output=True, text=True, check=True
        )
        for option in (word for word in words if word.startswith("--")):
            assert option.replace("--no-", "") in known.stdout, option


def test_what_is_mounted_waited_for_and_joined_is_declared() -> None:
    """Volumes, networks and services; files of the project are there."""
    for name, service in SERVICES.items():
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or source == "./tls" or (ROOT / source).is_file(), volume


def test_what_the_image_s_user_writes_is_that_user_s() -> None:
    """A named volume belongs to whoever owns the folder of the image that it is mounted on, else to root."""
    user = re.search(r"useradd .*--home-dir (\S+) --create-home (\w+)", DOCKERFILE)
    assert user is not None
    theirs = {user[1], *re.findall(rf"install --directory --owner {user[2]} (\S+)", DOCKERFILE)}
    ours = [name for name, service in SERVICES.items() if service.get("image") == "ruleedit"]
    assert set(OURS) < set(ours)
    mounted = {volume.split(":")[1] for name in ours for volume in SERVICES[name].get("volumes", [])}
    assert mounted == theirs


def test_each_page_s_path_goes_to_the_workbench() -> None:
    """Whatever the workbench adds to the API, and nothing else of it: the proxy's places say so."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    places = re.findall(r"location (=|~)? ?(\S+) \{\s+(?:proxy_pass http://(\w+)|return)", text)

    def goes_to(path: str) -> str:
        exact = [upstream for how, place, upstream in places if how == "=" and path == place]
        matched = [upstream for how, place, upstream in places if how == "~" and re.search(place, path)]
        begun = {place: upstream for how, place, upstream in places if how == "" and path.startswith(place)}
        return str([*exact, *matched, begun[max(begun, key=len)]][0])

    for route in PAGES:
        path = re.sub(r"\{\w+\}|\*", "x", route.split()[1])
        assert goes_to(path) == "workbench", path
    assert goes_to("/") == "workbench"
    for route in TABLE.keys() - {"GET /", "GET /metrics"}:
        path = re.sub(r"\{\w+\}", "x", route.split()[1])
        assert goes_to(path) == "api", path
    assert goes_to("/metrics") == ""


def test_only_the_proxy_is_reached_from_outside() -> None:
    """And Dask's pickles are on a network where nothing else is."""
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert [name for name, service in SERVICES.items() if "dask" in service["networks"]] == [
        "dask-scheduler",
        "dask-worker",
    ]
    assert COMPOSE["networks"]["dask"]["internal"]
    assert COMPOSE["networks"]["back"]["internal"]


def test_no_password_is_in_it() -> None:
    """It comes from the environment, and without one nothing starts."""
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if "PASSWORD" in key:
                assert re.fullmatch(r"\$\{POSTGRES_PASSWORD:\?.+\}", value), name


def test_the_proxy_knows_the_processes_and_lets_in_what_the_service_does() -> None:
    """Its file names each process at the port of the Dockerfile, and takes bodies of the size that settings allow."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    port = re.search(r"EXPOSE (\d+)", DOCKERFILE)
    assert port is not None
    assert set(re.findall(r"server (\S+?):(\d+)[ ;]", text)) == {(name, port[1]) for name in OURS}
    size = re.search(r"client_max_body_size (\d+)m;", text)
    assert size is not None
    most = Settings.__dataclass_fields__["most_upload"].default
    assert most < int(size[1]) * 2**20 <= most + 2 * 2**20


def test_processes_have_time_to_end() -> None:
    """More than requests in flight are given."""
    from service.server import GRACE

    for name in OURS:
        assert int(SERVICES[name]["stop_grace_period"].rstrip("s")) > GRACE
