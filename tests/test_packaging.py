"""What a wheel holds, and that host and plugin wheels work in an environment of their own."""

import platform
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIGHT = ("duckdb", "pyarrow", "pluggy", "pytz", "tzdata")


def build(folder: Path, target: Path) -> Path:
    code = f"import hatchling.build, os; os.chdir({str(folder)!r}); print(hatchling.build.build_wheel({str(target)!r}))"
    name = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()[-1]
    return target / name


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    target = tmp_path_factory.mktemp("wheels")
    return {"enfold": build(ROOT, target), "doris": build(ROOT / "plugins" / "doris", target)}


def test_platform_is_no_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert ROOT not in Path(platform.__file__).parents


def test_the_wheel_carries_schemas_expectations_and_sql(wheels: dict[str, Path]) -> None:
    names = set(zipfile.ZipFile(wheels["enfold"]).namelist())
    for folder in ("schemas", "expectations"):
        for path in (ROOT / folder).rglob("*.*"):
            assert f"enfold/{path.relative_to(ROOT).as_posix()}" in names
    assert "enfold/fold/sql/00_time.sql" in names
    assert "enfold/requirements.lock" in names
    assert "enfold/serve/views/adsl.sql" in names
    assert {"enfold_doris/remission.sql", "enfold_doris/remission.md"} <= set(
        zipfile.ZipFile(wheels["doris"]).namelist()
    )


def test_wheels_install_light_and_the_plugin_is_found(wheels: dict[str, Path], tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    text = (ROOT / ".lock" / "requirements.txt").read_text()
    blocks = re.findall(r"^[a-z0-9][^\n]*(?:\n    [^\n]*)*", text, re.M)
    light = [b for b in blocks if re.match(rf"({'|'.join(LIGHT)})==", b)]
    assert len(light) == len(LIGHT)
    (tmp_path / "light.txt").write_text("\n".join(light) + "\n")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(tmp_path / "light.txt")], check=True)
    subprocess.run([*pip, "--no-index", *map(str, wheels.values())], check=True)
    code = (
        "from enfold import schema\n"
        "from enfold.evaluate.discover import discover\n"
        "import importlib.util\n"
        "from enfold.shipped import lock_file\n"
        "assert b'sha256' in lock_file()\n"
        "assert len(schema.events()) == 10 and schema.instruments()\n"
        "assert importlib.util.find_spec('apache_beam') is None\n"
        "found = discover(['enfold-doris'])\n"
        "assert not found.failures and 'doris' in found.offered, found\n"
    )
    subprocess.run([str(python), "-c", code], check=True, cwd=tmp_path)
    helped = subprocess.run([str(python.with_name("enfold")), "--help"], check=True, capture_output=True, text=True)
    assert "exit codes" in helped.stdout


def test_the_lock_has_hashes_and_no_file_names_an_index() -> None:
    text = (ROOT / ".lock" / "requirements.txt").read_text()
    pins = re.findall(r"^[a-z0-9][^\n]*==", text, re.M)
    assert len(pins) > 50
    assert text.count("--hash=sha256:") >= len(pins)
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    hosts = ("pypi." + "org", "pythonhosted." + "org", "registry.npm" + "js")
    for name in filter(None, tracked):
        octets = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        assert not any(h.encode() in octets for h in hosts), name
    assert "://" not in text


def test_the_pyproject_of_every_plugin_asks_for_this_host() -> None:
    for path in (ROOT / "plugins").glob("*/pyproject.toml"):
        assert '"enfold>=0.1,<0.2"' in path.read_text(), path
