"""Background work of leads: each job takes a ref and delegates to a service."""

from crm.core.jobs import job
from leads.services import bulk, chat_files, delivery, judging, tracking


@job("leads.bulk", queue="bulk")
def run_bulk(ref):
    bulk.go_on(int(ref))


@job("leads.deliver", queue="mail", atomic=False)
def deliver(ref, run):
    delivery.deliver(int(ref), run)


@job("leads.fetch_file", queue="mail", atomic=False)
def fetch_file(ref, run):
    chat_files.fetch(int(ref), run)


@job("leads.judge_hits")
def judge_hits(ref):
    tracking.judge_hits(int(ref))


@job("leads.judge", on_dead=judging.gave_up)
def judge(ref):
    judging.judge(int(ref))
