# One image for web, workers, relay, beat and the migration; docker-compose.yml says which command each of them runs.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
RUN python -m venv /venv
COPY requirements.txt .
# The lock also holds the embedded servers and the tools of the tests: a production image does without them.
COPY crm/boot/production.py crm/boot/production.py
RUN python crm/boot/production.py requirements.txt > /tmp/production.txt \
 && /venv/bin/pip install -q --compile --require-hashes -r /tmp/production.txt

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home crm && mkdir -p /data /static && chown crm /data /static
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CRM_MODE=production \
    CRM_STATE_DIR=/data \
    STATIC_ROOT=/static
# The key below signs nothing: it only lets the settings load while the static files are collected.
RUN python -m crm.boot.translations \
 && python -m compileall -q crm leads deals scoring routing nurturing analytics \
 && SECRET_KEY=build-only-build-only-build-only-build-only-build-only DATABASE_URL=postgresql:///none REDIS_URL=redis://none \
    ALLOWED_HOSTS=localhost python manage.py collectstatic --noinput -v 0
USER crm
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "crm.boot.web", "--host", "0.0.0.0", "--port", "8000", "--processes", "2"]
