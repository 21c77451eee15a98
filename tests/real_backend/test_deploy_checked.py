"""The files of deploy/ by the programs that will read them: nginx itself, Compose itself, the schemas of Kubernetes.

Each test says why it is left out where its checker is missing. What needs a GPU (that servers start, share its memory,
sleep and wake) is not shown here.
"""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.real_backend.stand_in import StandIn

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
REQUEST, CONTROL = "request-key", "control-key"
nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    """The proxy as it is deployed, before two stand-ins: only places of this machine are put in."""
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost")
    names = ("-keyout", str(tmp_path / "tls.key"), "-out", str(tmp_path / "tls.crt"))
    subprocess.run([*made, *names], check=True, capture_output=True)
    keys = f'"Bearer {REQUEST}" request;\n"Bearer {CONTROL}" control;\n'
    (tmp_path / "keys.conf").write_text(keys, encoding="utf-8")
    with StandIn("chat") as chat, StandIn("tools") as tools:
        text = (DEPLOY / "proxy.nginx.conf").read_text(encoding="utf-8").replace("/tmp/", f"{tmp_path}/")
        for name, port in (("chat", chat.port), ("tools", tools.port), ("assistant", 9)):
            text = text.replace(f"server {name}:8000;", f"server 127.0.0.1:{port};")
        text = text.replace("/etc/maestro/keys.conf", str(tmp_path / "keys.conf"))
        text = text.replace("/etc/maestro/tls", str(tmp_path))
        text = text.replace("access_log /dev/stdout", "access_log off").replace("/dev/stderr", f"{tmp_path}/error.log")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        text = text.replace("listen 8443 ssl", f"listen 127.0.0.1:{port} ssl")
        config = tmp_path / "nginx.conf"
        config.write_text(text, encoding="utf-8")
        words = ["nginx", "-p", str(tmp_path), "-e", str(tmp_path / "error.log"), "-c", str(config)]
        checked = subprocess.run([*words, "-t"], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        running = subprocess.Popen([*words, "-g", "daemon off;"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield f"https://127.0.0.1:{port}"
        finally:
            running.terminate()
            running.wait(60)


def _ask(proxy: str, method: str, engine: str, route: str, key: str | None) -> int:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    deadline = time.monotonic() + 60
    with httpx.Client(verify=False, trust_env=False, headers=headers) as client:
        while True:
            try:
                return client.request(method, f"{proxy}/{engine}{route}").status_code
            except httpx.ConnectError:
                assert time.monotonic() < deadline, "nginx does not listen"
                time.sleep(0.05)


@nginx
def test_nginx_takes_its_configuration_and_keeps_the_doors(proxy: str) -> None:
    expected = {
        ("GET", "chat", "/v1/models", None): 401,
        ("GET", "chat", "/v1/models", "guess"): 401,
        ("GET", "chat", "/v1/models", REQUEST): 200,
        ("GET", "tools", "/health", CONTROL): 200,
        ("GET", "chat", "/metrics", REQUEST): 200,
        ("DELETE", "chat", "/metrics", REQUEST): 403,
        ("POST", "chat", "/sleep?level=1", None): 403,
        ("POST", "chat", "/sleep?level=1", REQUEST): 403,
        ("POST", "chat", "/sleep?level=1", CONTROL): 200,
        ("GET", "chat", "/is_sleeping", CONTROL): 200,
        ("POST", "chat", "/wake_up", CONTROL): 200,
        ("POST", "chat", "/collective_rpc", CONTROL): 404,
        ("GET", "chat", "/../chat/docs", CONTROL): 404,
        ("GET", "chat", "//sleep", CONTROL): 405,  # nginx makes one slash of two, and the server takes POST only
        ("GET", "", "sleep", CONTROL): 404,
        ("GET", "assistant", "/health", REQUEST): 502,
    }
    assert {asked: _ask(proxy, *asked) for asked in expected} == expected


@nginx
def test_tokens_come_through_the_proxy_one_by_one(proxy: str) -> None:
    body = {"model": "chat", "prompt": list(range(10, 26)), "max_tokens": 5, "stream": True}
    headers = {"Authorization": f"Bearer {REQUEST}"}
    assert _ask(proxy, "GET", "chat", "/health", REQUEST) == 200
    with (
        httpx.Client(verify=False, trust_env=False) as client,
        client.stream("POST", f"{proxy}/chat/v1/completions", json=body, headers=headers) as response,
    ):
        events = [line for line in response.iter_lines() if line.startswith("data: ")]
    assert len(events) == 5 + 2
    assert events[-1] == "data: [DONE]"


@pytest.mark.parametrize("name", ["compose.yaml", "compose.controller.yaml"])
def test_compose_takes_its_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("MAESTRO_VLLM_KEY", "MAESTRO_CONTROL_KEY"):
        monkeypatch.setenv(key, "a-key")
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("docker compose is not installed")
    words = ["docker", "compose", "-f", str(DEPLOY / name), "config", "--quiet"]
    checked = subprocess.run(words, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("version", ["1.30", "1.32"])
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("node", ["Deployment", "Service", "NetworkPolicy"]),
        ("controller", ["ConfigMap", "PersistentVolumeClaim", "Job", "Service", "NetworkPolicy"]),
    ],
)
def test_kubernetes_takes_its_manifests(version: str, name: str, kinds: list[str]) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes" / f"{name}.yaml").read_text(encoding="utf-8")))
    assert [document["kind"] for document in documents] == kinds
    for document in documents:
        schemas.validate(document, version, strict=True)


def test_a_manifest_with_a_typing_error_would_not_be_taken() -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    document = next(iter(yaml.safe_load_all((DEPLOY / "kubernetes" / "node.yaml").read_text(encoding="utf-8"))))
    document["spec"]["template"]["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(schemas.ValidationError):
        schemas.validate(document, "1.32", strict=True)


def test_nothing_but_the_controller_puts_engines_to_sleep_or_wakes_them() -> None:
    """Whatever a start or a restart runs: an operator's line in a comment is run by neither."""
    for path in (*DEPLOY.glob("compose*.yaml"), *DEPLOY.glob("kubernetes/*.yaml")):
        run = yaml.safe_dump_all(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        assert not re.search(r"/(sleep|wake_up|pause|resume)\b", run), path
