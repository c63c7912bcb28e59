"""``/healthz``: is the database there, do relay and beat work, is the outbox moving?"""

from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

STALE = {"relay": 30, "beat": 180}  # seconds without a sign of life
BACKLOG = 60  # seconds that the oldest due job may wait

SQL = """
    select (select json_object_agg(name, extract(epoch from clock_timestamp() - at)) from core_heartbeat),
           (select extract(epoch from clock_timestamp() - min(due_at)) from core_job
             where not dead and due_at <= clock_timestamp()),
           (select count(*) from (select 1 from core_job where dead limit 1000) d)"""


@login_not_required
@never_cache
@require_safe
def healthz(request):
    """200 while requests can be served, with what is degraded in words; no database answers 503 (middleware)."""
    with connection.cursor() as cursor:
        cursor.execute(SQL)
        ages, waiting, dead = cursor.fetchone()
    ages, waiting = ages or {}, float(waiting or 0)
    ill = [name for name, limit in STALE.items() if ages.get(name, limit + 1) > limit]
    if waiting > BACKLOG:
        ill.append("outbox")
    if dead:
        ill.append("dead jobs")
    return JsonResponse(
        {
            "status": "degraded" if ill else "ok",
            "degraded": ill,
            "oldest_due_job_s": round(max(0.0, waiting), 1),
            "dead_jobs": dead,
            "seen_s": {name: round(age, 1) for name, age in ages.items()},
        }
    )
