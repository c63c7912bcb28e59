"""Background work of leads: each job takes a ref and delegates to a service."""

from crm.core.jobs import job
from leads.services import (
    bulk,
    call_ends,
    cdr_files,
    chat_files,
    confirmations,
    delivery,
    dialling,
    fetching,
    introductions,
    judging,
    letter_files,
    mailboxes,
    retention,
    site,
    tracking,
)


@job("leads.bulk", queue="bulk")
def run_bulk(ref):
    bulk.go_on(int(ref))


@job("leads.deliver", queue="mail", atomic=False)
def deliver(ref, run):
    delivery.deliver(int(ref), run)


@job("leads.fetch_file", queue="mail", atomic=False)
def fetch_file(ref, run):
    chat_files.fetch(int(ref), run)


@job("leads.expire_opt_in")
def expire_opt_in(ref):
    confirmations.expire(int(ref))


@job("leads.fetch", queue="mail", atomic=False, on_dead=fetching.died)
def fetch(ref, run):
    fetching.fetch(int(ref), run)


@job("leads.meet", queue="mail", atomic=False)
def meet(ref, run):
    introductions.meet(int(ref), run)


@job("leads.judge_hits")
def judge_hits(ref):
    tracking.judge_hits(int(ref))


@job("leads.judge", on_dead=judging.gave_up)
def judge(ref):
    judging.judge(int(ref))


@job("leads.settle_call")
def settle_call(ref):
    call_ends.settle(int(ref))


@job("leads.dial", atomic=False)
def dial(ref, run):
    dialling.place(int(ref), run)


@job("leads.cdr_folder", queue="bulk")
def cdr_folder(ref):
    cdr_files.look(int(ref))


@job("leads.material_taken")
def material_taken(ref):
    site.note_taken(int(ref))


@job("leads.keep_files", queue="mail")
def keep_files(ref):
    letter_files.keep(int(ref))


@job("leads.forget_bodies", queue="bulk")
def forget_bodies(ref):
    retention.go_on(ref)


@job("leads.poll_mailbox", queue="bulk", atomic=False)  # a server that does not answer keeps no letter waiting
def poll_mailbox(ref, run):
    mailboxes.poll_job(int(ref), run)
