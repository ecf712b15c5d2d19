"""The wheel: its size, what it holds, and that it works outside the checkout."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
SNIPPET = """
from PIL import Image
import veridical

data: bytes = veridical.encode("photo.png", format="AVIF", bpp=0.25)
picture: Image.Image = veridical.decode(data, realism=0.7, seed=1)
psnr: float = veridical.info(data).predicted_psnr_db(1.0)
price: float = veridical.Calibration(0.5, 0.5).distortion_at(0.5)
"""


def call(*words, cwd):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}  # not the checkout's modules
    done = subprocess.run(
        [str(w) for w in words],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel, and a Python far from the checkout that has it beside this environment's packages."""
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=CHECKOUT)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env" / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = Path(call(python, "-c", where, cwd=folder).strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # Paths are searched in order, so the wheel's package goes before the checkout's.
    (site / "others.pth").write_text(sysconfig_purelib() + "\n")
    return wheel, python, folder


def sysconfig_purelib():
    import sysconfig

    return sysconfig.get_paths()["purelib"]


@pytest.mark.slow
def test_size_and_contents(installed):
    # Oracle: 60 MB for all, 16 MB a file and 60 MB of weights; what the code reads at run time.
    wheel, _, _ = installed
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    weights = [size for name, size in sizes.items() if name.endswith((".onnx", ".npz"))]
    assert wheel.stat().st_size < 60e6
    assert weights
    assert max(weights) <= 16e6
    assert sum(weights) <= 60e6
    for name in (
        "py.typed",
        "photo/page.html",
        "photo/view.js",
        "photo/weights/jpeg.json",
        "__main__.py",
    ):
        assert f"veridical/{name}" in sizes
    assert not [name for name in sizes if "test" in name or name.endswith((".pyc", ".ipynb"))]


@pytest.mark.slow
def test_it_runs_outside_the_checkout(installed):
    # Oracle: the version of the package, and a file decoded by the installed weights.
    _, python, folder = installed
    where = call(python, "-c", "import veridical; print(veridical.__file__)", cwd=folder)
    assert str(folder) in where
    said = call(python, "-m", "veridical", "--version", cwd=folder)
    assert said.startswith("veridical ")
    make = (
        "from PIL import Image; Image.effect_noise((64, 48), 40).convert('RGB').save('photo.png')"
    )
    call(python, "-c", make, cwd=folder)
    call(python, "-m", "veridical", "encode", "photo.png", "photo.jpg", "--quality", 30, cwd=folder)
    call(python, "-m", "veridical", "decode", "photo.jpg", "back.png", cwd=folder)
    assert (folder / "back.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_users_types_are_checked_against_the_wheel(installed):
    # Oracle: pyrefly finds no error in right code and one in wrong code.
    _, python, folder = installed
    (folder / "right.py").write_text(SNIPPET)
    (folder / "wrong.py").write_text(SNIPPET + "wrong: int = veridical.decode(data)\n")
    where = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    own = call(python, "-c", where, cwd=folder).strip()
    (folder / "pyrefly.toml").write_text(f"site-package-path = {[own, sysconfig_purelib()]}\n")
    checker = (sys.executable, "-m", "pyrefly", "check", "-c", folder / "pyrefly.toml")
    call(*checker, "right.py", cwd=folder)
    done = subprocess.run(
        [*map(str, checker), "wrong.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "Image" in done.stdout


FOUR_KINDS = """
import io, sys
import numpy as np
from PIL import Image
import veridical
from veridical.kept import open_message
from veridical.oneshot.circle import circle_codec
from veridical.sources.circle import circle_samples

rng = np.random.default_rng(0)
rough = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
picture = rough.resize((64, 48), Image.Resampling.BICUBIC)
for name in ("JPEG", "WEBP", "AVIF", "VDC"):
    data = veridical.encode(picture, format=name, quality=40)
    for realism in (0.0, 1.0):
        decoded = np.asarray(veridical.decode(data, realism=realism, threads=1), dtype=np.float64)
        error = np.mean((decoded - np.asarray(picture, dtype=np.float64)) ** 2)
        assert decoded.shape == (48, 64, 3) and error < 600, (name, realism, error)
x = circle_samples(200, rng)
circle_codec(3, 2).save("codec.npz")
codec = veridical.load_codec("codec.npz")
index = codec.encode(x, seed=5)
message = open_message(codec, codec.to_message(index, seed=5))
assert np.array_equal(message.index, index) and message.seed == 5
assert codec.decode(index, rng, realism=0.0, seed=5).shape == x.shape
assert "torch" not in sys.modules
print("done", sys.version.split()[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "python", os.environ.get("VERIDICAL_PYTHONS", sys.executable).split(os.pathsep)
)
def test_the_wheel_in_a_fresh_environment(installed, tmp_path, python):
    # Oracle: all four kinds decode near the picture (MSE 600, a grey one has 2,000 and more), and a codec's
    # message comes back, with what the wheel alone asks for. VERIDICAL_PYTHONS names interpreters.
    wheel, _, _ = installed
    call(python, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    own = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    call(own, "-m", "pip", "install", "--quiet", "--only-binary=:all:", wheel, cwd=tmp_path)
    said = call(own, "-c", FOUR_KINDS, cwd=tmp_path)
    assert said.startswith("done ")
    assert call(own, "-m", "veridical", "--version", cwd=tmp_path).startswith("veridical ")
