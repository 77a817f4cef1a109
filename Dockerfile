# Both images: `docker build --target server -t rolecall-server:0.1.0 .`, and the same with `agent`.
# Every Python package is pinned with its hash, and nothing is compiled or resolved here.
# By its Debian too: the warden's nft and ip are of the release that it was tried with.
ARG PYTHON=python:3.13-slim-bookworm

# The wheel: the same file for both.
FROM ${PYTHON} AS wheel
WORKDIR /source
COPY requirements/build.txt requirements/
RUN pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY common common
COPY proto proto
COPY server server
COPY agent agent
COPY cli cli
COPY examples examples
RUN pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /wheel .

# An environment for each side, without pip, and compiled once: its files cannot be written later.
FROM ${PYTHON} AS server-environment
COPY requirements/server.txt /requirements.txt
RUN python -m venv --without-pip /opt/rolecall
RUN pip --python /opt/rolecall/bin/python install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r /requirements.txt
COPY --from=wheel /wheel /wheel
RUN pip --python /opt/rolecall/bin/python install --no-cache-dir --no-deps --no-index /wheel/*.whl
RUN /opt/rolecall/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /opt/rolecall/lib

FROM ${PYTHON} AS agent-environment
COPY requirements/agent.txt /requirements.txt
RUN python -m venv --without-pip /opt/rolecall
RUN pip --python /opt/rolecall/bin/python install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r /requirements.txt
COPY --from=wheel /wheel /wheel
RUN pip --python /opt/rolecall/bin/python install --no-cache-dir --no-deps --no-index /wheel/*.whl
RUN /opt/rolecall/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /opt/rolecall/lib

FROM ${PYTHON} AS server
COPY --from=server-environment /opt/rolecall /opt/rolecall
ENV PATH=/opt/rolecall/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 60980:60980
ENTRYPOINT ["rolecall"]
CMD ["server", "--help"]

FROM ${PYTHON} AS agent
# What the warden speaks to the kernel with.
RUN apt-get update && apt-get install --yes --no-install-recommends conntrack iproute2 nftables && rm -rf /var/lib/apt/lists/*
COPY --from=agent-environment /opt/rolecall /opt/rolecall
ENV PATH=/opt/rolecall/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 60980:60980
ENTRYPOINT ["rolecall"]
CMD ["agent", "--help"]
