"""What the image promises: pinned bases, the locked environment, no root, nothing secret in it."""

import re
import subprocess
import sys
from pathlib import Path

DEPLOY = Path(__file__).parents[3] / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
INSTRUCTIONS = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", DOCKERFILE)).splitlines()


def list_arguments(instruction: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in INSTRUCTIONS if line.startswith(f"{instruction} ")]


def test_hadolint_has_nothing_to_say() -> None:
    command = [Path(sys.executable).parent / "hadolint", DEPLOY / "Dockerfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_bases_are_pinned_to_a_whole_version() -> None:
    defaults = dict(argument.split("=", 1) for argument in list_arguments("ARG") if "=" in argument)
    stages = {line.split(" AS ")[1] for line in list_arguments("FROM") if " AS " in line}
    for line in list_arguments("FROM"):
        image = line.split(" AS ")[0]
        for name, value in defaults.items():
            image = image.replace(f"${{{name}}}", value)
        assert image in stages or re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+(-[\w.-]+)?", image), image


def test_it_is_built_without_an_image_that_is_not_a_base() -> None:
    assert not re.search(r"(?mi)^#\s*syntax\s*=", DOCKERFILE)


def test_the_environment_is_the_locked_one() -> None:
    syncs = [part for line in list_arguments("RUN") for part in line.split("&&") if "uv sync" in part]
    assert len(syncs) == 2
    for sync in syncs:
        assert {"--frozen", "--no-default-groups"} <= set(sync.split())
        assert re.findall(r"--group (\w+)", sync) == ["airflow", "cluster"]
    assert re.search(r"pip install --no-cache-dir uv==\d+\.\d+\.\d+", DOCKERFILE)


def test_the_triggerer_finds_what_a_deadline_calls() -> None:
    assert "PYTHONPATH=/opt/airflow/dags " in " ".join(list_arguments("ENV"))
    assert "--chmod=755 dags /opt/airflow/dags" in list_arguments("COPY")


def test_it_runs_as_nobody_special() -> None:
    assert list_arguments("USER")[-1] == "50000"
    final = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert "USER 50000" in final
    assert final.index("USER 50000") < final.index("ENTRYPOINT")


def test_nothing_secret_is_built_in() -> None:
    for line in [*list_arguments("ENV"), *list_arguments("ARG")]:
        assert not re.search(r"(?i)password|secret|token|api_key", line)
    assert "latest" not in DOCKERFILE


def test_the_build_sees_only_what_it_needs() -> None:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert lines[0] == "*"
    copied = {source for line in list_arguments("COPY") if "--from" not in line for source in line.split()[:-1]}
    for source in copied - {"--chmod=755"}:
        assert any(source.startswith(line[1:]) for line in lines if line.startswith("!")), source
        assert (DEPLOY.parent / source).exists(), source
