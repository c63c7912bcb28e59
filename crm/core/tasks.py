"""Background work of the kernel: each job takes a ref and delegates."""

from crm.core import resets
from crm.core.jobs import job


@job(resets.TASK, queue="mail")
def send_reset_letter(ref):
    resets.send(int(ref))
