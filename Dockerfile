# The core of veridical: coding, decoding, limits and designs; no torch. Build and use:
#   docker build -t veridical .
#   docker run --rm -i veridical decode - --realism 0.5 < photo.avif > photo.png
#   docker run --rm -v "$PWD":/work --user "$(id -u):$(id -g)" veridical encode photo.png
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements/core.txt requirements/core.txt
RUN pip install --no-cache-dir --no-compile --no-deps --require-hashes --target /app -r requirements/core.txt
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY src src
RUN PYTHONPATH=/app pip install --no-cache-dir --no-compile --no-deps --no-build-isolation --target /app .
WORKDIR /app
# Without what only building needs and other packages' tests, a tenth of the image; with the byte code of what is imported.
RUN rm -rf bin hatchling* editables* pathspec* pluggy* tomlkit* trove_classifiers* \
    && find scipy onnxruntime -type d -name tests -prune -exec rm -rf {} + \
    && PYTHONPATH=/app python -c "import scipy.optimize, scipy.spatial, onnxruntime, veridical.cli.main; veridical.cli.main.application()"

FROM gcr.io/distroless/python3-debian12:nonroot
COPY --from=build /app /app
ENV PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1
WORKDIR /work
ENTRYPOINT ["python3", "-m", "veridical"]
