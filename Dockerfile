# One image for every process of the Procfile: `docker run … holdfast web`.
FROM python:3.11-slim AS packages
COPY requirements.txt .
RUN python -m venv /opt/packages \
    && /opt/packages/bin/pip install --no-cache-dir --require-virtualenv -r requirements.txt

FROM python:3.11-slim
RUN useradd --system --create-home --uid 10001 holdfast
COPY --from=packages /opt/packages /opt/packages
ENV PATH=/opt/packages/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/holdfast
COPY . .
USER holdfast
# On SIGTERM workers finish their tasks, web and desk their requests.
STOPSIGNAL SIGTERM
ENTRYPOINT ["deploy/process"]
CMD ["web"]
